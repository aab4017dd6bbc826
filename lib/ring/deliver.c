/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/deliver.h"

#include <errno.h>

#include "base/clock.h"
#include "names/names.h"
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
static void account_record(struct agentsh_ring *ring, const struct agentsh_origin *origin)
{
	struct agentsh_slot *slot = &ring->slots.counters[origin->slot];

	if (!agentsh_slots_owns(&ring->slots, origin->slot, origin->generation))
		return;
	/* an atomic add, because agentsh_slots_take() in another thread writes it, too */
	__atomic_fetch_add(&slot->consumed, origin->ring_bytes, __ATOMIC_RELAXED);
	if (origin->type == AGENTSH_RECORD_PACKET)
		__atomic_fetch_add(&slot->packets_consumed, origin->ring_bytes, __ATOMIC_RELAXED);
}

static void account_event(struct agentsh_ring *ring, uint32_t number, uint32_t generation,
			  struct agentsh_ebpf_event *event)
{
	struct agentsh_slot *slot = &ring->slots.counters[number];

	if (agentsh_slots_owns(&ring->slots, number, generation)) {
		__atomic_store_n(&slot->delivered, slot->delivered + 1, __ATOMIC_RELAXED);
		keep_lost_monotonic(slot, generation, event);
	}
	/* only this thread writes it, so no locked add is needed */
	atomic_store_explicit(&ring->delivered,
			      atomic_load_explicit(&ring->delivered, memory_order_relaxed) + 1,
			      memory_order_relaxed);
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

void agentsh_deliver_ready(struct agentsh_ring *ring)
{
	struct agentsh_batch *batch = ring->batch;
	/* cppcheck-suppress uninitvar ; only its address is taken */
	struct agentsh_ebpf_event local;
	uint32_t slot, generation;

	while (!batch->full && agentsh_names_has_next(&ring->names)) {
		struct agentsh_ebpf_event *event = &local;

		if (batch->buf)
			event = &batch->buf[batch->count];
		agentsh_names_next(&ring->names, event, &slot, &generation);
		account_event(ring, slot, generation, event);
		hand_over(ring, event);
	}
}

/*
 * The timer makes the descriptor readable for the next question that may have no answer, or at
 * once if events found no room in the batch.
 */
static void set_timer(struct agentsh_ring *ring)
{
	struct agentsh_look_timer *timer = &ring->dns_timer;
	uint64_t now, deadline;

	if (!timer->interval_ns)
		return;
	if (agentsh_names_has_next(&ring->names)) {
		agentsh_look_timer_set(timer, 1);
		return;
	}
	deadline = agentsh_names_deadline(&ring->names);
	if (!deadline && atomic_load_explicit(&timer->due_ns, memory_order_relaxed) == UINT64_MAX)
		return;
	now = agentsh_clock_ns(CLOCK_BOOTTIME);
	agentsh_look_timer_set(timer, !deadline ? 0 : deadline > now ? deadline - now : 1);
}

static void deliver_question(struct agentsh_ring *ring, const struct agentsh_names_session *session,
			     struct agentsh_ebpf_event *event)
{
	const struct agentsh_batch *batch = ring->batch;

	event->session_lost =
		agentsh_counter(&ring->slots.counters[session->slot].lost) - session->lost_base;
	account_event(ring, session->slot, session->generation, event);
	if (batch->buf)
		batch->buf[batch->count] = *event;
	hand_over(ring, event);
}

void agentsh_deliver_unanswered(struct agentsh_ring *ring)
{
	struct agentsh_names_session session;
	struct agentsh_ebpf_event event;

	/* an answer that was not taken yet is in time */
	while (!ring->batch->full &&
	       agentsh_names_unanswered(&ring->names, ring->taken_until_ns, &event, &session))
		deliver_question(ring, &session, &event);
	set_timer(ring);
}

/* Takes a packet record, and delivers the events that its packet gives. */
static void deliver_packet(struct agentsh_ring *ring, const struct agentsh_origin *origin,
			   const struct agentsh_ebpf_event *event)
{
	const struct agentsh_look_timer *timer = &ring->dns_timer;

	agentsh_names_packet(&ring->names, origin->slot, origin->generation, event,
			     &origin->packet);
	account_record(ring, origin);
	agentsh_deliver_ready(ring);
	if (agentsh_names_has_next(&ring->names) ||
	    (event->kind == AGENTSH_EBPF_EVENT_DNS_QUERY &&
	     atomic_load_explicit(&timer->due_ns, memory_order_relaxed) == UINT64_MAX))
		set_timer(ring);
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

	batch->taken++;
	batch->stopped = batch->taken >= AGENTSH_RECORDS_MAX;
	if (agentsh_decode(data, size, event, &origin) || origin.slot >= ring->slots.max) {
		atomic_fetch_add_explicit(&ring->malformed, 1, memory_order_relaxed);
	} else if (origin.type == AGENTSH_RECORD_PACKET) {
		local = *event; /* what the packet gives is put where the event is */
		deliver_packet(ring, &origin, &local);
	} else {
		if (origin.type == AGENTSH_RECORD_UNIX)
			agentsh_names_unix(&ring->names, event, &origin.packet);
		else
			agentsh_names_event(&ring->names, origin.slot, origin.generation, event);
		account_record(ring, &origin);
		account_event(ring, origin.slot, origin.generation, event);
		hand_over(ring, event);
	}
	return batch->full || batch->stopped ? -ECANCELED : 0;
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
