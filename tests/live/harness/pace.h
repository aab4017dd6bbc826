/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered connects at a chosen pace, by a worker that may wait for the reader. */
#ifndef PACE_H
#define PACE_H

#include <stdatomic.h>

#include "traffic.h"

#define PACE_NEVER UINT32_MAX

/* In memory that the worker and the reader share. */
struct pace_shared {
	_Atomic uint32_t seen; /* by the reader, who counts */
	_Atomic uint32_t made;
	_Atomic bool stop;
};

struct pace {
	struct pace_shared *shared;
	uint32_t count;
	uint32_t burst;	   /* so many at most, at random, then a pause; 0: one */
	uint32_t pause_us; /* at most, at random, where burst is set; else exactly */
	uint32_t unseen;   /* goes on when no more than so many are; PACE_NEVER: does not wait */
};

/* Zeroed; before the worker starts. */
struct pace_shared *pace_share(void);
void pace_unshare(struct pace_shared *shared);
void pace_begin(struct live_worker *worker, struct pace pace);
/* The same on every call, from a seed. */
uint32_t pace_random(uint32_t *seed, uint32_t below);
int64_t pace_now_us(void);

/* Calls of this thread end with EINTR after the deadline: a wait for ever that would. */
void pace_deadline(void);
void pace_deadline_over(void);

/* voluntary_ctxt_switches of a thread of this process: how often it went to sleep. */
unsigned long pace_sleeps(pid_t tid);

#endif
