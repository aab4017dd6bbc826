/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots of counters. A slot that was given back is not given out again at once:
 * a program that ran when its session was detached may still count there.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"

/* So many others are freed before a slot is used again, while there are fresh ones. */
#define REST 64

int agentsh_slots_init(struct agentsh_slots *slots, uint32_t max)
{
	slots->max = max;
	slots->bytes = (size_t)max * sizeof(*slots->counters);
	slots->serials = calloc(max, sizeof(*slots->serials));
	slots->freed = calloc(max, sizeof(*slots->freed));
	return slots->serials && slots->freed ? 0 : -ENOMEM;
}

void agentsh_slots_free(struct agentsh_slots *slots)
{
	if (slots->mapped)
		munmap(slots->counters, slots->bytes);
	else
		free(slots->counters);
	free(slots->serials);
	free(slots->freed);
}

/* Sets slot and serial, or returns -ENOSPC. */
int agentsh_slots_take(struct agentsh_slots *slots, struct agentsh_tag *tag)
{
	struct agentsh_slot *slot;

	if (slots->used < slots->max && slots->freed_count <= REST) {
		tag->slot = slots->used++;
	} else if (slots->freed_count) {
		tag->slot = slots->freed[slots->freed_head];
		slots->freed_head = (slots->freed_head + 1) % slots->max;
		slots->freed_count--;
	} else {
		return -ENOSPC;
	}
	if (!++slots->last_serial) /* 0 is "not attached" */
		++slots->last_serial;
	tag->serial = slots->last_serial;
	/* what the slot's last session left unread is not of the new one's share */
	slot = &slots->counters[tag->slot];
	__atomic_store_n(&slot->consumed, agentsh_counter(&slot->produced), __ATOMIC_RELAXED);
	__atomic_store_n(&slot->serial, tag->serial, __ATOMIC_RELAXED);
	atomic_store_explicit(&slots->serials[tag->slot], tag->serial, memory_order_relaxed);
	return 0;
}

void agentsh_slots_retire(struct agentsh_slots *slots, uint32_t slot)
{
	__atomic_store_n(&slots->counters[slot].serial, 0, __ATOMIC_RELAXED);
	atomic_store_explicit(&slots->serials[slot], 0, memory_order_relaxed);
}

void agentsh_slots_give(struct agentsh_slots *slots, uint32_t slot)
{
	agentsh_slots_retire(slots, slot);
	slots->freed[(slots->freed_head + slots->freed_count++) % slots->max] = slot;
}
