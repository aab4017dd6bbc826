/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which program an event names: exe_inode and exe_device are those of /proc/PID/exe, also after
 * the process has ended. Copies of this test are executed from several places; each computes what
 * is expected of its event.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "connection.h"
#include "exe_places.h"
#include "kernel.h"
#include "live_internal.h"

#define SESSION_ID 13

static struct call_expectations expectations;
static char own_path[4096];

static void call_once(struct call_expectations *to)
{
	to->count += call_make(&calls_all[0], to->list + to->count);
}

/* ---- the programs ------------------------------------------------------------ */

static void send_expectation(int to, const struct expectation *t)
{
	LIVE_CHECK(write(to, t, sizeof(*t)) == (ssize_t)sizeof(*t), "write: %s", strerror(errno));
}

/* main() of a copy of this test; the last argument is a descriptor for the expectation. */
static int other_program(int argc, char **argv)
{
	struct call_expectations made = {0};

	live_is_child();
	call_once(&made);
	send_expectation(atoi(argv[argc - 1]), &made.list[0]);
	return 0;
}

/* main() of a copy of this test that connects a socket of its parent. */
static int connecting_program(char **argv)
{
	struct connection_address to = connection_loopback(CONNECTION_V4, (uint16_t)atoi(argv[4]));
	struct connection connection = {0};
	int fd = atoi(argv[3]), error;

	live_is_child();
	error = connection_connect(&connection, fd, &to, "a program that ended");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_is_connected(&connection, fd);
	LIVE_CHECK(write(atoi(argv[2]), &connection, sizeof(connection)) ==
			   (ssize_t)sizeof(connection),
		   "write: %s", strerror(errno));
	return 0;
}

static const struct program_case {
	const char *name;
	exe_place_fn place;
	bool in_thread; /* a second thread calls execve() */
} program_cases[] = {
	{"on disk", exe_on_disk, false},
	{"on disk, executed by a second thread", exe_on_disk, true},
	{"on tmpfs", exe_on_tmpfs, false},
	{"on overlayfs, in the lower layer", exe_on_overlay_lower, false},
	{"on overlayfs, in the upper layer", exe_on_overlay_upper, false},
	{"on overlayfs over two file systems", exe_on_overlay_mixed, false},
	{"deleted", exe_deleted, false},
	{"in memory", exe_in_memory, false},
	{"interpreter of a script", exe_script, false},
};

struct execution {
	const struct exe_place *program;
	char **argv;
};

static void *executes(void *arg)
{
	const struct execution *e = arg;

	exe_execute(e->program, e->argv);
	LIVE_FAIL("execve: %s", strerror(errno));
}

/* Forks a child that makes a call and then executes the program, which makes another. */
static void fork_and_execute(const struct program_case *how, struct execution *execution, int to)
{
	struct call_expectations made = {0};
	pthread_t thread;

	live_is_child();
	call_once(&made);
	send_expectation(to, &made.list[0]);
	if (how->in_thread)
		LIVE_CHECK(!pthread_create(&thread, NULL, executes, execution) &&
				   !pthread_join(thread, NULL),
			   "thread");
	executes(execution);
}

struct executed {
	char absent[64]; /* why the machine has no such place */
	struct call_expectations made;
};

static void receive(int from, void *to, size_t size)
{
	for (size_t have = 0; have < size;) {
		ssize_t n = read(from, (char *)to + have, size - have);

		LIVE_CHECK(n > 0, "the program ended: see its message");
		have += (size_t)n;
	}
}

static void reap(pid_t pid)
{
	int status;

	LIVE_CHECK(waitpid(pid, &status, 0) == pid && !status, "the program: 0x%x", status);
}

static void execute(const void *index, void *out)
{
	const struct program_case *how = &program_cases[*(const int *)index];
	struct executed *e = out;
	struct exe_place program;
	const char *absent = how->place(&program, own_path);
	char to[12], *argv[] = {(char *)"exe", (char *)"call", to, NULL};
	struct execution execution = {&program, argv};
	int pair[2];
	pid_t pid;

	if (absent) {
		snprintf(e->absent, sizeof(e->absent), "%s", absent);
		exe_remove(&program);
		return;
	}
	LIVE_CHECK(!pipe(pair), "pipe: %s", strerror(errno));
	snprintf(to, sizeof(to), "%d", pair[1]);
	if (how->place == exe_script) { /* the script holds the argument */
		argv[1] = to;
		argv[2] = NULL;
	}
	fflush(NULL);
	pid = fork();
	LIVE_CHECK(pid >= 0, "fork: %s", strerror(errno));
	if (!pid)
		fork_and_execute(how, &execution, pair[1]);
	close(pair[1]);
	for (; e->made.count < 2; e->made.count++)
		receive(pair[0], &e->made.list[e->made.count], sizeof(e->made.list[0]));
	if (program.device) {
		LIVE_CHECK(e->made.list[1].want.exe_device != program.device, "the same device");
		e->made.list[1].want.exe_device = program.device;
	}
	close(pair[0]);
	reap(pid);
	exe_remove(&program);
}

