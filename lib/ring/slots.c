/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* While unused slots remain, a freed slot is reused only after this many others are freed. */
#define REUSE_DISTANCE 64

int agentsh_slots_init(struct agentsh_slots *slots, uint32_t max)
{
	slots->max = max;
	slots->bytes = (size_t)max * sizeof(*slots->counters);
	slots->generations = calloc(max, sizeof(*slots->generations));
	slots->freed = calloc(max, sizeof(*slots->freed));
	return slots->generations && slots->freed ? 0 : -ENOMEM;
}

void agentsh_slots_free(struct agentsh_slots *slots)
{
	if (slots->mapped)
		munmap(slots->counters, slots->bytes);
	else
		free(slots->counters);
	free(slots->generations);
	free(slots->freed);
}

int agentsh_slots_take(struct agentsh_slots *slots, struct agentsh_session_state *state)
{
	struct agentsh_slot *slot;

	if (slots->used < slots->max && slots->freed_count <= REUSE_DISTANCE) {
		state->slot = slots->used++;
	} else if (slots->freed_count) {
		state->slot = slots->freed[slots->freed_head];
		slots->freed_head = (slots->freed_head + 1) % slots->max;
		slots->freed_count--;
	} else {
		return -ENOSPC;
	}
	if (!++slots->last_generation) /* 0 means "not attached" */
		++slots->last_generation;
	state->generation = slots->last_generation;
	/* the quota of the new session does not include what the slot's last session left unread */
	slot = &slots->counters[state->slot];
	__atomic_store_n(&slot->consumed, agentsh_counter(&slot->produced), __ATOMIC_RELAXED);
	__atomic_store_n(&slot->packets_consumed, agentsh_counter(&slot->packets_produced),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&slot->sockets, 0,
			 __ATOMIC_RELAXED); /* those of the last session are gone */
	__atomic_store_n(&slot->generation, state->generation, __ATOMIC_RELAXED);
	atomic_store_explicit(&slots->generations[state->slot], state->generation,
			      memory_order_relaxed);
	return 0;
}

void agentsh_slots_retire(struct agentsh_slots *slots, uint32_t slot)
{
	__atomic_store_n(&slots->counters[slot].generation, 0, __ATOMIC_RELAXED);
	atomic_store_explicit(&slots->generations[slot], 0, memory_order_relaxed);
}

void agentsh_slots_give(struct agentsh_slots *slots, uint32_t slot)
{
	agentsh_slots_retire(slots, slot);
	slots->freed[(slots->freed_head + slots->freed_count++) % slots->max] = slot;
}
