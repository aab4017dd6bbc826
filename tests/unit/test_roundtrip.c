/* SPDX-License-Identifier: Apache-2.0 */
/* Injected events are delivered with every member and in order, by read and by poll. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "unit.h"

#define ROUNDS 400
#define BATCH 15

struct seen {
	struct agentsh_ebpf_event events[BATCH];
	uint32_t count;
};

static int keep(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct seen *seen = ctx;

	if (seen->count < BATCH)
		seen->events[seen->count] = *event;
	seen->count++;
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

START_TEST(every_member)
{
	struct agentsh_ebpf_event put[BATCH];
	struct seen seen;
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = UNIT_RING_SMALL,
		.ring_quota = 100,
		.on_event = keep,
		.event_ctx = &seen,
	};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session *sessions[2];
	const uint64_t ids[2] = {UINT64_MAX, unit_random()};
	int with_outcome = 0, without = 0;

	for (int i = 0; i < 2; i++)
		sessions[i] = unit_attach(tracer, ids[i]);
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t n = 1 + unit_below(BATCH), from[BATCH];

		memset(&seen, 0xa5, sizeof(seen));
		seen.count = 0;
		for (uint32_t i = 0; i < n; i++) {
			put[i] = unit_random_event();
			with_outcome += unit_has_outcome(&put[i]);
			without += !unit_has_outcome(&put[i]);
			from[i] = unit_below(2);
			ck_assert_int_eq(agentsh_ebpf_inject(sessions[from[i]], &put[i]), 0);
		}
		if (round % 2)
			ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), (int)n);
		else
			seen.count = (uint32_t)agentsh_ebpf_read(tracer, seen.events, BATCH, 0);
		ck_assert_uint_eq(seen.count, n);
		for (uint32_t i = 0; i < n; i++)
			unit_expect_event(&seen.events[i], &put[i], ids[from[i]], 0);
	}
	/* otherwise this test has not covered both cases */
	ck_assert_int_gt(with_outcome, ROUNDS);
	ck_assert_int_gt(without, ROUNDS);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Sets one member at a time, so that no other one can mask its loss. */
