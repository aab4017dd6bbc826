/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts for a record and hands it to the host. */
#ifndef AGENTSH_RING_DELIVER_H
#define AGENTSH_RING_DELIVER_H

#include <stdbool.h>
#include <stddef.h>

struct agentsh_ebpf_event;
struct agentsh_ring;
struct agentsh_session_state;

/* What one poll or read has delivered so far. */
struct agentsh_batch {
	struct agentsh_ebpf_event *buf; /* NULL: the callback gets the events */
	int max;
	int count;
	bool full;
};

/*
 * Delivers one record to the batch of ctx, a struct agentsh_ring; the signature is libbpf's
 * ring_buffer_sample_fn. A negative return value stops the drain after this record.
 */
int agentsh_deliver_record(void *ctx, void *data, size_t size);

/*
 * Delivers an event of the library itself to the batch of ring, which is not full. state is that
 * of the event's session. No counter counts such an event.
 */
void agentsh_deliver_notice(struct agentsh_ring *ring, const struct agentsh_session_state *state,
			    struct agentsh_ebpf_event *event);

#endif
