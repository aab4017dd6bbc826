/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to attach and detach a session with four hooks. The bare ones make the
 * system calls that cannot be done without, and no other.
 */
#ifndef BENCH_ATTACHER_H
#define BENCH_ATTACHER_H

#include <stddef.h>

#include "cgroup.h"

struct attacher {
	const char *name;
	void *(*open)(size_t ring_size); /* of the library's tracer */
	/* These two are what is timed. */
	void *(*attach)(void *state, const struct cgroup *cg);
	void (*detach)(void *state, void *session);
	void (*close)(void *state);
};

extern const struct attacher attacher_bare_own; /* a cgroup storage for each hook */
extern const struct attacher attacher_bare_all; /* one for all four */
extern const struct attacher attacher_ours;

#endif
