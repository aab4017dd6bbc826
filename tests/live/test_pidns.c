/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host is the first process of a new PID namespace, as in a container. ns_pid and ns_tgid
 * are the numbers that its fork() returns; pid and tgid are those of the initial namespace,
 * which only the /proc outside shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "kernel.h"
#include "live.h"

#define SESSION_ID 77

static struct live_cgroup session;
static struct call_expectations expectations;

/* ---- traced processes --------------------------------------------------- */

static void *thread_calls(void *out)
{
	calls_make_all(NULL, out);
	return NULL;
}

static void second_thread(const void *unused, void *out)
{
	pthread_t thread;

	(void)unused;
	LIVE_CHECK(!pthread_create(&thread, NULL, thread_calls, out) && !pthread_join(thread, NULL),
		   "thread");
}

/* Makes the calls one PID namespace below the host. */
static void deeper(const void *unused, void *out)
{
	live_forked(CLONE_NEWPID, calls_make_all, unused, out, sizeof(struct call_expectations));
}

static void much_deeper(const void *unused, void *out)
{
	live_forked(CLONE_NEWPID, deeper, unused, out, sizeof(struct call_expectations));
}

static void deeper_thread(const void *unused, void *out)
{
	live_forked(CLONE_NEWPID, second_thread, unused, out, sizeof(struct call_expectations));
}

/* ---- the host ----------------------------------------------------------- */

/* Compares the worker's expectations with the events; a difference fails the host. */
static void trace(struct agentsh_ebpf_tracer *tracer, struct live_worker *worker, live_fn fn,
		  const char *caller)
{
	const char *differs;

	live_seen.count = 0;
	memset(&expectations, 0, sizeof(expectations));
	live_worker_call(worker, fn, NULL, 0, &expectations, sizeof(expectations));
	live_drain(tracer);
	for (size_t i = 0; i < expectations.count; i++)
		expectations.list[i].want.session_id = SESSION_ID;
	differs = expectation_all_differ(expectations.list, expectations.count);
	LIVE_CHECK(expectations.count && !differs, "%s: %s", caller,
		   differs ? differs : "no expectations");
}

/* In a worker of its own: a process cannot unshare twice in a row. */
static void trace_deeper(struct agentsh_ebpf_tracer *tracer, live_fn fn, const char *caller)
{
	const struct agentsh_ebpf_event *e = live_seen.list;
	struct live_worker worker;

	live_worker_start(&worker, &session);
	trace(tracer, &worker, fn, caller);
	/* the number in the host's namespace, not 1, which getpid() returns there */
	LIVE_CHECK(e->ns_tgid > (uint32_t)worker.pid && e->container_tgid == 1,
		   "%s: ns_tgid is %u, container_tgid is %u", caller, e->ns_tgid,
		   e->container_tgid);
	live_worker_stop(&worker);
}

static void host(const void *unused, void *out)
{
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;
	const struct agentsh_ebpf_event *e = live_seen.list;

	(void)unused;
	LIVE_CHECK(getpid() == 1, "the host is not the first of its namespace");
	expectation_host_level = 1; /* one below that of /proc, also for all children */
	tracer = live_open(NULL);
	live_attach(tracer, &session, SESSION_ID);

	live_worker_start(&worker, &session);
	trace(tracer, &worker, calls_make_all, "main thread");
	LIVE_CHECK(e->ns_tgid == (uint32_t)worker.pid && e->ns_pid == (uint32_t)worker.pid,
		   "ns_tgid is %u, fork() returned %d", e->ns_tgid, (int)worker.pid);
	LIVE_CHECK(e->tgid != e->ns_tgid, "the same number in both namespaces");
	LIVE_CHECK(e->container_tgid == e->ns_tgid && e->container_pid == e->ns_pid,
		   "container_tgid is %u", e->container_tgid);
	trace(tracer, &worker, second_thread, "second thread");
	LIVE_CHECK(e->ns_tgid == (uint32_t)worker.pid && e->ns_pid != e->ns_tgid,
		   "ns_pid %u, ns_tgid %u of a second thread of %d", e->ns_pid, e->ns_tgid,
		   (int)worker.pid);
	live_worker_stop(&worker);
	trace_deeper(tracer, deeper, "in a deeper PID namespace");
	trace_deeper(tracer, much_deeper, "in two deeper PID namespaces");
	trace_deeper(tracer, deeper_thread, "second thread in a deeper PID namespace");
	/* 2, or more where a sanitizer has started a thread of its own */
	LIVE_CHECK(e->container_pid > e->container_tgid, "container_pid is %u", e->container_pid);
	live_close(tracer);
	*(int *)out = 1;
}

