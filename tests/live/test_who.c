/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process an event names if the thread that made the call has another name. Each caller
 * computes what is expected of its event.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "calls.h"
#include "connection.h"
#include "io_uring_ops.h"
#include "kernel.h"

#define SESSION_ID 12
#define CALL (&calls_all[0])

static struct call_expectations expectations;

/* ---- callers: threads ----------------------------------------------------- */

static void call_once(struct call_expectations *to)
{
	to->count += call_make(CALL, to->list + to->count);
}

static void in_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	LIVE_CHECK(!pthread_create(&thread, NULL, fn, arg) && !pthread_join(thread, NULL),
		   "thread");
}

static void *pool_thread(void *out)
{
	prctl(PR_SET_NAME, "pool-7-thread-1");
	call_once(out);
	return NULL;
}

static void java(const void *unused, void *out)
{
	(void)unused;
	prctl(PR_SET_NAME, "java");
	in_thread(pool_thread, out);
}

static void *kernel_thread(void *out)
{
	prctl(PR_SET_NAME, "kworker/0:1");
	call_once(out);
	return NULL;
}

static void pretends(const void *unused, void *out)
{
	(void)unused;
	in_thread(kernel_thread, out);
}

/* The new name is shorter than the old one, of which nothing may remain. */
static void *renames_process(void *out)
{
	int fd = open("/proc/self/comm", O_WRONLY | O_CLOEXEC);

	call_once(out);
	LIVE_CHECK(fd >= 0 && write(fd, "ab", 2) == 2, "comm: %s", strerror(errno));
	close(fd);
	call_once(out);
	return NULL;
}

static void renamed(const void *unused, void *out)
{
	(void)unused;
	prctl(PR_SET_NAME, "fifteen letters");
	in_thread(renames_process, out);
}

static void nameless(const void *unused, void *out)
{
	(void)unused;
	prctl(PR_SET_NAME, "");
	call_once(out);
}

static const struct thread_case {
	const char *name, *comm, *process_comm;
	live_fn fn;
} thread_cases[] = {
	{"a thread of a pool", "pool-7-thread-1", "java", java},
	{"a thread that takes the name of a kernel thread", "kworker/0:1", NULL, pretends},
	{"a process that is renamed", NULL, "ab", renamed},
	{"a process without a name", "", "", nameless},
};

/* ---- callers: io_uring ------------------------------------------------------ */

struct ring_call {
	int result;
	struct expectation task;
};

static void ring_connects(const void *how, void *out)
{
	struct ring_call *r = out;
	const struct connection_address to = connection_loopback(CONNECTION_V4, 9);
	int fd = connection_socket(CONNECTION_V4, 0);

	prctl(PR_SET_NAME, "database");
	expectation_task(&r->task);
	r->result = uring_connect(*(const enum uring_how *)how, fd, &to.sa.any, to.size);
	close(fd);
}

/* ---- tests ------------------------------------------------------------------- */

START_TEST(thread_is)
{
	const struct thread_case *c = &thread_cases[_i];
	struct agentsh_ebpf_tracer *tracer = live_open_kept(NULL);
	const struct agentsh_ebpf_event *e;
	struct live_worker worker;

	calls_start(&worker, tracer, SESSION_ID);
	memset(&expectations, 0, sizeof(expectations));
	live_worker_call(&worker, c->fn, NULL, 0, &expectations, sizeof(expectations));
	live_worker_stop(&worker);
	live_drain(tracer);
	calls_expect(c->name, &expectations, SESSION_ID);
	e = &live_seen.list[live_seen.count - 1];
	if (c->comm)
		ck_assert_str_eq(e->comm, c->comm);
	if (c->process_comm && !kernel_hides_tasks())
		ck_assert_str_eq(e->process_comm, c->process_comm);
}
END_TEST

