/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that test_stuck.c can fail. If the programs see the reader's cleared flag late, all
 * events still arrive; without the second drain one of them stays in the ring.
 */
#include <errno.h>
#include <unistd.h>

#include "late_moderator.h"
#include "pace.h"

#define DELAY_US 1000
#define COUNT 2000
#define STUCK_S 3 /* an event that is unread for so long is stuck */

static struct live_cgroup cgroup;
static struct live_worker worker;
static struct pace_shared *shared;

static int count_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	(void)event;
	atomic_fetch_add(&shared->seen, 1);
	return 0;
}

static void teardown(void)
{
	pace_deadline_over();
	pace_unshare(shared);
	shared = NULL;
}

/* Reads as test_stuck.c does; returns whether an event got stuck. */
static bool gets_stuck(uint32_t count, unsigned int seconds)
{
	const struct agentsh_ebpf_tracer_options options = {.on_event = count_event,
							    .wakeup_delay_us = DELAY_US};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	bool stuck = false;

	shared = pace_share();
	live_cgroup_make(&cgroup, NULL);
	live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	pace_begin(&worker, (struct pace){
				    .shared = shared,
				    .count = count,
				    .burst = 4,
				    .pause_us = 4 * DELAY_US,
			    });
	while (atomic_load(&shared->seen) < count && !stuck) {
		int ret;

		pace_deadline();
		if (seconds)
			alarm(seconds);
		ret = agentsh_ebpf_poll(tracer, -1);
		LIVE_CHECK(ret > 0 || (seconds && ret == -EINTR), "poll: %d after %u of %u", ret,
			   atomic_load(&shared->seen), atomic_load(&shared->made));
		stuck = ret == -EINTR && atomic_load(&shared->made) > atomic_load(&shared->seen);
	}
	/* it was in the ring all the time */
	if (stuck)
		ck_assert_int_gt(agentsh_ebpf_poll(tracer, 0), 0);
	atomic_store(&shared->stop, true);
	live_worker_receive(&worker, NULL, 0);
	live_worker_stop(&worker);
	return stuck;
}

START_TEST(second_drain_finds_it)
{
	late_second_drain = true;
	ck_assert(!gets_stuck(COUNT, 0));
}
END_TEST

START_TEST(without_second_drain_one_stays)
{
	late_second_drain = false;
	ck_assert(gets_stuck(20 * COUNT, STUCK_S));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("late");
	TCase *tcase = live_case(suite, "a flag that is seen late");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, second_drain_finds_it);
	tcase_add_test(tcase, without_second_drain_one_stays);
	return live_main(suite);
}