static void host_in_pidns(const void *arg, void *out)
{
	live_forked(CLONE_NEWPID, host, arg, out, sizeof(int));
}

START_TEST(host_in_a_new_pid_namespace)
{
	struct live_worker outside;
	int done = 0;

	live_cgroup_make(&session, NULL);
	live_worker_start(&outside, NULL);
	live_worker_call(&outside, host_in_pidns, NULL, 0, &done, sizeof(done));
	live_worker_stop(&outside);
	ck_assert_int_eq(done, 1);
}
END_TEST

/* ---- a process that is not in the host's namespace ----------------------- */

static struct agentsh_ebpf_tracer *deep_tracer;

/* The host runs in two halves, so that a process of another namespace can act in between. */
static void host_begins(const void *unused, void *out)
{
	(void)unused;
	deep_tracer = live_open(NULL);
	live_attach(deep_tracer, &session, SESSION_ID);
	*(int *)out = getpid();
}

static void host_ends(const void *arg, void *out)
{
	const char *differs;

	memcpy(&expectations, arg, sizeof(expectations));
	live_drain(deep_tracer);
	differs = expectation_all_differ(expectations.list, expectations.count);
	LIVE_CHECK(!differs, "%s", differs);
	live_close(deep_tracer);
	*(size_t *)out = live_seen.count;
}

/*
 * Runs in a helper process, because unshare() applies to all later children of its caller.
 * beside: the traced process is as deep as the host, but in another namespace, whose numbers
 * mean nothing to the host.
 */
static void stranger_calls(const void *beside, void *out)
{
	struct live_worker deep, stranger;
	size_t seen = 0;
	int pid = 0, own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	expectation_host_level = -1; /* the callers are not visible to the host */
	if (!*(const bool *)beside)
		live_worker_start(&stranger, &session);
	LIVE_CHECK(!unshare(CLONE_NEWPID), "unshare: %s", strerror(errno));
	live_worker_start(&deep, NULL);
	live_worker_call(&deep, host_begins, NULL, 0, &pid, sizeof(pid));
	LIVE_CHECK(pid == 1, "the host is process %d", pid);
	if (*(const bool *)beside) {
		/* back to the first namespace */
		LIVE_CHECK(!setns(own, CLONE_NEWPID) && !unshare(CLONE_NEWPID), "setns: %s",
			   strerror(errno));
		live_worker_start(&stranger, &session);
	}

	memset(&expectations, 0, sizeof(expectations));
	live_worker_call(&stranger, calls_make_all, NULL, 0, &expectations, sizeof(expectations));
	for (size_t i = 0; i < expectations.count; i++)
		expectations.list[i].want.session_id = SESSION_ID;
	live_worker_call(&deep, host_ends, &expectations, sizeof(expectations), &seen,
			 sizeof(seen));
	live_worker_stop(&stranger);
	live_worker_stop(&deep);
	*(size_t *)out = seen;
}

static void expect_strangers(bool beside)
{
	struct live_worker helper;
	size_t seen = 0;

	live_cgroup_make(&session, NULL);
	live_worker_start(&helper, NULL);
	live_worker_call(&helper, stranger_calls, &beside, sizeof(beside), &seen, sizeof(seen));
	live_worker_stop(&helper);
	ck_assert_uint_gt(seen, calls_all_count);
}

START_TEST(process_outside_the_hosts_namespace)
{
	expect_strangers(false);
}
END_TEST

START_TEST(process_beside_the_hosts_namespace)
{
	expect_strangers(true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pidns");
	TCase *tcase = live_case(suite, "host in a PID namespace");

	if (kernel_hides_tasks())
		return live_skip(kernel_hides_tasks());
	tcase_add_test(tcase, host_in_a_new_pid_namespace);
	tcase_add_test(tcase, process_outside_the_hosts_namespace);
	tcase_add_test(tcase, process_beside_the_hosts_namespace);
	return live_main(suite);
}