START_TEST(ring_worker_is)
{
	static const enum uring_how hows[] = {URING_WORKER, URING_POLLED};
	static const char *const names[] = {"iou-wrk-", "iou-sqp-"};
	struct agentsh_ebpf_tracer *tracer = live_open_kept(NULL);
	const struct agentsh_ebpf_event *e = live_seen.list;
	struct live_worker worker;
	struct ring_call r;

	calls_start(&worker, tracer, SESSION_ID);
	live_worker_call(&worker, ring_connects, &hows[_i], sizeof(hows[_i]), &r, sizeof(r));
	live_worker_stop(&worker);
	if (r.result == URING_ABSENT) {
		printf("left out: a worker of io_uring: the kernel has none\n");
		return;
	}
	live_drain(tracer);
	ck_assert_uint_eq(live_seen.count, 1);
	/* before 5.12 a thread of the kernel, which later releases of 5.10 have changed, too */
	if (!strncmp(e->comm, "io_", 3)) {
		LIVE_CHECK(e->tgid != r.task.want.tgid, "%s is a thread of the process", e->comm);
		return;
	}
	LIVE_CHECK(!strncmp(e->comm, names[_i], strlen(names[_i])), "comm is %s", e->comm);
	LIVE_CHECK(e->pid != e->tgid, "pid is %u", e->pid);
	r.task.want.pid = e->pid;
	r.task.want.ns_pid = e->ns_pid;
	memcpy(r.task.want.comm, e->comm, sizeof(e->comm));
	if (!kernel_hides_tasks()) {
		LIVE_CHECK(e->container_pid && e->container_pid != e->container_tgid,
			   "container_pid is %u", e->container_pid);
		ck_assert_str_eq(e->process_comm, "database");
		r.task.want.container_pid = e->container_pid;
	}
	LIVE_CHECK(!expectation_task_differs(&r.task, e), "%s",
		   expectation_task_differs(&r.task, e));
}
END_TEST

/* Without BTF or CAP_PERFMON the members are 0, also in the events of the table of sockets. */
START_TEST(hidden)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = CONNECTION_CONNECT,
		.simulate_missing =
			1ULL << (_i ? AGENTSH_EBPF_CHECK_CAP_PERFMON : AGENTSH_EBPF_CHECK_BTF),
	};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	struct live_worker worker;

	calls_start(&worker, tracer, SESSION_ID);
	memset(&expectations, 0, sizeof(expectations));
	live_worker_call(&worker, java, NULL, 0, &expectations, sizeof(expectations));
	live_worker_stop(&worker);
	live_drain(tracer);
	ck_assert_uint_eq(live_seen.count, 2); /* CONNECT, CONNECT_FAILED */
	expectation_hide_task(&expectations.list[0]);
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];
		const char *differs = expectation_task_differs(&expectations.list[0], e);

		LIVE_CHECK(!differs, "%s: %s", agentsh_ebpf_kind_name(e->kind), differs);
		ck_assert_uint_eq(e->process_start_ns, 0);
	}
	live_close(tracer);
}
END_TEST

/* ---- events of packets -------------------------------------------------------- */

#define WITH_TRAFFIC (CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_TRAFFIC)

struct datagrams {
	struct connection_address peer; /* outside the session */
	int fd;
	struct connection_address own;
	struct expectation task;
};

static int datagram_socket(struct connection_address *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*at = connection_loopback(CONNECTION_V4, 0);
	LIVE_CHECK(fd >= 0 && !bind(fd, &at->sa.any, at->size) &&
			   !getsockname(fd, &at->sa.any, &at->size),
		   "bind: %s", strerror(errno));
	return fd;
}

static void *sends_once(void *arg)
{
	struct datagrams *d = arg;
	const struct sockaddr *to = &d->peer.sa.any;

	prctl(PR_SET_NAME, "pool-7-thread-1");
	expectation_task(&d->task);
	if (d->fd < 0) { /* connect() is the first call */
		d->fd = datagram_socket(&d->own);
		LIVE_CHECK(!connect(d->fd, to, d->peer.size) && send(d->fd, "x", 1, 0) == 1,
			   "send: %s", strerror(errno));
	} else {
		LIVE_CHECK(sendto(d->fd, "x", 1, 0, to, d->peer.size) == 1, "sendto: %s",
			   strerror(errno));
	}
	return NULL;
}

static void connects_and_sends(const void *arg, void *out)
{
	struct datagrams *d = out;

	d->peer = *(const struct connection_address *)arg;
	d->fd = -1;
	prctl(PR_SET_NAME, "java");
	in_thread(sends_once, d);
}

