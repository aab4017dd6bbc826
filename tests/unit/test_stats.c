/* SPDX-License-Identifier: Apache-2.0 */
/* The counters, per session and in total, at every step of a session. */
#include <errno.h>
#include <unistd.h>

#include "unit.h"

#define EXPECT(stats, was_sessions, was_delivered, was_lost, was_lost_quota)                       \
	do {                                                                                       \
		struct agentsh_ebpf_stats got_ = (stats);                                          \
		ck_assert_uint_eq(got_.sessions, was_sessions);                                    \
		ck_assert_uint_eq(got_.delivered, was_delivered);                                  \
		ck_assert_uint_eq(got_.lost, was_lost);                                            \
		ck_assert_uint_eq(got_.lost_quota, was_lost_quota);                                \
		ck_assert_uint_eq(got_.deduplicated, 0);                                           \
		ck_assert_uint_eq(got_.malformed, 0);                                              \
	} while (0)

START_TEST(from_zero)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *session;

	EXPECT(unit_tracer_stats(tracer), 0, 0, 0, 0);
	session = unit_attach(tracer, 1);
	EXPECT(unit_tracer_stats(tracer), 1, 0, 0, 0);
	EXPECT(unit_session_stats(session), 1, 0, 0, 0);
	ck_assert_uint_eq(unit_tracer_stats(tracer).attach_failures, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(session_and_total)
{
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = UNIT_RING_SMALL,
		.ring_quota = 50,
	};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session *a = unit_attach(tracer, 1), *b = unit_attach(tracer, 2);
	struct agentsh_ebpf_event got[UNIT_CAPACITY(UNIT_RING_SMALL)];

	/*
	 * 11 records of a exceed its 2048 bytes; 9 of b fill the rest; then each record is
	 * refused
	 */
	for (uint64_t i = 0; i < 20; i++)
		ck_assert_int_eq(unit_inject(a, i), i < 11 ? 0 : -ENOBUFS);
	for (uint64_t i = 0; i < 15; i++)
		ck_assert_int_eq(unit_inject(b, i), i < 9 ? 0 : -ENOBUFS);
	EXPECT(unit_session_stats(a), 1, 0, 9, 9);
	EXPECT(unit_session_stats(b), 1, 0, 6, 0);
	EXPECT(unit_tracer_stats(tracer), 2, 0, 15, 9);

	ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 15, 0), 15);
	EXPECT(unit_session_stats(a), 1, 11, 9, 9);
	EXPECT(unit_session_stats(b), 1, 4, 6, 0);
	EXPECT(unit_tracer_stats(tracer), 2, 15, 15, 9);

	ck_assert_int_eq(agentsh_ebpf_session_detach(a), 0);
	EXPECT(unit_tracer_stats(tracer), 1, 15, 15, 9);
	ck_assert_uint_eq(unit_drain(tracer), 5);
	EXPECT(unit_session_stats(b), 1, 9, 6, 0);
	EXPECT(unit_tracer_stats(tracer), 1, 20, 15, 9);
	ck_assert_int_eq(agentsh_ebpf_session_detach(b), 0);
	EXPECT(unit_tracer_stats(tracer), 0, 20, 15, 9);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* One slot is reused many times, and no session sees the counts of earlier ones. */
START_TEST(reused_slot)
{
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = UNIT_RING_SMALL,
		.ring_quota = 100,
		.max_sessions = 1,
	};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_event got[4];
	uint64_t delivered = 0, lost = 0;

	for (uint64_t round = 1; round <= 100; round++) {
		struct agentsh_ebpf_session *session = unit_attach(tracer, round);
		uint32_t unread;

		EXPECT(unit_session_stats(session), 1, 0, 0, 0);
		ck_assert_int_eq(unit_inject(session, 1), 0);
		ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 1, 0), 1);
		ck_assert_uint_eq(got[0].session_lost, 0);
		unread = unit_fill(session);
		ck_assert_uint_eq(unread, UNIT_CAPACITY(UNIT_RING_SMALL));
		EXPECT(unit_session_stats(session), 1, 1, 1, 0);
		ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);

		/* the events of the old session are read while the new one owns the slot */
		session = unit_attach(tracer, round + 1000000);
		EXPECT(unit_session_stats(session), 1, 0, 0, 0);
		ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 4, 0), 4);
		for (int i = 0; i < 4; i++)
			ck_assert_uint_eq(got[i].session_id, round);
		EXPECT(unit_session_stats(session), 1, 0, 0, 0);
		ck_assert_int_eq(unit_inject(session, 1), 0);
		ck_assert_uint_eq(unit_drain(tracer), unread - 4 + 1);
		EXPECT(unit_session_stats(session), 1, 1, 0, 0);
		ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);

		delivered += 1 + unread + 1;
		lost += 1;
		EXPECT(unit_tracer_stats(tracer), 0, delivered, lost, 0);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* session_lost starts from zero, too, although the count of the slot does not. */
START_TEST(lost_of_a_new_session)
{
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = UNIT_RING_SMALL,
		.ring_quota = 100,
		.max_sessions = 1,
	};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_event got;

	unit_fill(session);
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(unit_inject(session, 0), -ENOBUFS);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	session = unit_attach(tracer, 2);
	ck_assert_int_eq(unit_inject(session, 0), -ENOBUFS);
	unit_drain(tracer);
	ck_assert_int_eq(unit_inject(session, 0), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	ck_assert_uint_eq(got.session_id, 2);
	ck_assert_uint_eq(got.session_lost, 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Every failed call counts, whatever the reason. */
START_TEST(attach_failures)
{
	const struct agentsh_ebpf_tracer_options o = {.max_sessions = 1};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session_options bad = {.size = 1};
	struct agentsh_ebpf_error bad_error = {.size = 3};
	struct agentsh_ebpf_session *session;
	uint64_t failures = 0;

	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, -1, NULL, &session, NULL), -EBADF);
	ck_assert_uint_eq(unit_tracer_stats(tracer).attach_failures, ++failures);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, &bad, &session, NULL), -EINVAL);
	ck_assert_uint_eq(unit_tracer_stats(tracer).attach_failures, ++failures);
	unit_attach(tracer, 1);
	ck_assert_uint_eq(unit_tracer_stats(tracer).attach_failures, failures);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &session, NULL), -ENOSPC);
	ck_assert_uint_eq(unit_tracer_stats(tracer).attach_failures, ++failures);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, NULL, NULL), -EFAULT);
	ck_assert_uint_eq(unit_tracer_stats(tracer).attach_failures, ++failures);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &session, &bad_error),
			 -EINVAL);
	ck_assert_uint_eq(unit_tracer_stats(tracer).attach_failures, ++failures);
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats");
	TCase *tcase = unit_case(suite, "stats");

	tcase_add_test(tcase, from_zero);
	tcase_add_test(tcase, session_and_total);
	tcase_add_test(tcase, reused_slot);
	tcase_add_test(tcase, lost_of_a_new_session);
	tcase_add_test(tcase, attach_failures);
	return unit_main(suite);
}
