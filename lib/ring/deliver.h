/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts for a record and hands it to the host. */
#ifndef AGENTSH_RING_DELIVER_H
#define AGENTSH_RING_DELIVER_H

#include <stdbool.h>
#include <stddef.h>

struct agentsh_ebpf_event;
struct agentsh_ring;
struct agentsh_session_state;

/* The most records per drain, so that packets without an event cannot make it run forever. */
#define AGENTSH_RECORDS_MAX 4096

/* What one poll or read has delivered so far. */
struct agentsh_batch {
	struct agentsh_ebpf_event *buf; /* NULL: the callback gets the events */
	int max;
	int count;
	int taken;    /* records in this drain, with or without an event */
	bool full;    /* the host takes no more events */
	bool stopped; /* the drain has taken enough records */
};

/*
 * Delivers one record to the batch of ctx, a struct agentsh_ring; the signature is libbpf's
 * ring_buffer_sample_fn. A negative return value stops the drain after this record.
 */
int agentsh_deliver_record(void *ctx, void *data, size_t size);

/*
 * Delivers the events that packets gave and that found no room in an earlier batch. A packet
 * may hold several DNS answers.
 */
void agentsh_deliver_ready(struct agentsh_ring *ring);
/* Delivers the DNS questions that had no answer in time, and sets the timer for the others. */
void agentsh_deliver_unanswered(struct agentsh_ring *ring);

/*
 * Delivers an event of the library itself to the batch of ring, which is not full. state is that
 * of the event's session. No counter counts such an event.
 */
void agentsh_deliver_notice(struct agentsh_ring *ring, const struct agentsh_session_state *state,
			    struct agentsh_ebpf_event *event);

#endif
