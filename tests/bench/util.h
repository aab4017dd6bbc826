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

/* Prints "bench: ..." and ends the program: a benchmark has no second way. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *xrealloc(void *old, size_t size);

/* The calling thread, from now on and its children too. */
void pin(int cpu);
/* Where it was before the first pin(). */
void unpin(void);

/* Sorts in place; the value below which this percentage lies. */
uint32_t percentile(uint32_t *values, size_t n, double percent);

/* Sorts in place. */
double median(double *values, size_t n);

#endif
