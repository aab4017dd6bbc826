/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered connects at a chosen pace, made by a worker that may wait for the reader. */
#ifndef PACE_H
#define PACE_H

#include <stdatomic.h>

#include "traffic.h"

#define PACE_NEVER UINT32_MAX

/* In memory shared by worker and reader. */
struct pace_shared {
	_Atomic uint32_t seen; /* counted by the reader */
	_Atomic uint32_t made;
	_Atomic bool stop;
};

struct pace {
	struct pace_shared *shared;
	uint32_t count;
	uint32_t burst;	   /* at most this many connects before a pause, at random; 0: one */
	uint32_t pause_us; /* with burst the longest pause, at random; else the exact pause */
	uint32_t unseen;   /* waits while more than this are unread; PACE_NEVER: never waits */
};

/* Returns zeroed shared memory. Call it before the worker starts. */
struct pace_shared *pace_share(void);
void pace_unshare(struct pace_shared *shared);
void pace_begin(struct live_worker *worker, struct pace pace);
/* A pseudo-random number below a limit; the same seed gives the same sequence. */
uint32_t pace_random(uint32_t *seed, uint32_t below);
int64_t pace_now_us(void);

/* Makes a system call that still waits at the deadline end with EINTR. */
void pace_deadline(void);
void pace_deadline_over(void);

/* How often a thread of this process went to sleep: its voluntary_ctxt_switches. */
unsigned long pace_sleeps(pid_t tid);

#endif
