/* SPDX-License-Identifier: Apache-2.0 */
/* Attach and detach: limits, many rounds, and events that are unread at the end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

START_TEST(pending_after_detach)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *a = unit_attach(tracer, 1), *b = unit_attach(tracer, 2);
	struct agentsh_ebpf_event put[20], got[20];

	for (int i = 0; i < 20; i++) {
		put[i] = unit_random_event();
		ck_assert_int_eq(agentsh_ebpf_inject(i % 2 ? b : a, &put[i]), 0);
	}
	ck_assert_int_eq(agentsh_ebpf_session_detach(a), 0);
	ck_assert_int_eq(agentsh_ebpf_session_detach(b), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 20, UNIT_DEADLINE_MS), 20);
	for (int i = 0; i < 20; i++)
		unit_expect_event(&got[i], &put[i], i % 2 ? 2 : 1, 0);
	ck_assert_uint_eq(unit_tracer_stats(tracer).delivered, 20);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* The host chooses session_id freely: the same one twice, zero, all bits. */
START_TEST(session_ids)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	const struct agentsh_ebpf_session_options o = {.size = sizeof(o), .session_id = 0};
	const uint64_t ids[] = {5, 5, 0, UINT64_MAX, 1ULL << 63, 0xffffffff};
	struct agentsh_ebpf_session *sessions[UNIT_COUNT(ids)], *other;
	struct agentsh_ebpf_event got;

	for (size_t i = 0; i < UNIT_COUNT(ids); i++)
		sessions[i] = unit_attach(tracer, ids[i]);
	for (size_t i = 0; i < UNIT_COUNT(ids); i++) {
		ck_assert_int_eq(unit_inject(sessions[i], i), 0);
		ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
		ck_assert_uint_eq(got.session_id, ids[i]);
		ck_assert_uint_eq(got.socket_cookie, i);
		ck_assert_uint_eq(unit_session_stats(sessions[i]).delivered, 1);
	}
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &other, NULL), 0);
	ck_assert_int_eq(unit_inject(other, 1), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	ck_assert_uint_eq(got.session_id, 0);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, &o, &other, NULL), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(as_many_as_allowed)
{
	static const uint32_t limits[] = {1, 2, 64, 65, 200};
	const struct agentsh_ebpf_tracer_options o = {.max_sessions = limits[_i]};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session *sessions[200], *one_more = (void *)tracer;
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	char number[12];

	snprintf(number, sizeof(number), "%u", limits[_i]);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < limits[_i]; i++)
			sessions[i] = unit_attach(tracer, i);
		ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &one_more, &err),
				 -ENOSPC);
		ck_assert_ptr_null(one_more);
		unit_expect_error(&err, -ENOSPC, AGENTSH_EBPF_STEP_SESSION_SLOT, "max_sessions");
		unit_expect_error(&err, -ENOSPC, AGENTSH_EBPF_STEP_SESSION_SLOT, number);
		ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, limits[_i]);
		/* the attached sessions go on, and one freed slot is enough for the next session */
		ck_assert_int_eq(unit_inject(sessions[0], 1), 0);
		ck_assert_int_eq(agentsh_ebpf_session_detach(sessions[limits[_i] / 2]), 0);
		sessions[limits[_i] / 2] = unit_attach(tracer, 1);
		for (uint32_t i = 0; i < limits[_i]; i++)
			ck_assert_int_eq(agentsh_ebpf_session_detach(sessions[i]), 0);
		ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, 0);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(many_rounds)
{
	const struct agentsh_ebpf_tracer_options o = {.max_sessions = 3};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session *sessions[3] = {0};
	struct agentsh_ebpf_event got;
	int fds = unit_open_fds();

	for (uint64_t i = 0; i < 20000; i++) {
		uint32_t k = unit_below(3);

		if (sessions[k])
			ck_assert_int_eq(agentsh_ebpf_session_detach(sessions[k]), 0);
		sessions[k] = unit_attach(tracer, i);
		ck_assert_int_eq(unit_inject(sessions[k], i), 0);
		ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
		ck_assert_uint_eq(got.session_id, i);
		ck_assert_uint_eq(unit_session_stats(sessions[k]).delivered, 1);
	}
	ck_assert_int_eq(unit_open_fds(), fds);
	ck_assert_uint_eq(unit_tracer_stats(tracer).delivered, 20000);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/*
 * A synthetic tracer accepts any open descriptor, but no other number, so that a host's
 * tests find a wrong one.
 */
START_TEST(descriptors)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *session = (void *)tracer;
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	int pipe_fds[2], closed;

	ck_assert_int_eq(pipe(pipe_fds), 0);
	closed = pipe_fds[1];
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, pipe_fds[0], NULL, &session, &err), 0);
	unit_expect_no_error(&err);
	close(pipe_fds[0]); /* the descriptor may be closed after attach */
	close(pipe_fds[1]);
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, -1, NULL, &session, &err), -EBADF);
	ck_assert_ptr_null(session);
	unit_expect_error(&err, -EBADF, AGENTSH_EBPF_STEP_CGROUP, "cgroup_fd -1");
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, -100, NULL, &session, &err), -EBADF);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, closed, NULL, &session, &err), -EBADF);
	unit_expect_error(&err, -EBADF, AGENTSH_EBPF_STEP_CGROUP, "cgroup_fd");
	ck_assert_uint_eq(unit_drain(tracer), 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Close frees everything, even with sessions attached, events unread and a wake pending. */
START_TEST(close_leaves_nothing)
{
	int fds = unit_open_fds();

	for (int i = 0; i < 50; i++) {
		struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);

		for (uint64_t k = 0; k < 10; k++)
			unit_inject(unit_attach(tracer, k), k);
		agentsh_ebpf_wake(tracer);
		ck_assert_int_gt(unit_open_fds(), fds);
		agentsh_ebpf_tracer_close(tracer);
		ck_assert_int_eq(unit_open_fds(), fds);
	}
	agentsh_ebpf_tracer_close(NULL);
}
END_TEST

