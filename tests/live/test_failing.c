/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes each allocation and system call of each public function fail, one per process. The
 * function must return an error that names its step, or succeed if it can do without. Nothing
 * may be left behind, and the next round must work.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail.h"
#include "failing_ops.h"
#include "kernel.h"
#include "live_internal.h"

/*
 * How many of the calls of a load fail, evenly spaced; FAILING_SAMPLES=N chooses another number,
 * 0 means all. One sample costs one or two loads of the programs, 20 to 60 ms each: libbpf keeps
 * what it finds out about the kernel, so that a second failure in one process would be another.
 */
#define SAMPLES 30
#define DEADLINE_S 60 /* SIGALRM ends a poll that hangs */
#define ENDLESS 1000000000U

enum { HIT_REFUSED = 10, HIT_DONE, NOT_HIT };

/* Children that run at the same time, each in its own cgroup. */
#define JOBS_MAX 4

static struct live_cgroup cgroups[JOBS_MAX];

/* This process is in the cgroup. */
static void make_events(struct host *h, unsigned int n)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	const struct agentsh_ebpf_event event = {.kind = AGENTSH_EBPF_EVENT_CONNECT};

	for (unsigned int i = 0; i < n; i++) {
		to.sin_addr.s_addr = htonl(0x7f000001 + i);
		if (op_synthetic)
			LIVE_CHECK(!agentsh_ebpf_inject(h->session, &event), "inject");
		else
			LIVE_CHECK(!connect(h->socket, (void *)&to, sizeof(to)), "connect: %s",
				   strerror(errno));
	}
}

/* Reads until all events have arrived; no call fails any more. */
static void drain(struct host *h, unsigned int made)
{
	alarm(DEADLINE_S);
	while (h->seen < made) {
		int ret = agentsh_ebpf_poll(h->tracer, -1);

		LIVE_CHECK(ret >= 0, "poll: %d", ret);
	}
	alarm(0);
	LIVE_CHECK(h->seen == made, "%u events, expected %u", h->seen, made);
	h->seen = 0;
}

static void must(int ret, const char *what, const struct host *h)
{
	LIVE_CHECK(!ret, "%s afterwards: %d, %s", what, ret, h->err.message);
}

/* Uses tracer and session once more, then closes them. */
static void finish(struct host *h, unsigned int unread)
{
	if (!h->tracer)
		return;
	if (!h->session)
		must(op_attach(h), "attach", h);
	make_events(h, 2);
	drain(h, unread + 2);
	must(op_detach(h), "detach", h);
	must(op_attach(h), "a second attach", h);
	make_events(h, 1);
	drain(h, 1);
	op_close(h);
}

static void expect_error(const struct op *op, const struct host *h, int ret, const char *what)
{
	LIVE_CHECK(ret < 0, "%s gave %d", op->name, ret);
	LIVE_CHECK(!op->must_not_fail, "%s failed (%d) because of %s", op->name, ret, what);
	if (!op->has_error)
		return;
	LIVE_CHECK(h->err.code == ret, "code %d, but %d returned", h->err.code, ret);
	LIVE_CHECK(h->err.step && strcmp(agentsh_ebpf_step_name(h->err.step), "unknown") != 0,
		   "%s: step %u after %s: %s", op->name, h->err.step, what, h->err.message);
	LIVE_CHECK(h->err.message[0] && !strstr(h->err.message, "Success"), "message '%s' after %s",
		   h->err.message, what);
}

/* ---- one failure per process --------------------------------------------- */

struct held {
	int fds;
	int mappings;
	long blocks;
};

static struct held held_now(void)
{
	return (struct held){fail_fds(), fail_bpf_mappings(), fail_blocks()};
}

static void expect_held(const struct held *before, const char *when)
{
	struct held now = held_now();

	LIVE_CHECK(now.fds == before->fds, "%s: %d descriptors, were %d", when, now.fds,
		   before->fds);
	LIVE_CHECK(now.mappings == before->mappings, "%s: %d mappings, were %d", when, now.mappings,
		   before->mappings);
	LIVE_CHECK(now.blocks == before->blocks, "%s: %ld blocks, were %ld", when, now.blocks,
		   before->blocks);
	if (!op_synthetic)
		LIVE_CHECK(!kernel_attached(op_cgroup.fd), "%s: programs are attached", when);
}

/* Makes the nth call fail (0: none); returns the number of calls. */
static unsigned int one_round(const struct op *op, unsigned int nth, int error, const char **what,
			      bool *refused)
{
	struct host h = {.err = LIVE_ERROR};
	struct held before, between;
	unsigned int count;
	int ret;

	op_more_hooks = op->more_hooks;
	h.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	before = held_now();
	if (op->opened)
		must(op_open(&h), "open", &h);
	between = held_now();
	if (op->attached)
		must(op_attach(&h), "attach", &h);
	make_events(&h, op->events);
	fail_arm(nth ? nth : ENDLESS, error);
	ret = op->run(&h);
	count = fail_disarm(what);
	*refused = ret != 0;
	if (ret) {
		expect_error(op, &h, ret, *what ? *what : "nothing");
		LIVE_CHECK(*what, "%s failed although no call did: %d, %s", op->name, ret,
			   h.err.message);
		if (op->run == op_open)
			LIVE_CHECK(!h.tracer, "out is not NULL");
		if (op->run == op_attach) {
			LIVE_CHECK(!h.session, "out is not NULL");
			expect_held(&between, *what);
		}
	}
	finish(&h, op->events);
	expect_held(&before, *what ? *what : "nothing");
	close(h.socket);
	return count;
}

