/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of a record that only the outcome of a connection has. */
#ifndef AGENTSH_OUTCOME_H
#define AGENTSH_OUTCOME_H

#include "record_fill.h"

struct outcome {
	__u64 duration_ns;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u32 error;
	__u32 rtt_us;
	__u32 retransmits;
	__u32 packets_sent;
	__u32 packets_received;
};

/* Completes the record and writes it to the ring. Returns whether it was written. */
static __always_inline int outcome_write(struct agentsh_record_outcome *out,
					 const struct outcome *o,
					 const struct agentsh_session_state *session,
					 struct agentsh_slot *slot)
{
	SET_WORD(out->error, word_of(o->error, o->rtt_us));
	out->duration_ns = o->duration_ns;
	out->bytes_sent = o->bytes_sent;
	out->bytes_received = o->bytes_received;
	SET_WORD(out->retransmits, word_of(o->retransmits, 0));
	SET_WORD(out->packets_sent, word_of(o->packets_sent, o->packets_received));
	return ringbuf_write(slot, session, &out->base, sizeof(*out));
}

#endif