/* The ring of a forked child is a copy, but the descriptors are the parent's. */
START_TEST(inject_in_forked_child)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct pollfd poll_fd = {.fd = agentsh_ebpf_fd(tracer), .events = POLLIN};
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid)
		_exit(unit_inject(session, 1) == -EPERM ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
	ck_assert_int_eq(unit_inject(session, 2), 0);
	ck_assert_uint_eq(unit_drain(tracer), 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* A host forks and executes commands, and none of them may inherit the tracer. */
START_TEST(close_on_exec)
{
	struct agentsh_ebpf_tracer *tracer;
	int was[64];

	for (int fd = 0; fd < 64; fd++)
		was[fd] = fcntl(fd, F_GETFD);
	tracer = unit_open(NULL);
	unit_attach(tracer, 1);
	for (int fd = 0; fd < 64; fd++) {
		int now = fcntl(fd, F_GETFD);

		ck_assert_msg(now == was[fd] || (now & FD_CLOEXEC), "fd %d stays open", fd);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Whichever descriptor cannot be opened, the error gives the reason, and nothing stays open. */
START_TEST(out_of_descriptors)
{
	const struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
	};
	struct agentsh_ebpf_tracer *tracer = NULL;
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	int fds = unit_open_fds(), lowest = dup(0), failures = 0, ret;
	struct rlimit limit;

	close(lowest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int more = 0;; more++) {
		struct rlimit low = {.rlim_cur = (rlim_t)(lowest + more), limit.rlim_max};

		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
		ret = agentsh_ebpf_tracer_open(&o, &tracer, &err);
		setrlimit(RLIMIT_NOFILE, &limit);
		if (!ret)
			break;
		failures++;
		ck_assert_int_eq(ret, -EMFILE);
		ck_assert_ptr_null(tracer);
		unit_expect_error(&err, -EMFILE, AGENTSH_EBPF_STEP_EVENT_FD, "RLIMIT_NOFILE");
		ck_assert_int_eq(unit_open_fds(), fds);
		ck_assert_int_lt(more, 20);
	}
	ck_assert_int_gt(failures, 0);
	unit_expect_no_error(&err);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(out_of_memory)
{
	const struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.ring_size = 1 << 30,
	};
	const struct rlimit low = {512 << 20, 512 << 20};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer = (void *)&err;
	int fds = unit_open_fds();

	if (unit_sanitized())
		return;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &low), 0);
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, &err), -ENOMEM);
	ck_assert_ptr_null(tracer);
	unit_expect_error(&err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY, "ring_size");
	ck_assert_int_eq(unit_open_fds(), fds);
	agentsh_ebpf_tracer_close(unit_open(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sessions");
	TCase *tcase = unit_case(suite, "sessions");

	tcase_add_test(tcase, pending_after_detach);
	tcase_add_test(tcase, session_ids);
	tcase_add_loop_test(tcase, as_many_as_allowed, 0, 5);
	tcase_add_test(tcase, many_rounds);
	tcase_add_test(tcase, descriptors);
	tcase_add_test(tcase, close_leaves_nothing);
	tcase_add_test(tcase, close_on_exec);
	tcase_add_test(tcase, inject_in_forked_child);
	tcase_add_test(tcase, out_of_descriptors);
	tcase_add_test(tcase, out_of_memory);
	return unit_main(suite);
}
