/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/deliver.h"

#include <errno.h>

#include "ring/decode.h"
#include "ring/ring.h"

/*
 * Keeps session_lost from decreasing: a program reserves its place in the ring before it
 * reads the count of lost events, and a program on another CPU may do both in between.
 */
static void keep_lost_monotonic(struct agentsh_slot *slot, uint32_t generation,
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
 * Counts a record only if its session still owns the slot. Records that an earlier owner
 * left unread were written off when the slot was reused.
 */
static int account(struct agentsh_ring *ring, const struct agentsh_origin *origin,
		   struct agentsh_ebpf_event *event)
{
	struct agentsh_slot *slot;

	if (origin->slot >= ring->slots.max)
		return -EBADMSG;
	slot = &ring->slots.counters[origin->slot];
	if (!agentsh_slots_owns(&ring->slots, origin->slot, origin->generation))
		return 0;
	/* an atomic add, because agentsh_slots_take() in another thread writes it, too */
	__atomic_fetch_add(&slot->consumed, origin->ring_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->delivered, slot->delivered + 1, __ATOMIC_RELAXED);
	keep_lost_monotonic(slot, origin->generation, event);
	return 0;
}

/* Hands the event to the callback, unless it is in the host's array already. */
static void hand_over(struct agentsh_ring *ring, const struct agentsh_ebpf_event *event)
{
	struct agentsh_batch *batch = ring->batch;
	int stop = 0;

	batch->count++;
	if (!batch->buf)
		stop = ring->on_event(ring->event_ctx, event);
	batch->full = stop || batch->count == batch->max;
}

int agentsh_deliver_record(void *ctx, void *data, size_t size)
{
	struct agentsh_ring *ring = ctx;
	struct agentsh_batch *batch = ring->batch;
	/* cppcheck-suppress uninitvar ; only its address is taken */
	/* aligned to span four cache lines, not five, so that the cost per event does not vary */
	_Alignas(64) struct agentsh_ebpf_event local;
	struct agentsh_ebpf_event *event = batch->buf ? &batch->buf[batch->count] : &local;
	struct agentsh_origin origin;

	if (agentsh_decode(data, size, event, &origin) || account(ring, &origin, event)) {
		atomic_fetch_add_explicit(&ring->malformed, 1, memory_order_relaxed);
		return 0;
	}
	/* only this thread writes it, so no locked add is needed */
	atomic_store_explicit(&ring->delivered,
			      atomic_load_explicit(&ring->delivered, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	hand_over(ring, event);
	return batch->full ? -ECANCELED : 0;
}

void agentsh_deliver_notice(struct agentsh_ring *ring, const struct agentsh_session_state *state,
			    struct agentsh_ebpf_event *event)
{
	const struct agentsh_batch *batch = ring->batch;

	/* older records are still in the ring, and must not say that fewer events were lost */
	if (agentsh_slots_owns(&ring->slots, state->slot, state->generation))
		keep_lost_monotonic(&ring->slots.counters[state->slot], state->generation, event);
	if (batch->buf)
		batch->buf[batch->count] = *event;
	hand_over(ring, event);
}
