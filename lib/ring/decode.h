/* SPDX-License-Identifier: Apache-2.0 */
/* Converts between the ring's record and the host's event, without I/O or allocation. */
#ifndef AGENTSH_RING_DECODE_H
#define AGENTSH_RING_DECODE_H

#include <stddef.h>

#include <agentsh/ebpf.h>

#include "names/packet.h"
#include "record.h"
#include "session_state.h"

/* What a record is. */
enum agentsh_record_type {
	AGENTSH_RECORD_EVENT,
	AGENTSH_RECORD_UNIX,  /* an event; packet is the address of the socket */
	AGENTSH_RECORD_PACKET /* no event, but a packet of which event says when and whose it is */
};

/* The members of a record that are not part of the event. */
struct agentsh_origin {
	uint32_t slot;
	uint32_t generation;
	uint32_t ring_bytes; /* bytes that the record took in the ring */
	enum agentsh_record_type type;
	struct agentsh_packet packet; /* data points into the record */
};

/*
 * Decodes a record. Returns 0, or -EBADMSG with nothing written. data may have any alignment, and
 * nothing is read behind what a packet record has of its packet.
 */
int agentsh_decode(const void *data, size_t size, struct agentsh_ebpf_event *event,
		   struct agentsh_origin *origin);

/*
 * Encodes an event, for synthetic mode and tests. Returns the record's size, or 0 if no record can
 * have both a verdict and an outcome.
 */
size_t agentsh_encode(const struct agentsh_ebpf_event *event,
		      const struct agentsh_session_state *state,
		      struct agentsh_record_outcome *record);

#endif
