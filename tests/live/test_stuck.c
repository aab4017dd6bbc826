/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No event gets stuck in the ring: each one is delivered even if no other event follows. The
 * random pauses are close to the moderation delay, where the reader changes between waiting
 * for wake-ups and polling by timer.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "pace.h"

static struct live_cgroup cgroup;
static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_worker worker;
static struct pace_shared *shared;
static int loop = -1;

static int count_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	uint32_t seen = atomic_load(&shared->seen);

	(void)ctx;
	LIVE_CHECK(traffic_number(event) == seen + 1, "event %u after %u", traffic_number(event),
		   seen);
	atomic_store(&shared->seen, seen + 1);
	return 0;
}

static void begin(struct agentsh_ebpf_tracer_options options, uint32_t events)
{
	struct epoll_event event = {.events = events};

	options.on_event = count_event;
	shared = pace_share();
	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	loop = epoll_create1(EPOLL_CLOEXEC);
	LIVE_CHECK(loop >= 0 && !epoll_ctl(loop, EPOLL_CTL_ADD, agentsh_ebpf_fd(tracer), &event),
		   "epoll: %s", strerror(errno));
}

static void teardown(void)
{
	pace_deadline_over();
	close(loop);
	loop = -1;
	pace_unshare(shared);
	shared = NULL;
}

/* Number of events, or of ready descriptors. */
static int waited(int ret)
{
	LIVE_CHECK(ret >= 0, "after event %u of %u: %s", atomic_load(&shared->seen),
		   atomic_load(&shared->made), strerror(ret == -1 ? errno : -ret));
	return ret;
}

static int read_some(uint32_t n, int timeout_ms)
{
	struct agentsh_ebpf_event events[8];
	int ret = waited(agentsh_ebpf_read(tracer, events, n, timeout_ms));

	for (int i = 0; i < ret; i++)
		count_event(NULL, &events[i]);
	return ret;
}

/* ---- each way to wait, with no event after the last one ------------------ */

enum { BY_POLL, BY_READ, BY_LEVEL, BY_EDGE, WAYS };

static const uint32_t delays[] = {50, 200, 1000, 5000};

static void wait_for_one(int way, uint32_t *seed)
{
	struct epoll_event event;

	switch (way) {
	case BY_POLL:
		waited(agentsh_ebpf_poll(tracer, -1));
		break;
	case BY_READ:
		read_some(1 + pace_random(seed, 8), -1);
		break;
	case BY_LEVEL: /* one read per wait, and sometimes one without a wait */
		if (pace_random(seed, 4))
			waited(epoll_wait(loop, &event, 1, -1));
		read_some(1 + pace_random(seed, 2), 0);
		break;
	default:
		waited(epoll_wait(loop, &event, 1, -1));
		while (read_some(1 + pace_random(seed, 8), 0))
			;
	}
}

START_TEST(last_event_arrives)
{
	int way = _i % WAYS;
	uint32_t delay = delays[_i / WAYS], seed = (uint32_t)_i;
	/* Pauses of about a second in total: 300 to 4000 chances for the race between the
	 * reader that goes idle and an event. */
	uint32_t count = 1500000 / delay < 4000 ? 1500000 / delay : 4000;
	const struct agentsh_ebpf_tracer_options options = {.wakeup_delay_us = delay};

	begin(options, way == BY_EDGE ? EPOLLIN | EPOLLET : EPOLLIN);
	pace_begin(&worker, (struct pace){
				    .shared = shared,
				    .count = count,
				    .burst = 4,
				    .pause_us = 3 * delay,
			    });
	while (atomic_load(&shared->seen) < count) {
		pace_deadline();
		wait_for_one(way, &seed);
	}
	live_worker_receive(&worker, NULL, 0);
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_session_stats(session).delivered, count);
	ck_assert_uint_eq(live_session_stats(session).lost, 0);
}
END_TEST

/* A reader that polls all the time and never waits. */
START_TEST(polls_without_pause)
{
	const uint32_t count = 3000;
	int64_t end = pace_now_us() + LIVE_DEADLINE_MS * 1000;

	begin((struct agentsh_ebpf_tracer_options){0}, EPOLLIN);
	pace_begin(&worker,
		   (struct pace){.shared = shared, .count = count, .burst = 4, .pause_us = 3000});
	while (atomic_load(&shared->seen) < count) {
		waited(agentsh_ebpf_poll(tracer, 0));
		LIVE_CHECK(pace_now_us() < end, "%u of %u", atomic_load(&shared->seen),
			   atomic_load(&shared->made));
	}
	live_worker_receive(&worker, NULL, 0);
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_session_stats(session).lost, 0);
}
END_TEST

/* Events that did not fit into the array are readable at once, not only after the timer. */
START_TEST(leftovers_are_readable)
{
	struct epoll_event event;

	begin((struct agentsh_ebpf_tracer_options){.wakeup_delay_us = 1000000}, EPOLLIN);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 2)); /* the reader polls from now on */
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 2);
	for (uint32_t round = 0; round < 2; round++) {
		traffic_of(&worker, CONNECTS(.first = 3 + 50 * round, .count = 50));
		pace_deadline();
		waited(epoll_wait(loop, &event, 1, -1));
		for (int i = 0; i < 50; i++) {
			ck_assert_int_eq(epoll_wait(loop, &event, 1, 0), 1);
			ck_assert_int_eq(read_some(1, 0), 1);
		}
		read_some(1, 0);
		ck_assert_int_eq(epoll_wait(loop, &event, 1, 0), 0);
	}
	live_worker_stop(&worker);
}
END_TEST

/* ---- a flood from two processors, then silence ---------------------------- */

static int just_count(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	(void)event;
	return 0;
}

START_TEST(flood_then_silence)
{
	const uint32_t each = 40000;
	const struct agentsh_ebpf_tracer_options options = {
		.ring_size = 1U << 16, .ring_quota = 100, .on_event = just_count};
	struct agentsh_ebpf_stats stats;
	struct epoll_event event = {.events = EPOLLIN};
	struct live_worker second;

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_start(&second, &cgroup);
	loop = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_eq(epoll_ctl(loop, EPOLL_CTL_ADD, agentsh_ebpf_fd(tracer), &event), 0);
	for (int round = 0; round < 5; round++) {
		traffic_begin(&worker, CONNECTS(.first = 1, .count = each / 5));
		traffic_begin(&second, CONNECTS(.first = 1, .count = each / 5));
		do {
			pace_deadline();
			ck_assert_msg(epoll_wait(loop, &event, 1, -1) == 1, "stuck: %llu + %llu",
				      (unsigned long long)stats.delivered,
				      (unsigned long long)stats.lost);
			ck_assert_int_ge(agentsh_ebpf_poll(tracer, 0), 0);
			stats = live_session_stats(session);
		} while (stats.delivered + stats.lost < 2 * each / 5 * (uint32_t)(round + 1));
		live_worker_receive(&worker, NULL, 0);
		live_worker_receive(&second, NULL, 0);
	}
	live_worker_stop(&worker);
	live_worker_stop(&second);
	stats = live_session_stats(session);
	ck_assert_uint_eq(stats.delivered + stats.lost, 2 * each);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stuck");
	TCase *tcase = live_case(suite, "nothing stays in the ring");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, last_event_arrives, 0, WAYS * (int)LIVE_COUNT(delays));
	tcase_add_test(tcase, polls_without_pause);
	tcase_add_test(tcase, leftovers_are_readable);
	tcase_add_test(tcase, flood_then_silence);
	return live_main(suite);
}
