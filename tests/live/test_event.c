/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the table from every kind of caller: all members of the event are compared. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "live.h"

#define SESSION_ID 0xfedcba9876543210ULL

static struct call_expectations expectations;

/* ---- callers ------------------------------------------------------------ */

/* A name of 15 arbitrary bytes, which a process may choose. */
static void named(const void *unused, void *out)
{
	prctl(PR_SET_NAME, "a\xff\n\"\\\x1b[31m{}%s");
	calls_make_all(unused, out);
}

static void *thread_calls(void *out)
{
	prctl(PR_SET_NAME, "second thread");
	LIVE_CHECK(syscall(SYS_gettid) != getpid(), "not a second thread");
	calls_make_all(NULL, out);
	return NULL;
}

static void in_thread(void *(*fn)(void *), void *out)
{
	pthread_t thread;

	LIVE_CHECK(!pthread_create(&thread, NULL, fn, out), "pthread_create failed");
	LIVE_CHECK(!pthread_join(thread, NULL), "pthread_join failed");
}

static void second_thread(const void *unused, void *out)
{
	(void)unused;
	in_thread(thread_calls, out);
}

static void forked_child(const void *unused, void *out)
{
	live_forked(0, calls_make_all, unused, out, sizeof(struct call_expectations));
}

static void *thread_forks(void *out)
{
	live_forked(0, calls_make_all, NULL, out, sizeof(struct call_expectations));
	return NULL;
}

/* Its parent is the process, not the thread that forked it. */
static void forked_by_thread(const void *unused, void *out)
{
	(void)unused;
	in_thread(thread_forks, out);
}

static void one_call(const void *unused, void *out)
{
	struct call_expectations *t = out;

	(void)unused;
	t->count = call_make(&calls_all[0], t->list);
}

static void own_netns(const void *unused, void *out)
{
	live_own_netns(NULL, NULL);
	calls_make_all(unused, out);
}

/* Real, effective and saved ids all differ: the event's are the real ones. */
static void other_user(const void *unused, void *out)
{
	LIVE_CHECK(!setgroups(0, NULL) && !setresgid(23456, 65534, 65534) &&
			   !setresuid(12345, 65534, 65534),
		   "setresuid: %s", strerror(errno));
	LIVE_CHECK(getuid() == 12345 && getgid() == 23456, "ids did not change");
	calls_make_all(unused, out);
}

static void write_file(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	LIVE_CHECK(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content),
		   "%s: %s", path, strerror(errno));
	close(fd);
}

/* getuid() returns 0 here, but the event's uid is that of the initial namespace. */
static void own_userns(const void *unused, void *out)
{
	struct call_expectations *t = out;

	LIVE_CHECK(!setgroups(0, NULL) && !setresgid(23456, 23456, 23456) &&
			   !setresuid(12345, 12345, 12345) && !prctl(PR_SET_DUMPABLE, 1),
		   "setresuid: %s", strerror(errno));
	LIVE_CHECK(!unshare(CLONE_NEWUSER), "unshare: %s", strerror(errno));
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", "0 12345 1");
	write_file("/proc/self/gid_map", "0 23456 1");
	LIVE_CHECK(getuid() == 0 && getgid() == 0, "not root of the namespace");
	calls_make_all(unused, out);
	for (size_t i = 0; i < t->count; i++) {
		t->list[i].want.uid = 12345;
		t->list[i].want.gid = 23456;
	}
}

/* The event has the host's numbers, not those of the inner namespace. */
static void own_pidns(const void *unused, void *out)
{
	live_forked(CLONE_NEWPID, calls_make_all, unused, out, sizeof(struct call_expectations));
}

static void own_pidns_twice(const void *unused, void *out)
{
	live_forked(CLONE_NEWPID, own_pidns, unused, out, sizeof(struct call_expectations));
}

static void thread_in_own_pidns(const void *unused, void *out)
{
	live_forked(CLONE_NEWPID, second_thread, unused, out, sizeof(struct call_expectations));
}

/* Only later children are in the new namespace, not the caller of unshare(). */
static void pidns_for_children(const void *unused, void *out)
{
	LIVE_CHECK(!unshare(CLONE_NEWPID), "unshare: %s", strerror(errno));
	calls_make_all(unused, out);
}

static void enter_pidns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	LIVE_CHECK(fd >= 0 && !setns(fd, CLONE_NEWPID), "%s: %s", path, strerror(errno));
	close(fd);
}

/* Enters a namespace that another process has made, as "docker exec" does. */
static void joined_pidns(const void *unused, void *out)
{
	struct live_worker first;
	char path[64];

	LIVE_CHECK(!unshare(CLONE_NEWPID), "unshare: %s", strerror(errno));
	live_worker_start(&first, NULL);
	enter_pidns("/proc/self/ns/pid");
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)first.pid);
	enter_pidns(path);
	live_forked(0, calls_make_all, unused, out, sizeof(struct call_expectations));
	live_worker_stop(&first);
}

