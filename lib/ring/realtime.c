/* SPDX-License-Identifier: Apache-2.0 */
/* Unix time of an event. */
#include <stdatomic.h>

#include <agentsh/ebpf.h>

#include "base/clock.h"

#define TRIES 10
#define FIRST_TRIES 1000 /* a later and better value would change the order of events */

/*
 * How precisely the first comparison must find the difference of the two clocks, and by
 * how much a later comparison must differ before the wall clock counts as set. Reading
 * three clocks takes about 0.1 us, and some 20 us in a virtual machine whose clock source is slow.
 */
#define TOLERANCE_NS 100000

/* Bounds of the Unix time of boot. */
struct bounds {
	uint64_t low;
	uint64_t high;
};

/*
 * Reads the wall clock between two readings of the boot clock, which bound the difference.
 * The thread may be preempted in between, so the narrowest of a few tries is used.
 */
static struct bounds compare_clocks(int tries)
{
	struct bounds best = {0, UINT64_MAX};

	for (int i = 0; i < tries && best.high - best.low > TOLERANCE_NS; i++) {
		uint64_t before = agentsh_clock_ns(CLOCK_BOOTTIME);
		uint64_t real = agentsh_clock_ns(CLOCK_REALTIME);
		uint64_t after = agentsh_clock_ns(CLOCK_BOOTTIME);

		if (after - before < best.high - best.low)
			best = (struct bounds){real - after, real - before};
	}
	return best;
}

/*
 * CLOCK_REALTIME and CLOCK_BOOTTIME are slewed alike (both come from the kernel's
 * timekeeper), so their difference changes only when the wall clock is set, or at a leap
 * second. Until then the process keeps one value, so that the order of events in wall time
 * is that of their timestamps: two comparisons of the clocks never agree exactly.
 */
static uint64_t boot_realtime_ns(void)
{
	static _Atomic uint64_t kept;
	uint64_t value = atomic_load_explicit(&kept, memory_order_relaxed);
	struct bounds now = compare_clocks(value ? TRIES : FIRST_TRIES);
	uint64_t fresh = now.low + (now.high - now.low) / 2;

	/* signed, because without a clock chip the Unix time of boot is 0, or just below */
	if ((int64_t)(value - now.low) >= -TOLERANCE_NS &&
	    (int64_t)(now.high - value) >= -TOLERANCE_NS)
		return value;
	/* if another thread was faster, its value is used */
	if (atomic_compare_exchange_strong_explicit(&kept, &value, fresh, memory_order_relaxed,
						    memory_order_relaxed))
		return fresh;
	return value;
}

uint64_t agentsh_ebpf_event_realtime_ns(const struct agentsh_ebpf_event *event)
{
	return event ? boot_realtime_ns() + event->timestamp_ns : 0;
}