/* ---- tests ------------------------------------------------------------------- */

START_TEST(program_is)
{
	const struct program_case *c = &program_cases[_i];
	struct agentsh_ebpf_tracer *tracer = live_open_kept(NULL);
	const struct agentsh_ebpf_event *e = live_seen.list;
	struct live_worker worker;
	static struct executed executed;

	calls_start(&worker, tracer, SESSION_ID);
	live_worker_call(&worker, execute, &_i, sizeof(_i), &executed, sizeof(executed));
	live_worker_stop(&worker);
	if (executed.absent[0]) {
		printf("left out: a program %s: %s\n", c->name, executed.absent);
		return;
	}
	live_drain(tracer);
	expectations = executed.made;
	calls_expect(c->name, &expectations, SESSION_ID);
	if (kernel_hides_tasks())
		return;
	LIVE_CHECK(e[0].tgid == e[1].tgid && e[0].process_start_ns == e[1].process_start_ns,
		   "%s: two processes", c->name);
	LIVE_CHECK(e[0].exe_inode && e[1].exe_inode &&
			   (e[0].exe_inode != e[1].exe_inode || e[0].exe_device != e[1].exe_device),
		   "%s: one program", c->name);
	LIVE_CHECK(strcmp(e[0].process_comm, e[1].process_comm), "%s: still %s", c->name,
		   e[1].process_comm);
}
END_TEST

/* A program connects a socket of its parent, and ends long before the connection does. */
static void outlived(const void *unused, void *out)
{
	struct connection *connection = out;
	struct connection_address at;
	int listener = connection_listen(CONNECTION_V4, 0, 8, &at), pair[2];
	int fd = connection_socket(CONNECTION_V4, 0), accepted;
	char numbers[3][12];
	char *argv[] = {(char *)"exe", (char *)"connect", numbers[0], numbers[1], numbers[2], NULL};
	struct exe_place program;
	pid_t pid;

	(void)unused;
	LIVE_CHECK(!exe_on_disk(&program, own_path) && !pipe(pair), "pipe: %s", strerror(errno));
	LIVE_CHECK(!fcntl(fd, F_SETFD, 0), "F_SETFD: %s", strerror(errno));
	snprintf(numbers[0], sizeof(numbers[0]), "%d", pair[1]);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", fd);
	snprintf(numbers[2], sizeof(numbers[2]), "%u", ntohs(at.sa.v4.sin_port));
	fflush(NULL);
	pid = fork();
	LIVE_CHECK(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		live_is_child();
		exe_execute(&program, argv);
		LIVE_FAIL("execve: %s", strerror(errno));
	}
	close(pair[1]);
	receive(pair[0], connection, sizeof(*connection));
	close(pair[0]);
	reap(pid);
	exe_remove(&program);
	accepted = connection_accept(listener);
	connection_ending(connection);
	connection_close_hard(fd);
	connection_ended(connection, AGENTSH_EBPF_EVENT_CLOSED, 0, 0);
	close(accepted);
	close(listener);
}

START_TEST(known_after_the_end)
{
	struct agentsh_ebpf_tracer *tracer = connection_open(CONNECTION_CONNECT);
	const struct agentsh_ebpf_event *e = live_seen.list;
	struct live_worker worker;
	struct connection connection;

	calls_start(&worker, tracer, SESSION_ID);
	live_worker_call(&worker, outlived, NULL, 0, &connection, sizeof(connection));
	live_worker_stop(&worker);
	connection_drain(tracer, &connection, 1);
	connection_expect(&connection, 1);
	for (int i = 0; i < 3 && !kernel_hides_tasks(); i++)
		LIVE_CHECK(!strcmp(e[i].process_comm, "exe-on-disk") && e[i].exe_inode,
			   "event %d of %s", i, e[i].process_comm);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tcase;

	if (argc > 2 && !strcmp(argv[1], "call"))
		_exit(other_program(argc, argv));
	if (argc == 5 && !strcmp(argv[1], "connect"))
		_exit(connecting_program(argv));
	if (!realpath(argv[0], own_path)) {
		perror(argv[0]);
		return 1;
	}
	suite = suite_create("exe");
	tcase = live_case(suite, "exe");
	tcase_add_loop_test(tcase, program_is, 0, LIVE_COUNT(program_cases));
	tcase_add_test(tcase, known_after_the_end);
	return live_main(suite);
}
