/* SPDX-License-Identifier: Apache-2.0 */
/* What is attached to the worker's cgroup, and how its events are read. */
#ifndef BENCH_VARIANT_H
#define BENCH_VARIANT_H

#include <stddef.h>
#include <stdint.h>

struct variant {
	const char *name;
	/* Loads; the ring's size in bytes, its whole for one session. NULL in none. */
	void *(*open)(size_t ring_size);
	void (*attach)(void *state, int cgroup_fd);
	/* Waits for events and touches their bytes; returns their number. NULL: none come. */
	long (*consume)(void *state, int timeout_ms);
	/* Events that the variant itself says were lost; UINT64_MAX: it does not count. */
	uint64_t (*lost)(void *state);
	void (*close)(void *state);
};

extern const struct variant variant_none;    /* (a) */
extern const struct variant variant_empty;   /* (b) */
extern const struct variant variant_minimal; /* (c) */
extern const struct variant variant_ours;    /* (d) */

/* Reads as many bytes as a record has, so that every consumer does the same. */
void touch(const void *bytes);

#endif
