/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of sessions: a handle of a detached session is an error, and never names another one. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail.h"
#include "unit.h"

/* Every call with the handle of a detached session says so, and touches nothing. */
static void expect_stale(struct agentsh_ebpf_session *session)
{
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)}, untouched = stats;

	ck_assert_int_eq(agentsh_ebpf_session_detach(session), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_session_stats(session, &stats), -EINVAL);
	ck_assert_mem_eq(&stats, &untouched, sizeof(stats));
	ck_assert_int_eq(unit_inject(session, 1), -EINVAL);
}

START_TEST(stale_handles)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *a = unit_attach(tracer, 1), *b = unit_attach(tracer, 2);

	ck_assert_int_eq(agentsh_ebpf_session_detach(a), 0);
	expect_stale(a);
	ck_assert_int_eq(unit_inject(b, 1), 0);
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, 1);
	ck_assert_uint_eq(unit_drain(tracer), 1);
	ck_assert_int_eq(agentsh_ebpf_session_detach(b), 0);
	expect_stale(a);
	expect_stale(b);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* No handle is ever given again, so the handle of a past session names no later session. */
START_TEST(handles_are_unique)
{
	enum { ROUNDS = 10000, HELD = 100 };
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *held[HELD] = {0}, **past = calloc(ROUNDS, sizeof(*past));
	size_t past_count = 0;

	ck_assert_ptr_nonnull(past);
	for (size_t i = 0; i < ROUNDS; i++) {
		uint32_t k = unit_below(HELD);

		if (held[k]) {
			ck_assert_int_eq(agentsh_ebpf_session_detach(held[k]), 0);
			past[past_count++] = held[k];
		}
		held[k] = unit_attach(tracer, i);
	}
	for (size_t i = 0; i < past_count; i++) {
		struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

		ck_assert_int_eq(agentsh_ebpf_session_stats(past[i], &stats), -EINVAL);
		ck_assert_int_eq(agentsh_ebpf_session_detach(past[i]), -EINVAL);
	}
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, HELD);
	free(past);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(stale_in_forked_child)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		if (agentsh_ebpf_session_stats(session, &stats) ||
		    agentsh_ebpf_session_detach(session))
			_exit(1);
		_exit(agentsh_ebpf_session_detach(session) == -EINVAL &&
				      agentsh_ebpf_session_stats(session, &stats) == -EINVAL
			      ? 0
			      : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_uint_eq(unit_drain(tracer), 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

struct race {
	struct agentsh_ebpf_session *session;
	pthread_barrier_t start;
};

static void *detach_in_thread(void *arg)
{
	struct race *race = arg;

	pthread_barrier_wait(&race->start);
	return (void *)(intptr_t)agentsh_ebpf_session_detach(race->session);
}

/* Two threads detach the same session while a third reads its statistics. */
START_TEST(two_threads_detach)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);

	for (int i = 0; i < 500; i++) {
		struct race race = {.session = unit_attach(tracer, 1)};
		struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};
		pthread_t threads[2];
		void *first, *second;
		int ret;

		pthread_barrier_init(&race.start, NULL, 3);
		for (int k = 0; k < 2; k++)
			ck_assert_int_eq(pthread_create(&threads[k], NULL, detach_in_thread, &race),
					 0);
		pthread_barrier_wait(&race.start);
		do
			ret = agentsh_ebpf_session_stats(race.session, &stats);
		while (!ret);
		ck_assert_int_eq(ret, -EINVAL);
		pthread_join(threads[0], &first);
		pthread_join(threads[1], &second);
		pthread_barrier_destroy(&race.start);
		ck_assert_int_eq((intptr_t)first + (intptr_t)second, -EINVAL);
		ck_assert(!first || !second);
	}
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* The memory for handles is allocated in chunks; without it, attach fails and nothing changes. */
START_TEST(no_memory_for_handles)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *session, *last = NULL;
	uint32_t attached = 0;
	const char *what;
	int ret;

	if (!fail_has_allocations()) {
		printf("left out: no memory for handles: allocations cannot be made to fail "
		       "here\n");
		agentsh_ebpf_tracer_close(tracer);
		return;
	}
	for (;;) {
		fail_arm(3, 0); /* after fcntl() and the memory of the session */
		ret = agentsh_ebpf_session_attach(tracer, 0, NULL, &session, &err);
		fail_disarm(&what);
		if (ret)
			break;
		ck_assert_uint_lt(++attached, 1000);
		last = session;
	}
	ck_assert_int_eq(ret, -ENOMEM);
	ck_assert_str_eq(what, "aligned_alloc");
	ck_assert_ptr_null(session);
	unit_expect_error(&err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY, "memory");
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, attached);
	ck_assert_int_eq(unit_inject(last, 1), 0);
	unit_attach(tracer, 1);
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, attached + 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handles");
	TCase *tcase = unit_case(suite, "handles");

	tcase_add_test(tcase, stale_handles);
	tcase_add_test(tcase, handles_are_unique);
	tcase_add_test(tcase, stale_in_forked_child);
	tcase_add_test(tcase, two_threads_detach);
	tcase_add_test(tcase, no_memory_for_handles);
	return unit_main(suite);
}
