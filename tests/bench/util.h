/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Prints "bench: ..." and ends the program with status 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *xrealloc(void *old, size_t size);

/* Binds the calling thread and its later children to a CPU. */
void pin(int cpu);
/* Back to the CPUs from before the first pin(). */
void unpin(void);

/* Sorts in place; returns the value below which this percentage of values lies. */
uint32_t percentile(uint32_t *values, size_t n, double percent);

/* Sorts in place. */
double median(double *values, size_t n);

#endif
