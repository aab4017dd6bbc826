/* SPDX-License-Identifier: Apache-2.0 */
/* Unix time of an event, when the thread is interrupted between two clocks. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define BOOT_NS 1000000000000
#define WALL_NS 1700000000000000000 /* at boot */
#define CALL_NS 50
#define AWAY_NS 3000000 /* the processor went to somebody else */
#define ERROR_NS 1000	/* allowed: half of what an uninterrupted try takes at most */

static bool faked;
static uint64_t now;	     /* of the faked boot time */
static unsigned interrupted; /* bit n: the thread is away after call n */
static unsigned calls;

/* Instead of the C library's, for the library too, which is linked into this program. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	uint64_t ns;

	if (!faked)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	now += CALL_NS;
	ns = now + (clock == CLOCK_REALTIME ? WALL_NS : 0);
	if (interrupted & 1U << calls++ % 32)
		now += AWAY_NS;
	ts->tv_sec = (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

static void expect_realtime(unsigned pattern)
{
	const struct agentsh_ebpf_event event = {.timestamp_ns = BOOT_NS};
	uint64_t at;

	now = BOOT_NS;
	calls = 0;
	interrupted = pattern;
	faked = true;
	at = agentsh_ebpf_event_realtime_ns(&event);
	faked = false;
	ck_assert_uint_gt(calls, 0);
	ck_assert_msg(at > BOOT_NS + WALL_NS - ERROR_NS && at < BOOT_NS + WALL_NS + ERROR_NS,
		      "pattern %#x: off by %lld ns", pattern, (long long)(at - BOOT_NS - WALL_NS));
}

/* Not at all, after each call, and again and again. */
START_TEST(interrupted_between_the_clocks)
{
	expect_realtime(0);
	for (unsigned call = 0; call < 10; call++)
		expect_realtime(1U << call);
	expect_realtime(0xff);
	expect_realtime(0x249); /* once in each of the first tries */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");

	tcase_add_test(unit_case(suite, "clock"), interrupted_between_the_clocks);
	return unit_main(suite);
}
