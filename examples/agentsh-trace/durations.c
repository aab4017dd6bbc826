/* SPDX-License-Identifier: Apache-2.0 */
#include "durations.h"

#define FIRST_POWER 13 /* 2^13 ns are 8 microseconds */
#define PER_POWER 4

static unsigned bucket_of(uint64_t ns)
{
	unsigned power, bucket;

	if (ns >> FIRST_POWER == 0)
		return 0;
	power = 63 - (unsigned)__builtin_clzll(ns);
	bucket = (power - FIRST_POWER) * PER_POWER;
	bucket += (unsigned)(ns >> (power - 2)) & (PER_POWER - 1);
	return bucket < DURATIONS_BUCKETS ? bucket : DURATIONS_BUCKETS - 1;
}

static uint64_t middle_of(unsigned bucket)
{
	uint64_t width = UINT64_C(1) << (FIRST_POWER + bucket / PER_POWER - 2);

	return width * (PER_POWER + bucket % PER_POWER) + width / 2;
}

void durations_add(struct durations *d, uint64_t ns)
{
	if (!d->count || ns < d->shortest_ns)
		d->shortest_ns = ns;
	if (ns > d->longest_ns)
		d->longest_ns = ns;
	d->count++;
	d->buckets[bucket_of(ns)]++;
}

uint64_t durations_median(const struct durations *d)
{
	uint64_t seen = 0, ns;
	unsigned bucket = 0;

	while (bucket < DURATIONS_BUCKETS - 1 && (seen += d->buckets[bucket]) < (d->count + 1) / 2)
		bucket++;
	ns = middle_of(bucket);
	/* This makes the median of equal durations exact. */
	if (ns < d->shortest_ns)
		return d->shortest_ns;
	return ns < d->longest_ns ? ns : d->longest_ns;
}
