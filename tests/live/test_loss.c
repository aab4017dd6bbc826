/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings that are too small. Events are numbered, so session_lost must rise by exactly the gap
 * in the numbers, and delivered plus lost must be exactly the number of events made.
 */
#include <errno.h>

#include "traffic.h"

#define RING_SMALL 4096
#define RING_LARGE 65536
#define FLOOD 4000
#define QUIET 50
#define QUIET_ROUNDS 8

static struct live_cgroup cgroup, quiet_cgroup;
static struct live_worker worker;

static const struct flood {
	const char *name;
	uint32_t how;
	struct agentsh_ebpf_tracer_options options;
} floods[] = {
	{"4 KiB, all of it", TRAFFIC_CONNECT, {.ring_size = RING_SMALL, .ring_quota = 100}},
	{"4 KiB, a quarter", TRAFFIC_CONNECT, {.ring_size = RING_SMALL, .ring_quota = 25}},
	{"64 KiB, all of it", TRAFFIC_CONNECT, {.ring_size = RING_LARGE, .ring_quota = 100}},
	{"64 KiB, a quarter", TRAFFIC_CONNECT, {.ring_size = RING_LARGE, .ring_quota = 25}},
	{"64 KiB, the default", TRAFFIC_CONNECT, {.ring_size = RING_LARGE}},
	{"datagrams, 4 KiB, all of it", TRAFFIC_SEND, {.ring_size = RING_SMALL, .ring_quota = 100}},
	{"datagrams, 64 KiB, a quarter", TRAFFIC_SEND, {.ring_size = RING_LARGE, .ring_quota = 25}},
	{"every datagram, 64 KiB",
	 TRAFFIC_SEND,
	 {.ring_size = RING_LARGE, .flags = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP}},
};

/* Each gap in the numbers, also before the first and after the last event, is a rise of
 * session_lost. */
static void expect_gaps(const char *name, uint32_t made, uint64_t lost)
{
	uint64_t number = 0, known = 0;

	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		LIVE_CHECK(traffic_number(e) > number, "%s: number %u after %u", name,
			   traffic_number(e), (unsigned int)number);
		LIVE_CHECK(traffic_number(e) - number - 1 == e->session_lost - known,
			   "%s: from %u to %u, but session_lost from %u to %u", name,
			   (unsigned int)number, traffic_number(e), (unsigned int)known,
			   (unsigned int)e->session_lost);
		number = traffic_number(e);
		known = e->session_lost;
	}
	LIVE_CHECK(made - number == lost - known, "%s: after number %u, session_lost %u to %u",
		   name, (unsigned int)number, (unsigned int)known, (unsigned int)lost);
}

static void expect_account(const struct flood *flood, struct agentsh_ebpf_tracer *tracer,
			   struct agentsh_ebpf_session *session, uint32_t made, bool must_lose)
{
	struct agentsh_ebpf_stats of_session = live_session_stats(session);
	struct agentsh_ebpf_stats total = live_tracer_stats(tracer);

	LIVE_CHECK(of_session.delivered == live_seen.count, "%s: %llu delivered, %zu seen",
		   flood->name, (unsigned long long)of_session.delivered, live_seen.count);
	LIVE_CHECK(of_session.delivered + of_session.lost == made, "%s: %llu + %llu is not %u",
		   flood->name, (unsigned long long)of_session.delivered,
		   (unsigned long long)of_session.lost, made);
	ck_assert_uint_gt(of_session.delivered, 0);
	if (must_lose)
		ck_assert_uint_gt(of_session.lost, 0);
	ck_assert_uint_eq(total.delivered, of_session.delivered);
	ck_assert_uint_eq(total.lost, of_session.lost);
	ck_assert_uint_eq(total.lost_quota, of_session.lost_quota);
	ck_assert_uint_eq(total.malformed, 0);
	/* if one session may fill the ring, its quota never runs out */
	ck_assert_uint_eq(of_session.lost_quota,
			  flood->options.ring_quota == 100 ? 0 : of_session.lost);
	expect_gaps(flood->name, made, of_session.lost);
}

