/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/deliver.h"

#include <errno.h>

#include "ring/decode.h"
#include "tracer/tracer.h"

/*
 * A program has its place in the ring before it reads what was lost, and another
 * one on another processor may do both in between.
 */
static void not_backwards(struct agentsh_slot *slot, uint32_t generation,
			  struct agentsh_ebpf_event *event)
{
	if (slot->seen_generation != generation) {
		slot->seen_generation = generation;
		slot->seen_lost = 0;
	}
	if (event->session_lost < slot->seen_lost)
		event->session_lost = slot->seen_lost;
	else
		slot->seen_lost = event->session_lost;
}

/*
 * A record counts only if it is of the session that holds its slot now: what an
 * earlier one left unread was forgotten when the slot was given out again.
 */
static int account(struct agentsh_ebpf_tracer *t, const struct agentsh_origin *origin,
		   struct agentsh_ebpf_event *event)
{
	struct agentsh_slot *slot;

	if (origin->slot >= t->slots.max)
		return -EBADMSG;
	slot = &t->slots.counters[origin->slot];
	if (atomic_load_explicit(&t->slots.generations[origin->slot], memory_order_relaxed) !=
	    origin->generation)
		return 0;
	/* an add: agentsh_slots_take() in another thread writes it as well */
	__atomic_fetch_add(&slot->consumed, origin->ring_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->delivered, slot->delivered + 1, __ATOMIC_RELAXED);
	not_backwards(slot, origin->generation, event);
	return 0;
}

int agentsh_deliver_record(void *tracer, void *data, size_t size)
{
	struct agentsh_ebpf_tracer *t = tracer;
	struct agentsh_batch *batch = t->batch;
	/* cppcheck-suppress uninitvar ; only its address is taken */
	/* four cache lines, not five: without it what an event costs is a matter of luck */
	_Alignas(64) struct agentsh_ebpf_event own;
	struct agentsh_ebpf_event *event = batch->buf ? &batch->buf[batch->count] : &own;
	struct agentsh_origin origin;
	int stop = 0;

	if (agentsh_decode(data, size, event, &origin) || account(t, &origin, event)) {
		atomic_fetch_add_explicit(&t->malformed, 1, memory_order_relaxed);
		return 0;
	}
	batch->count++;
	/* one writer: no need for a locked add */
	atomic_store_explicit(&t->delivered,
			      atomic_load_explicit(&t->delivered, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (!batch->buf)
		stop = t->opts.on_event(t->opts.event_ctx, event);
	batch->full = stop || batch->count == batch->max;
	return batch->full ? -ECANCELED : 0;
}
