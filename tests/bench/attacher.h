/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to attach and detach a session with four hooks. The bare ones make only the necessary
 * system calls.
 */
#ifndef BENCH_ATTACHER_H
#define BENCH_ATTACHER_H

#include <stddef.h>

#include "cgroup.h"

struct attacher {
	const char *name;
	void *(*open)(size_t ring_size); /* the size is for the library only */
	/* These two are timed. */
	void *(*attach)(void *state, const struct cgroup *cg);
	void (*detach)(void *state, void *session);
	void (*close)(void *state);
};

extern const struct attacher attacher_bare_own; /* one cgroup storage per hook */
extern const struct attacher attacher_bare_all; /* one cgroup storage for all four hooks */
extern const struct attacher attacher_ours;

#endif
