/* SPDX-License-Identifier: Apache-2.0 */
/* Unix time of an event if the thread is interrupted between reading two clocks. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define EVENTS 100000
#define BOOT_NS 1000000000000
#define WALL_NS 1700000000000000000 /* Unix time of boot */
#define CALL_NS 50
#define PREEMPTED_NS 3000000 /* the thread was preempted */
#define ERROR_NS 100000	     /* tolerance: how precisely the library compares the clocks */

static bool faked;
static uint64_t now;	     /* the faked boot time */
static unsigned interrupted; /* bit n: the thread is preempted after call n */
static unsigned calls;
static uint64_t wall_set_ns; /* the wall clock was set forward by this much */

/* Replaces the C library's function, for the library, too, which is linked into this program. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	uint64_t ns;

	if (!faked)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	now += CALL_NS;
	ns = now + (clock == CLOCK_REALTIME ? WALL_NS + wall_set_ns : 0);
	if (interrupted & 1U << calls++ % 32)
		now += PREEMPTED_NS;
	ts->tv_sec = (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

/*
 * Of events 20 ns apart, in ring order, none is earlier than its predecessor, however the
 * thread is interrupted; a wall clock that is set in between is followed.
 */
START_TEST(in_order)
{
	const uint64_t set_ns = _i ? 3600000000000 : 0;
	struct agentsh_ebpf_event event = {.timestamp_ns = BOOT_NS};
	uint64_t last = 0;

	now = BOOT_NS;
	calls = 0;
	wall_set_ns = 0;
	interrupted = 0x91200804;
	faked = true;
	for (int i = 0; i < EVENTS; i++, event.timestamp_ns += 20) {
		uint64_t at;

		if (i == EVENTS / 2)
			wall_set_ns = set_ns;
		at = agentsh_ebpf_event_realtime_ns(&event);
		if (at < last) {
			faked = false;
			ck_abort_msg("event %d: %llu ns before its predecessor", i,
				     (unsigned long long)(last - at));
		}
		last = at;
	}
	faked = false;
	event.timestamp_ns -= 20;
	ck_assert_msg(last > event.timestamp_ns + WALL_NS + set_ns - ERROR_NS &&
			      last < event.timestamp_ns + WALL_NS + set_ns + ERROR_NS,
		      "off by %lld ns", (long long)(last - event.timestamp_ns - WALL_NS - set_ns));
}
END_TEST

/* The same with the clocks of this machine. */
START_TEST(in_order_here)
{
	struct agentsh_ebpf_event event = {.timestamp_ns = BOOT_NS};
	uint64_t last = 0;

	for (int i = 0; i < EVENTS; i++, event.timestamp_ns += 20) {
		uint64_t at = agentsh_ebpf_event_realtime_ns(&event);

		ck_assert_uint_ge(at, last);
		last = at;
	}
}
END_TEST

static void expect_realtime(unsigned pattern)
{
	const struct agentsh_ebpf_event event = {.timestamp_ns = BOOT_NS};
	uint64_t at;

	now = BOOT_NS;
	calls = 0;
	wall_set_ns = 0;
	interrupted = pattern;
	faked = true;
	at = agentsh_ebpf_event_realtime_ns(&event);
	faked = false;
	ck_assert_uint_gt(calls, 0);
	ck_assert_msg(at > BOOT_NS + WALL_NS - ERROR_NS && at < BOOT_NS + WALL_NS + ERROR_NS,
		      "pattern %#x: off by %lld ns", pattern, (long long)(at - BOOT_NS - WALL_NS));
}

/* No interruption, one after each call, and repeated ones. */
START_TEST(interrupted_between_the_clocks)
{
	expect_realtime(0);
	for (unsigned call = 0; call < 10; call++)
		expect_realtime(1U << call);
	expect_realtime(0xff);
	expect_realtime(0x249); /* one interruption in each of the first tries */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("realtime");

	TCase *tcase = unit_case(suite, "clock");

	tcase_add_test(tcase, interrupted_between_the_clocks);
	tcase_add_loop_test(tcase, in_order, 0, 2);
	tcase_add_test(tcase, in_order_here);
	return unit_main(suite);
}