static const struct caller {
	const char *name;
	live_fn fn;
	bool child_cgroup;
} callers[] = {
	{"main thread", calls_make_all, false},
	{"main thread with an arbitrary name", named, false},
	{"second thread", second_thread, false},
	{"forked child", forked_child, false},
	{"child forked by a thread", forked_by_thread, false},
	{"child cgroup", calls_make_all, true},
	{"second thread in a child cgroup", second_thread, true},
	{"network namespace", own_netns, false},
	{"another user", other_user, false},
	{"user namespace", own_userns, false},
	{"PID namespace", own_pidns, false},
	{"PID namespace in a PID namespace", own_pidns_twice, false},
	{"second thread in a PID namespace", thread_in_own_pidns, false},
	{"PID namespace for children", pidns_for_children, false},
	{"PID namespace of another process", joined_pidns, false},
};

/* ---- tests -------------------------------------------------------------- */

static void expect_events(const char *caller)
{
	const char *differs;

	for (size_t i = 0; i < expectations.count; i++)
		expectations.list[i].want.session_id = SESSION_ID;
	differs = expectation_all_differ(expectations.list, expectations.count);
	LIVE_CHECK(!differs, "%s: %s", caller, differs);
	ck_assert_uint_gt(expectations.count, calls_all_count);
}

START_TEST(every_call_of)
{
	const struct caller *caller = &callers[_i];
	struct live_cgroup session, child;
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;

	if (caller->fn == own_userns && live_no_userns(caller->name))
		return;
	live_cgroup_make(&session, NULL);
	live_cgroup_make(&child, &session);
	tracer = live_open_kept(NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&worker, caller->child_cgroup ? &child : &session);
	live_worker_call(&worker, caller->fn, NULL, 0, &expectations, sizeof(expectations));
	live_worker_stop(&worker);
	live_drain(tracer);
	expect_events(caller->name);
	for (size_t i = 0; i < expectations.count; i++)
		ck_assert_uint_eq(live_seen.list[i].cgroup_id,
				  caller->child_cgroup ? child.id : session.id);
}
END_TEST

/* The expectations of a thread and of a namespace really differ from those of a process. */
START_TEST(callers_differ)
{
	struct live_cgroup session;
	struct live_worker worker;
	struct expectation *t = expectations.list;

	live_cgroup_make(&session, NULL);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, second_thread, NULL, 0, &expectations, sizeof(expectations));
	ck_assert_uint_ne(t->want.pid, t->want.tgid);
	ck_assert_uint_eq(t->want.tgid, worker.pid);
	ck_assert_uint_eq(t->want.ppid, getpid());
	live_worker_call(&worker, own_pidns, NULL, 0, &expectations, sizeof(expectations));
	ck_assert_uint_ne(t->want.pid, 1);
	ck_assert_uint_eq(t->want.ppid, worker.pid);
	ck_assert_uint_eq(t->want.container_tgid, 1);
	live_worker_stop(&worker);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, joined_pidns, NULL, 0, &expectations, sizeof(expectations));
	ck_assert_uint_gt(t->want.container_tgid, 1);
	ck_assert_uint_ne(t->want.container_tgid, t->want.tgid);
	live_worker_stop(&worker);
}
END_TEST

/* Events of two network namespaces, and of the first one again. */
START_TEST(each_network_namespace_has_its_cookie)
{
	static struct call_expectations more;
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker here, there;

	live_cgroup_make(&session, NULL);
	tracer = live_open_kept(NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&here, &session);
	live_worker_start(&there, &session);
	live_worker_call(&there, live_own_netns, NULL, 0, NULL, 0);
	memset(&expectations, 0, sizeof(expectations));
	for (int i = 0; i < 3; i++) {
		live_worker_call(i == 1 ? &there : &here, one_call, NULL, 0, &more, sizeof(more));
		expectations.list[expectations.count++] = more.list[0];
	}
	live_worker_stop(&there);
	live_worker_stop(&here);
	live_drain(tracer);
	ck_assert_uint_ne(expectations.list[0].netns, expectations.list[1].netns);
	ck_assert_uint_eq(expectations.list[0].netns, expectations.list[2].netns);
	for (size_t i = 0; i < expectations.count; i++)
		expectations.list[i].want.session_id = SESSION_ID;
	LIVE_CHECK(!expectation_all_differ(expectations.list, expectations.count), "%s",
		   expectation_all_differ(expectations.list, expectations.count));
}
END_TEST

/* agentsh_ebpf_read() returns the events that agentsh_ebpf_poll() passes to the callback. */
START_TEST(read_gives_the_same)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;
	int n;

	live_cgroup_make(&session, NULL);
	tracer = live_open_kept(NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, calls_make_all, NULL, 0, &expectations, sizeof(expectations));
	live_worker_stop(&worker);
	/* old bytes in the caller's array must be overwritten */
	memset(live_seen.list, 0xaa, sizeof(live_seen.list));
	while ((n = agentsh_ebpf_read(tracer, live_seen.list + live_seen.count, 5, 0)) > 0) {
		ck_assert_int_le(n, 5);
		live_seen.count += (size_t)n;
	}
	ck_assert_int_eq(n, 0);
	expect_events("read");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event");
	TCase *tcase = live_case(suite, "table");

	tcase_add_loop_test(tcase, every_call_of, 0, LIVE_COUNT(callers));
	tcase_add_test(tcase, callers_differ);
	tcase_add_test(tcase, each_network_namespace_has_its_cookie);
	tcase_add_test(tcase, read_gives_the_same);
	return live_main(suite);
}