START_TEST(single_outcome_member)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 7);
	struct agentsh_ebpf_event put[8], got[8];

	for (int i = 0; i < 8; i++)
		put[i] = unit_event((uint64_t)i);
	put[0].error = -1;
	put[1].rtt_us = 1;
	put[2].duration_ns = 1ULL << 63;
	put[3].bytes_sent = 1ULL << 32;
	put[4].bytes_received = 1;
	put[5].retransmits = 1;
	put[6].packets_sent = 1U << 31;
	put[7].packets_received = 1;
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(agentsh_ebpf_inject(session, &put[i]), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 8, 0), 8);
	for (int i = 0; i < 8; i++)
		unit_expect_event(&got[i], &put[i], 7, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Values that the caller writes into members of the library are ignored. */
START_TEST(library_members)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 0);
	struct agentsh_ebpf_event put = unit_event(1), before, got;

	put.session_id = 99;
	put.session_lost = 98;
	put.reserved0 = 97;
	memset(put.reserved, 0xff, sizeof(put.reserved));
	memset(put.comm, 'x', sizeof(put.comm));
	memset(put.process_comm, 'y', sizeof(put.process_comm));
	before = put;
	ck_assert_int_eq(agentsh_ebpf_inject(session, &put), 0);
	ck_assert_mem_eq(&put, &before, sizeof(put));
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	unit_expect_event(&got, &put, 0, 0);
	ck_assert_str_eq(got.comm, "xxxxxxxxxxxxxxx");
	ck_assert_str_eq(got.process_comm, "yyyyyyyyyyyyyyy");
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* inject copies the event, so the caller may change its own copy afterwards. */
START_TEST(copied)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 5);
	struct agentsh_ebpf_event put = unit_random_event(), kept = put, got;

	ck_assert_int_eq(agentsh_ebpf_inject(session, &put), 0);
	memset(&put, 0, sizeof(put));
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	unit_expect_event(&got, &kept, 5, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(timestamp)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_event put = unit_event(1), got;
	uint64_t before, after;

	put.timestamp_ns = 0;
	before = clock_ns(CLOCK_BOOTTIME);
	ck_assert_int_eq(agentsh_ebpf_inject(session, &put), 0);
	after = clock_ns(CLOCK_BOOTTIME);
	ck_assert_uint_eq(put.timestamp_ns, 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	ck_assert_uint_ge(got.timestamp_ns, before);
	ck_assert_uint_le(got.timestamp_ns, after);
	put.timestamp_ns = got.timestamp_ns;
	unit_expect_event(&got, &put, 1, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Boot time now corresponds to the wall clock now, and differences are preserved. */
START_TEST(realtime)
{
	struct agentsh_ebpf_event event = {0};
	const uint64_t hour = 3600000000000, second = 1000000000;
	uint64_t now, at;

	ck_assert_uint_eq(agentsh_ebpf_event_realtime_ns(NULL), 0);
	event.timestamp_ns = clock_ns(CLOCK_BOOTTIME);
	at = agentsh_ebpf_event_realtime_ns(&event);
	now = clock_ns(CLOCK_REALTIME);
	ck_assert_uint_lt(at, now + second);
	ck_assert_uint_gt(at, now - second);
	event.timestamp_ns += hour;
	ck_assert_uint_gt(agentsh_ebpf_event_realtime_ns(&event), at + hour - second);
	ck_assert_uint_lt(agentsh_ebpf_event_realtime_ns(&event), at + hour + 20 * second);
}
END_TEST

START_TEST(kind_and_flags_range)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	const uint32_t bad_kinds[] = {256, 257, 0x10001, UINT32_MAX};
	const uint32_t bad_flags[] = {0x10000, 0x10001, UINT32_MAX};
	struct agentsh_ebpf_event event, got;

	for (size_t i = 0; i < UNIT_COUNT(bad_kinds); i++) {
		event = unit_event(1);
		event.kind = bad_kinds[i];
		ck_assert_int_eq(agentsh_ebpf_inject(session, &event), -ERANGE);
	}
	for (size_t i = 0; i < UNIT_COUNT(bad_flags); i++) {
		event = unit_event(1);
		event.flags = bad_flags[i];
		ck_assert_int_eq(agentsh_ebpf_inject(session, &event), -ERANGE);
	}
	/* a refused call is neither an event nor a loss */
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 0);
	ck_assert_uint_eq(unit_session_stats(session).lost, 0);
	event = unit_event(1);
	event.kind = 255;
	event.flags = 0xffff;
	ck_assert_int_eq(agentsh_ebpf_inject(session, &event), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	unit_expect_event(&got, &event, 1, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(order_of_sessions)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *sessions[4];
	struct agentsh_ebpf_event got[1000];

	for (uint64_t i = 0; i < 4; i++)
		sessions[i] = unit_attach(tracer, 100 + i);
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(unit_inject(sessions[i * i % 4], i), 0);
	for (int have = 0; have < 1000;) /* reads in pieces preserve the order */
		have += agentsh_ebpf_read(tracer, got + have, 7, 0);
	for (uint64_t i = 0; i < 1000; i++) {
		ck_assert_uint_eq(got[i].socket_cookie, i);
		ck_assert_uint_eq(got[i].session_id, 100 + i * i % 4);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Two tracers are independent. */
START_TEST(two_tracers)
{
	struct agentsh_ebpf_tracer *a = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_tracer *b = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *in_a = unit_attach(a, 1), *in_b = unit_attach(b, 2);
	struct agentsh_ebpf_event got;

	unit_fill(in_a);
	ck_assert_int_eq(unit_inject(in_b, 4711), 0);
	ck_assert_int_eq(agentsh_ebpf_read(b, &got, 1, 0), 1);
	ck_assert_uint_eq(got.session_id, 2);
	ck_assert_uint_eq(got.socket_cookie, 4711);
	ck_assert_uint_eq(got.session_lost, 0);
	ck_assert_int_eq(agentsh_ebpf_wake(a), 0);
	agentsh_ebpf_tracer_close(a);
	ck_assert_int_eq(unit_inject(in_b, 4712), 0);
	ck_assert_int_eq(agentsh_ebpf_read(b, &got, 1, 0), 1);
	ck_assert_uint_eq(unit_tracer_stats(b).lost, 0);
	ck_assert_uint_eq(unit_tracer_stats(b).sessions, 1);
	agentsh_ebpf_tracer_close(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("round trip");
	TCase *tcase = unit_case(suite, "round trip");

	tcase_add_test(tcase, every_member);
	tcase_add_test(tcase, single_outcome_member);
	tcase_add_test(tcase, library_members);
	tcase_add_test(tcase, copied);
	tcase_add_test(tcase, timestamp);
	tcase_add_test(tcase, realtime);
	tcase_add_test(tcase, kind_and_flags_range);
	tcase_add_test(tcase, order_of_sessions);
	tcase_add_test(tcase, two_tracers);
	return unit_main(suite);
}
