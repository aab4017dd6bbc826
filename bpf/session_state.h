/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What kernel programs and library share of one session: its state, in the cgroup
 * storage, and its slot, in a memory-mapped array of counters.
 */
#ifndef AGENTSH_SESSION_STATE_H
#define AGENTSH_SESSION_STATE_H

#include <linux/types.h>

/*
 * The value of a link's cgroup storage. The kernel replaces the whole value at
 * once, so a program sees all of it or none; serial 0 means "not attached yet".
 */
struct agentsh_session_state {
	__u64 session_id;
	__u64 lost_base;
	__u32 slot;
	__u32 generation;
};

/*
 * One session's counters in the memory-mapped array. They only ever rise, also
 * across sessions that use the slot one after another. Each side writes a cache
 * line of its own.
 */
struct agentsh_slot {
	/* written by the programs */
	__u64 lost;
	__u64 lost_quota;
	__u64 deduplicated;
	__u64 produced;
	__u64 pad_kernel[4];
	/* written by the library */
	__u64 consumed;
	__u64 delivered;
	__u32 generation;      /* of the session that has the slot; 0: none */
	__u32 seen_generation; /* of the session of the last record taken */
	__u64 seen_lost;       /* the most that any record of it said */
	__u64 pad_user[4];
};

_Static_assert(sizeof(struct agentsh_slot) == 128, "two cache lines");

#endif