struct job {
	pid_t pid;
	const struct op *op;
	unsigned int nth;
	int error;
};

__attribute__((noreturn)) static void run_job(const struct job *job)
{
	static const struct op round = {.name = "open once more", .run = op_open};
	const char *what, *none;
	bool refused, again;

	live_is_child();
	live_cgroup_enter(&op_cgroup);
	one_round(job->op, job->nth, job->error, &what, &refused);
	if (!what)
		_exit(NOT_HIT);
	if (getenv("FAILING_TALK"))
		fprintf(stderr, "%s, %u: %s (%d): %s\n", job->op->name, job->nth, what, job->error,
			refused ? "refused" : "done without");
	/* The next tracer of this process has to work. It opens in a third of the time without
	 * BTF, which is enough here: the default errno is followed by one with BTF. */
	op_without_btf = job->error != 0;
	one_round(&round, 0, 0, &none, &again);
	_exit(refused ? HIT_REFUSED : HIT_DONE);
}

static void start_job(struct job *job, const struct live_cgroup *where)
{
	fflush(stdout);
	job->pid = fork();
	LIVE_CHECK(job->pid >= 0, "fork: %s", strerror(errno));
	if (job->pid)
		return;
	op_cgroup = *where;
	run_job(job);
}

/* HIT_REFUSED, HIT_DONE or NOT_HIT. */
static int job_result(struct job *job)
{
	int status;

	LIVE_CHECK(waitpid(job->pid, &status, 0) == job->pid, "waitpid: %s", strerror(errno));
	job->pid = 0;
	LIVE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= HIT_REFUSED &&
			   WEXITSTATUS(status) <= NOT_HIT,
		   "%s: failure %u with errno %d ended with status 0x%x", job->op->name, job->nth,
		   job->error, (unsigned int)status);
	return WEXITSTATUS(status);
}

/* One process per failing call, as many at the same time as there are processors. */
static void try_each(const struct op *op, int error, unsigned int count, unsigned int step,
		     unsigned int *results)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t jobs_max = processors > JOBS_MAX ? JOBS_MAX
			  : processors > 0	? (size_t)processors
						: 1;
	struct job jobs[JOBS_MAX] = {{0}};
	size_t next = 0;
	bool done = false;

	for (unsigned int nth = 1; !done; nth += step) {
		struct job *job = &jobs[next];

		done = nth > count;
		if (job->pid)
			results[job_result(job)]++;
		*job = (struct job){.op = op, .nth = done ? count + 1 : nth, .error = error};
		start_job(job, &cgroups[next]);
		next = (next + 1) % jobs_max;
	}
	for (size_t i = 0; i < jobs_max; i++)
		if (jobs[i].pid)
			results[job_result(&jobs[i])]++;
}

/* Every call of the operation in turn, or a sample if there are very many. */
static void try_all(const struct op *op, int error)
{
	const char *set = getenv("FAILING_SAMPLES");
	unsigned int samples = set ? (unsigned int)strtoul(set, NULL, 10) : SAMPLES;
	unsigned int results[NOT_HIT + 1] = {0}, step, count;
	const char *what;
	bool refused;

	/* the C library and libbpf allocate some memory once and keep it: not counted */
	for (int i = 0; i < 2; i++)
		one_round(op, 0, 0, &what, &refused);
	count = one_round(op, 0, 0, &what, &refused);
	step = !samples || count <= 2 * samples ? 1 : count / samples | 1;
	try_each(op, error, count, step, results);
	printf("%s, %s, errno %d: %u calls; of those made to fail %u gave an error, %u none\n",
	       op_synthetic ? "synthetic" : "live", op->name, error, count, results[HIT_REFUSED],
	       results[HIT_DONE]);
	/* otherwise other calls than the operation's were counted */
	LIVE_CHECK(!count || results[HIT_REFUSED] + results[HIT_DONE] > 0,
		   "%s: no failure happened", op->name);
}

static void setup(void)
{
	for (int i = 0; i < JOBS_MAX; i++)
		live_cgroup_make(&cgroups[i], NULL);
	op_cgroup = cgroups[0];
	live_cgroup_enter(&op_cgroup);
	op_synthetic = false;
}

static void teardown(void)
{
	live_cgroup_enter(NULL);
}

START_TEST(in_synthetic_mode)
{
	op_synthetic = true;
	for (size_t op = 1; op < op_count; op++)
		try_all(&ops[op], 0);
}
END_TEST

START_TEST(each_call_with_its_usual_error)
{
	try_all(&ops[_i], 0);
}
END_TEST

/* Errors that make libbpf and the library retry differently, and errors that must not. */
START_TEST(load_and_attach_with_other_errors)
{
	static const int errors[] = {EINVAL, ENOMEM, EMFILE};

	try_all(&ops[OP_OPEN], errors[_i]);
	try_all(&ops[OP_ATTACH], errors[_i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("failing");
	TCase *tcase = live_case(suite, "failing");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, in_synthetic_mode);
	tcase_add_loop_test(tcase, each_call_with_its_usual_error, 0, (int)op_count);
	tcase_add_loop_test(tcase, load_and_attach_with_other_errors, 0, 3);
	return live_main(suite);
}
