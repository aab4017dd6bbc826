/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every event of a connection names the process that connected, even if another process
 * writes or closes, or the process is killed. A host that may not read kernel memory still
 * counts bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connection.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define FAILED AGENTSH_EBPF_EVENT_CONNECT_FAILED

/* State of the worker, in shared memory because the worker may be killed during a call. */
static struct shared {
	struct connection connection;
	int fd, server, listener, filler;
	struct connection_address at;
} * shared;

static void make_shared(void)
{
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	LIVE_CHECK(shared != MAP_FAILED, "mmap: %s", strerror(errno));
	memset(shared, 0, sizeof(*shared));
}

static void listens(const void *backlog, void *unused)
{
	(void)unused;
	shared->listener = connection_listen(CONNECTION_V6, 0, *(const int *)backlog, &shared->at);
}

static void connects(const void *unused, void *unused_out)
{
	int error;

	(void)unused;
	(void)unused_out;
	shared->fd = connection_socket(CONNECTION_V6, 0);
	error = connection_connect(&shared->connection, shared->fd, &shared->at, "connection");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_is_connected(&shared->connection, shared->fd);
	shared->server = connection_accept(shared->listener);
}

/* A child of the process that connected, with copies of all of its sockets, goes on. */
static void child_goes_on(const void *unused, void *out)
{
	pid_t child;
	int status;

	(void)unused;
	(void)out;
	child = fork();
	LIVE_CHECK(child >= 0, "fork");
	if (!child) {
		char go;

		prctl(PR_SET_NAME, "another");
		connection_write(shared->server, 1);
		while (read(shared->fd, &go, 1) != 1)
			;
		connection_write(shared->fd, 10);
		connection_ending(&shared->connection);
		connection_close_hard(shared->fd);
		_exit(0);
	}
	close(shared->fd);
	LIVE_CHECK(waitpid(child, &status, 0) == child && !status, "child: 0x%x", status);
	connection_ended(&shared->connection, CLOSED, 0, 0);
	shared->connection.sent = 10;
	shared->connection.received = 1;
}

static void start(struct live_worker *worker, struct agentsh_ebpf_tracer **tracer, int backlog)
{
	static struct live_cgroup session;

	make_shared();
	*tracer = connection_open(CONNECTION_CONNECT);
	live_cgroup_make(&session, NULL);
	live_attach(*tracer, &session, 9);
	live_worker_start(worker, &session);
	live_worker_call(worker, listens, &backlog, sizeof(backlog), NULL, 0);
}