START_TEST(nobody_reads)
{
	const struct flood *flood = &floods[_i];
	struct agentsh_ebpf_tracer *tracer = live_open(&flood->options);
	struct agentsh_ebpf_session *session;
	uint32_t made = FLOOD;

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, (struct traffic){.how = flood->how, .first = 1, .count = FLOOD});
	live_drain(tracer);
	expect_account(flood, tracer, session, made, true);

	/* once the host reads, nothing more is lost, and the next event shows the gap */
	for (int i = 0; i < 300; i++) {
		traffic_of(&worker,
			   (struct traffic){.how = flood->how, .first = ++made, .count = 1});
		ck_assert_uint_eq(live_drain(tracer), 1);
	}
	expect_account(flood, tracer, session, made, true);
	ck_assert_uint_eq(live_seen.list[live_seen.count - 1].session_lost,
			  live_session_stats(session).lost);
	live_worker_stop(&worker);
}
END_TEST

static int one_at_a_time(void *ctx, const struct agentsh_ebpf_event *event)
{
	live_on_event(ctx, event);
	return 1;
}

/* Events are made while they are read, with one call per event. */
START_TEST(slow_reader)
{
	const struct flood *flood = &floods[_i];
	struct agentsh_ebpf_tracer_options options = flood->options;
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	uint32_t made = 0;

	options.on_event = one_at_a_time;
	tracer = live_open(&options);
	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	for (int burst = 0; burst < 5; burst++) {
		struct traffic burst_of = {
			.how = flood->how, .first = made + 1, .count = FLOOD / 5};

		traffic_begin(&worker, burst_of);
		made += FLOOD / 5;
		for (int i = 0; i < 50; i++)
			ck_assert_int_ge(agentsh_ebpf_poll(tracer, i % 2), 0);
		live_worker_receive(&worker, NULL, 0);
	}
	live_worker_stop(&worker);
	live_drain(tracer);
	expect_account(flood, tracer, session, made, false);
}
END_TEST

/* Two processes in one session: the numbers interleave, but the sum is exact. */
START_TEST(two_processes)
{
	struct agentsh_ebpf_tracer *tracer = live_open(&floods[_i].options);
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_stats stats;
	struct live_worker second;

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_start(&second, &cgroup);
	traffic_begin(&worker, (struct traffic){.how = floods[_i].how, .first = 1, .count = FLOOD});
	traffic_begin(&second, (struct traffic){.how = floods[_i].how, .first = 1, .count = FLOOD});
	for (int i = 0; i < 100; i++)
		ck_assert_int_ge(agentsh_ebpf_poll(tracer, 0), 0);
	live_worker_receive(&worker, NULL, 0);
	live_worker_receive(&second, NULL, 0);
	live_worker_stop(&worker);
	live_worker_stop(&second);
	live_drain(tracer);
	stats = live_session_stats(session);
	ck_assert_uint_eq(stats.delivered + stats.lost, 2 * FLOOD);
	ck_assert_uint_eq(stats.delivered, live_seen.count);
}
END_TEST

/* ---- quotas ------------------------------------------------------------- */

/* Three sessions flood and nobody reads: the fourth still has its quarter of the ring. */
START_TEST(noisy_sessions_do_not_silence_a_quiet_one)
{
	const struct agentsh_ebpf_tracer_options options = {
		.ring_size = RING_LARGE,
		.ring_quota = 25,
	};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	struct agentsh_ebpf_session *noisy[3], *quiet;
	struct live_cgroup noise[3];
	uint64_t delivered = 0;

	live_cgroup_make(&quiet_cgroup, NULL);
	quiet = live_attach(tracer, &quiet_cgroup, 99);
	/* events that were read must not count against the quota later */
	live_worker_start(&worker, &quiet_cgroup);
	for (int i = 0; i < QUIET_ROUNDS; i++) {
		traffic_of(&worker, CONNECTS(.first = 1, .count = QUIET));
		live_drain(tracer);
	}
	live_worker_stop(&worker);
	live_seen.count = 0;
	for (int i = 0; i < 3; i++) {
		live_cgroup_make(&noise[i], NULL);
		noisy[i] = live_attach(tracer, &noise[i], (uint64_t)i);
		live_worker_start(&worker, &noise[i]);
		traffic_of(&worker, CONNECTS(.first = 1, .count = FLOOD));
		live_worker_stop(&worker);
	}
	live_worker_start(&worker, &quiet_cgroup);
	traffic_of(&worker, CONNECTS(.first = 1, .count = QUIET));
	live_worker_stop(&worker);
	live_drain(tracer);
	ck_assert_uint_eq(live_session_stats(quiet).lost, 0);
	ck_assert_uint_eq(live_session_stats(quiet).delivered, QUIET * (1 + QUIET_ROUNDS));
	for (int i = 0; i < 3; i++) {
		struct agentsh_ebpf_stats stats = live_session_stats(noisy[i]);

		ck_assert_uint_eq(stats.delivered + stats.lost, FLOOD);
		ck_assert_uint_eq(stats.lost, stats.lost_quota);
		delivered += stats.delivered;
		/* each uses about its quarter: a record takes 100 to 300 bytes */
		ck_assert_uint_ge(stats.delivered, RING_LARGE / 4 / 300);
		ck_assert_uint_le(stats.delivered, RING_LARGE / 4 / 100);
	}
	ck_assert_uint_eq(live_seen.count, delivered + QUIET);
	ck_assert_uint_eq(live_tracer_stats(tracer).lost, 3 * FLOOD - delivered);
}
END_TEST

