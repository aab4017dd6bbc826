/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forked child has copies of the tracer and its sessions, and may end them (a finalizer,
 * atexit). The parent's sessions go on, and the child takes none of its events.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "traffic.h"

#define EVENTS 5

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;

struct outcome {
	int poll, read, attach, detach;
	int fds; /* descriptors that the child has fewer after closing */
};

static void end_all(const void *close_only, void *out)
{
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_session *another;
	struct agentsh_ebpf_event event;
	struct outcome *o = out;

	o->poll = agentsh_ebpf_poll(tracer, 0);
	o->read = agentsh_ebpf_read(tracer, &event, 1, 0);
	o->attach = agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &another, &err);
	live_expect_message(&err, "forked");
	o->fds = live_open_fds();
	o->detach = *(const int *)close_only ? 0 : agentsh_ebpf_session_detach(session);
	agentsh_ebpf_tracer_close(tracer);
	o->fds -= live_open_fds();
}

/* In the same PID namespace, and in a new one, where parent and child may have one number. */
START_TEST(child_ends_its_copies)
{
	const int flags = _i & 1 ? CLONE_NEWPID : 0, close_only = _i >> 1;
	int own_pidns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	struct live_worker worker;
	struct outcome o;

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(NULL);
	session = live_attach(tracer, &cgroup, 7);
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, SENDS(.first = 1, .count = EVENTS));

	live_forked(flags, end_all, &close_only, &o, sizeof(o));
	/* later cases fork in this process's own namespace again */
	ck_assert_int_eq(setns(own_pidns, CLONE_NEWPID), 0);
	close(own_pidns);
	ck_assert_int_eq(o.poll, -EPERM);
	ck_assert_int_eq(o.read, -EPERM);
	ck_assert_int_eq(o.attach, -EPERM);
	ck_assert_int_eq(o.detach, 0);
	ck_assert_int_gt(o.fds, 4);

	live_drain_until(tracer, EVENTS);
	ck_assert_uint_eq(live_seen.count, EVENTS);
	traffic_of(&worker, SENDS(.first = EVENTS + 1, .count = EVENTS));
	live_drain_until(tracer, 2 * EVENTS);
	ck_assert_uint_eq(live_seen.count, 2 * EVENTS);
	ck_assert_uint_eq(live_session_stats(session).delivered, 2 * EVENTS);
	ck_assert_uint_eq(live_tracer_stats(tracer).sessions, 1);
	live_worker_stop(&worker);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	live_close(tracer);
	live_cgroup_remove(&cgroup);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fork");

	tcase_add_loop_test(live_case(suite, "fork"), child_ends_its_copies, 0, 4);
	return live_main(suite);
}