START_TEST(handed_to_a_child)
{
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;

	start(&worker, &tracer, 8);
	live_worker_call(&worker, connects, NULL, 0, NULL, 0);
	live_worker_call(&worker, child_goes_on, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	connection_drain(tracer, &shared->connection, 1);
	connection_expect(&shared->connection, 1);
}
END_TEST

#define ENDS (AGENTSH_EBPF_FLAG_LOCAL_CLOSED | AGENTSH_EBPF_FLAG_REMOTE_CLOSED)

START_TEST(killed_while_connected)
{
	const struct agentsh_ebpf_event *ended;
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;

	start(&worker, &tracer, 8);
	live_worker_call(&worker, connects, NULL, 0, NULL, 0);
	connection_ending(&shared->connection);
	live_worker_kill(&worker);
	connection_ended(&shared->connection, CLOSED, 0, 0);
	connection_drain(tracer, &shared->connection, 1);
	shared->connection.end_ns[1] = connection_now();
	/* it had both sockets, and the kernel may close either first */
	ended = connection_find(CLOSED, 0);
	LIVE_CHECK(ended && (ended->flags & ENDS) && (ended->flags & ENDS) != ENDS, "flags");
	shared->connection.flags = ended->flags & ENDS;
	connection_expect(&shared->connection, 1);
}
END_TEST

static void fills(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	shared->filler = connection_socket(CONNECTION_V6, 0);
	LIVE_CHECK(!connect(shared->filler, &shared->at.sa.any, shared->at.size), "filler: %s",
		   strerror(errno));
	connection_wait_arrived(shared->listener);
}

static void connects_for_ever(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	shared->fd = connection_socket(CONNECTION_V6, 0);
	connection_before(&shared->connection, shared->fd, &shared->at, "killed");
	connect(shared->fd, &shared->at.sa.any, shared->at.size);
}

START_TEST(killed_while_connecting)
{
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;
	size_t before;

	start(&worker, &tracer, 0);
	live_worker_call(&worker, fills, NULL, 0, NULL, 0);
	live_drain(tracer);
	before = live_seen.count;
	live_worker_send(&worker, connects_for_ever, NULL, 0, 0);
	live_drain_until(tracer, before + 1); /* CONNECT */
	usleep(50000); /* it probably waits in connect(); it may also be killed earlier */
	shared->connection.connect.boot_ns[1] = connection_now();
	shared->connection.connect.real_ns[1] = UINT64_MAX / 2;
	connection_ending(&shared->connection);
	live_worker_kill(&worker);
	live_drain_until(tracer, before + 2);
	connection_ended(&shared->connection, FAILED, 0, ECANCELED);
	memmove(live_seen.list, live_seen.list + before,
		(live_seen.count - before) * sizeof(live_seen.list[0]));
	live_seen.count -= before;
	for (size_t i = 0; i < live_seen.count; i++) /* the filler ended, too */
		if (live_seen.list[i].kind == CLOSED)
			live_seen.list[i--] = live_seen.list[--live_seen.count];
	connection_expect(&shared->connection, 1);
}
END_TEST

/* ---- hosts that may not read the kernel's memory ------------------------- */

static void exchanges(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	connects(NULL, NULL);
	connection_write(shared->fd, 1234);
	connection_read(shared->server, 1234);
	connection_write(shared->server, 567);
	connection_read(shared->fd, 567);
	shutdown(shared->fd, SHUT_WR);
	CONNECTION_SAME(connection_read_end(shared->server), 0);
	close(shared->server);
	CONNECTION_SAME(connection_read_end(shared->fd), 0);
	connection_wait_state(shared->fd, 7 /* TCP_CLOSE */);
	close(shared->fd);
	close(shared->listener);
	shared->fd = connection_socket(CONNECTION_V6, 0);
	CONNECTION_SAME(connect(shared->fd, &shared->at.sa.any, shared->at.size), -1);
	close(shared->fd);
}

START_TEST(without_btf)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = CONNECTION_CONNECT,
		.simulate_missing =
			1ULL << (_i ? AGENTSH_EBPF_CHECK_CAP_PERFMON : AGENTSH_EBPF_CHECK_BTF),
	};
	const struct agentsh_ebpf_event *e;
	struct agentsh_ebpf_tracer *tracer;
	struct live_cgroup session;
	struct live_worker worker;

	make_shared();
	tracer = live_open(&options);
	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, 9);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, listens, &(int){8}, sizeof(int), NULL, 0);
	live_worker_call(&worker, exchanges, NULL, 0, NULL, 0);
	live_drain_until(tracer, 5);
	live_worker_stop(&worker);
	live_drain(tracer);
	CONNECTION_SAME(live_seen.count, 5);
	e = connection_find(CLOSED, 0);
	LIVE_CHECK(e, "no CLOSED");
	CONNECTION_SAME(e->flags, AGENTSH_EBPF_FLAG_NO_ERROR | AGENTSH_EBPF_FLAG_LOCAL_CLOSED);
	CONNECTION_SAME(e->error, 0);
	CONNECTION_SAME(e->bytes_sent, 1234);
	CONNECTION_SAME(e->bytes_received, 567);
	CONNECTION_SAME(e->tgid, worker.pid);
	e = connection_find(FAILED, 0);
	LIVE_CHECK(e, "no CONNECT_FAILED");
	CONNECTION_SAME(e->flags, AGENTSH_EBPF_FLAG_NO_ERROR);
	CONNECTION_SAME(e->error, 0);
	CONNECTION_SAME(e->tgid, worker.pid);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: processes");
	TCase *tcase = live_case(suite, "processes");

	tcase_add_test(tcase, handed_to_a_child);
	tcase_add_test(tcase, killed_while_connected);
	tcase_add_test(tcase, killed_while_connecting);
	tcase_add_loop_test(tcase, without_btf, 0, 2);
	return live_main(suite);
}