/* Two sessions in turn use the only slot: the second one does not inherit losses. */
START_TEST(next_session_does_not_inherit_loss)
{
	const struct agentsh_ebpf_tracer_options options = {
		.ring_size = RING_SMALL,
		.ring_quota = 100,
		.max_sessions = 1,
	};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	struct agentsh_ebpf_session *session;
	uint64_t lost;

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 100));
	lost = live_session_stats(session).lost;
	ck_assert_uint_gt(lost, 0);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	session = live_attach(tracer, &cgroup, 2);
	ck_assert_uint_eq(live_session_stats(session).lost, 0);
	live_drain(tracer);
	live_seen.count = 0;
	traffic_of(&worker, CONNECTS(.first = 1, .count = 5));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 2, 1, 5);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(live_seen.list[i].session_lost, 0);
	ck_assert_uint_eq(live_session_stats(session).delivered, 5);
	ck_assert_uint_eq(live_session_stats(session).lost, 0);
	ck_assert_uint_eq(live_tracer_stats(tracer).lost, lost);
}
END_TEST

/* ---- datagrams ----------------------------------------------------------- */

/* A lost datagram does not mark its destination as known: each is finally reported once. */
START_TEST(lost_datagram_is_reported_later)
{
	const struct agentsh_ebpf_tracer_options options = {
		.ring_size = RING_SMALL,
		.ring_quota = 100,
	};
	const uint32_t destinations = 200, step = 10;
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_stats first, then;
	int times[201] = {0};

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, SENDS(.first = 1, .count = destinations));
	live_drain(tracer);
	first = live_session_stats(session);
	ck_assert_uint_gt(first.lost, 0);
	for (uint32_t i = 0; i < destinations; i += step) {
		traffic_of(&worker, SENDS(.first = 1 + i, .count = step));
		live_drain(tracer);
	}
	live_worker_stop(&worker);
	then = live_session_stats(session);
	ck_assert_uint_eq(then.lost, first.lost);
	ck_assert_uint_eq(then.deduplicated, first.delivered);
	ck_assert_uint_eq(then.delivered, destinations);
	for (size_t i = 0; i < live_seen.count; i++)
		times[traffic_number(&live_seen.list[i])]++;
	for (uint32_t i = 1; i <= destinations; i++)
		ck_assert_msg(times[i] == 1, "destination %u was reported %d times", i, times[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loss");
	TCase *tcase = live_case(suite, "loss");

	tcase_add_loop_test(tcase, nobody_reads, 0, LIVE_COUNT(floods));
	tcase_add_loop_test(tcase, slow_reader, 0, LIVE_COUNT(floods));
	tcase_add_loop_test(tcase, two_processes, 0, LIVE_COUNT(floods));
	tcase_add_test(tcase, noisy_sessions_do_not_silence_a_quiet_one);
	tcase_add_test(tcase, next_session_does_not_inherit_loss);
	tcase_add_test(tcase, lost_datagram_is_reported_later);
	return live_main(suite);
}
