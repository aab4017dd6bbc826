/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots of counters, one per session. A freed slot is not reused at once, because a
 * program that was running when its session was detached may still count there.
 */
#ifndef AGENTSH_RING_SLOTS_H
#define AGENTSH_RING_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session_state.h"

struct agentsh_slots {
	struct agentsh_slot *counters; /* mapped; in synthetic mode plain memory */
	size_t bytes;
	bool mapped;
	uint32_t max;
	_Atomic uint32_t used;	       /* slots below this one were in use at least once */
	_Atomic uint32_t *generations; /* generation of the session in each slot; 0: free */
	uint32_t *freed;	       /* a queue: the slot freed first is reused first */
	uint32_t freed_head;
	uint32_t freed_count;
	uint32_t last_generation;
};

int agentsh_slots_init(struct agentsh_slots *slots, uint32_t max);
void agentsh_slots_free(struct agentsh_slots *slots);
/* Sets slot and generation of state; returns -ENOSPC if all slots are in use. */
int agentsh_slots_take(struct agentsh_slots *slots, struct agentsh_session_state *state);
void agentsh_slots_give(struct agentsh_slots *slots, uint32_t slot);
/* Like agentsh_slots_give(), but the slot is never reused. */
void agentsh_slots_retire(struct agentsh_slots *slots, uint32_t slot);

/* Whether the slot belongs to the session of this generation now. Any thread. */
static inline bool agentsh_slots_owns(const struct agentsh_slots *slots, uint32_t slot,
				      uint32_t generation)
{
	return slot < slots->max &&
	       atomic_load_explicit(&slots->generations[slot], memory_order_relaxed) == generation;
}

/* A counter that another thread or the kernel may be raising. */
static inline uint64_t agentsh_counter(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
