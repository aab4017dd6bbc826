/* SPDX-License-Identifier: Apache-2.0 */
/* Converts between the ring's record and the host's event, without I/O or allocation. */
#ifndef AGENTSH_RING_DECODE_H
#define AGENTSH_RING_DECODE_H

#include <stddef.h>

#include <agentsh/ebpf.h>

#include "record.h"
#include "session_state.h"

/* The members of a record that are not part of the event. */
struct agentsh_origin {
	uint32_t slot;
	uint32_t generation;
	uint32_t ring_bytes; /* bytes that the record took in the ring */
};

/* Decodes a record. Returns 0, or -EBADMSG with nothing written. data may have any alignment. */
int agentsh_decode(const void *data, size_t size, struct agentsh_ebpf_event *event,
		   struct agentsh_origin *origin);

/* Encodes an event, for synthetic mode and tests; returns the record's size. */
size_t agentsh_encode(const struct agentsh_ebpf_event *event,
		      const struct agentsh_session_state *state,
		      struct agentsh_record_outcome *record);

#endif