static void binds(const void *unused, void *out)
{
	struct datagrams *d = out;

	(void)unused;
	d->fd = datagram_socket(&d->own);
}

static void answers(const void *arg, void *out)
{
	struct datagrams *d = out;
	char byte;

	*d = *(const struct datagrams *)arg;
	LIVE_CHECK(recv(d->fd, &byte, 1, 0) == 1, "recv: %s", strerror(errno));
	prctl(PR_SET_NAME, "java");
	in_thread(sends_once, d);
}

/* Checks the kinds of all events, and that all from "first" on name the task. */
static void expect_kinds(const uint32_t *kinds, size_t count, size_t first,
			 const struct datagrams *d)
{
	for (size_t i = 0; i < count && i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];
		const char *name = agentsh_ebpf_kind_name(kinds[i]), *differs;

		ck_assert_str_eq(agentsh_ebpf_kind_name(e->kind), name);
		ck_assert_int_eq(!(e->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED), i >= first);
		differs = i < first ? NULL : expectation_task_differs(&d->task, e);
		LIVE_CHECK(!differs, "%s: %s", name, differs);
		LIVE_CHECK(i >= first || !expectation_has_task(e), "%s has a task", name);
	}
	ck_assert_uint_eq(live_seen.count, count);
}

static struct agentsh_ebpf_session *start_traffic(struct live_worker *worker,
						  struct agentsh_ebpf_tracer **tracer)
{
	static struct live_cgroup cgroup;
	struct agentsh_ebpf_session *session;

	*tracer = connection_open(WITH_TRAFFIC);
	live_cgroup_make(&cgroup, NULL);
	session = live_attach(*tracer, &cgroup, SESSION_ID);
	live_worker_start(worker, &cgroup);
	return session;
}

START_TEST(first_data_and_progress)
{
	static const uint32_t kinds[] = {AGENTSH_EBPF_EVENT_CONNECT, AGENTSH_EBPF_EVENT_FIRST_DATA,
					 AGENTSH_EBPF_EVENT_PROGRESS};
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_tracer *tracer;
	struct connection_address at;
	struct live_worker worker;
	struct datagrams d;
	int fd = datagram_socket(&at);

	session = start_traffic(&worker, &tracer);
	live_worker_call(&worker, connects_and_sends, &at, sizeof(at), &d, sizeof(d));
	live_detach(session);
	live_worker_stop(&worker);
	close(fd);
	live_drain(tracer);
	expect_kinds(kinds, LIVE_COUNT(kinds), 0, &d);
}
END_TEST

/* Nobody owns a socket that only received; the first process that sends with it does. */
START_TEST(owner_of_a_server)
{
	static const uint32_t kinds[] = {AGENTSH_EBPF_EVENT_UNANNOUNCED,
					 AGENTSH_EBPF_EVENT_UDP_SEND, AGENTSH_EBPF_EVENT_FIRST_DATA,
					 AGENTSH_EBPF_EVENT_CLOSED};
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;
	struct datagrams d, answered;
	int fd;

	start_traffic(&worker, &tracer);
	live_worker_call(&worker, binds, NULL, 0, &d, sizeof(d));
	fd = datagram_socket(&d.peer);
	ck_assert_int_eq(sendto(fd, "x", 1, 0, &d.own.sa.any, d.own.size), 1);
	live_worker_call(&worker, answers, &d, sizeof(d), &answered, sizeof(answered));
	live_worker_stop(&worker);
	close(fd);
	live_drain(tracer);
	expect_kinds(kinds, LIVE_COUNT(kinds), 1, &answered);
	for (size_t i = 0; i < live_seen.count; i++)
		LIVE_CHECK(live_seen.list[i].flags & AGENTSH_EBPF_FLAG_INBOUND,
			   "event %zu is not INBOUND", i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("who");
	TCase *tcase = live_case(suite, "who");

	tcase_add_loop_test(tcase, thread_is, 0, LIVE_COUNT(thread_cases));
	tcase_add_loop_test(tcase, ring_worker_is, 0, 2);
	tcase_add_loop_test(tcase, hidden, 0, 2);
	tcase_add_test(tcase, first_data_and_progress);
	tcase_add_test(tcase, owner_of_a_server);
	return live_main(suite);
}
