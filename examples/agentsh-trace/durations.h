/* SPDX-License-Identifier: Apache-2.0 */
/* The median and the maximum of any number of durations, in bounded memory. No I/O. */
#ifndef DURATIONS_H
#define DURATIONS_H

#include <stdint.h>

/* Four buckets for each power of two, from 8 microseconds to 9 hours. */
#define DURATIONS_BUCKETS 128

/* A zeroed struct is empty. */
struct durations {
	uint64_t count;
	uint64_t shortest_ns, longest_ns;
	uint32_t buckets[DURATIONS_BUCKETS]; /* the outer two have no outer limit */
};

void durations_add(struct durations *durations, uint64_t ns);

/* The median, at most 13 % too high or too low within the range of the buckets; 0: empty. */
uint64_t durations_median(const struct durations *durations);

#endif
