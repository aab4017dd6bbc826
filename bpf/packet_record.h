/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copies the payload of a packet into the ring buffer, or counts it as lost. */
#ifndef AGENTSH_PACKET_RECORD_H
#define AGENTSH_PACKET_RECORD_H

#include "packet.h"

/* What a packet record has besides the record itself. */
struct payload {
	__u32 offset; /* of the payload in the packet */
	__u32 length;
	__u32 captured; /* at least 1 */
	__u32 sequence;
	__u32 segment;
};

static __always_inline __u64 packet_record_bytes(__u32 captured)
{
	return captured <= AGENTSH_PACKET_SMALL
		       ? AGENTSH_RING_BYTES(sizeof(struct agentsh_record_packet) +
					    AGENTSH_PACKET_SMALL)
		       : AGENTSH_RING_BYTES(sizeof(struct agentsh_record_packet) +
					    AGENTSH_PACKET_LARGE);
}

/*
 * Whether the session may not add a packet record. Packets leave half of the quota to other
 * records, because they only give names to these. One packet is always allowed, so that a
 * small ring has names, too.
 */
static __always_inline int packets_used_up(const struct agentsh_slot *slot, __u64 bytes)
{
	__s64 held = *(volatile __u64 *)&slot->packets_produced -
		     *(volatile __u64 *)&slot->packets_consumed;

	return held + (__s64)bytes >
	       (__s64)(held > 0 ? agentsh_settings.quota_bytes / 2 : agentsh_settings.quota_bytes);
}

/*
 * The size of the record and the mask are constants, because kernel 5.10 forgets the bounds of
 * a number on the stack, and without CAP_PERFMON the verifier does not take a comparison for
 * a bound. Returns whether the record was written.
 */
static __always_inline int packet_record_copy(struct __sk_buff *skb, struct agentsh_slot *slot,
					      const struct agentsh_session_state *session,
					      const struct agentsh_record *rec,
					      const struct payload *payload, const __u32 capacity,
					      __u64 in_ring)
{
	const __u64 size = sizeof(struct agentsh_record_packet) + capacity;
	const __u64 bytes = AGENTSH_RING_BYTES(size);
	__u64 captured = payload->captured;
	struct agentsh_record_packet *to;
	long failed = -1;

	preemption_off();
	to = bpf_ringbuf_reserve(&agentsh_ring, size, 0);
	if (to) {
		__builtin_memcpy(&to->base, rec, sizeof(to->base));
		to->base.session_lost = *(volatile __u64 *)&slot->lost - session->lost_base;
		to->length = payload->length;
		to->captured = captured;
		to->sequence = payload->sequence;
		to->segment = payload->segment;
		barrier_var(captured);
		captured = ((captured - 1) & (capacity - 1)) + 1;
		failed = bpf_skb_load_bytes(skb, payload->offset, to + 1, captured);
		if (failed) {
			bpf_ringbuf_discard(to, wakeup_flags(in_ring + bytes));
		} else {
			__sync_fetch_and_add(&slot->produced, bytes);
			__sync_fetch_and_add(&slot->packets_produced, bytes);
			bpf_ringbuf_submit(to, wakeup_flags(in_ring + bytes));
		}
	}
	preemption_on();
	return !failed;
}

/* Writes the record and the payload to the ring, or counts a lost packet. */
static __always_inline void packet_record_write(struct __sk_buff *skb, struct agentsh_slot *slot,
						const struct agentsh_session_state *session,
						const struct agentsh_record *rec,
						const struct payload *payload)
{
	__u64 in_ring = bpf_ringbuf_query(&agentsh_ring, BPF_RB_AVAIL_DATA);
	int written;

	if (payload->captured <= AGENTSH_PACKET_SMALL)
		written = packet_record_copy(skb, slot, session, rec, payload, AGENTSH_PACKET_SMALL,
					     in_ring);
	else
		written = packet_record_copy(skb, slot, session, rec, payload, AGENTSH_PACKET_LARGE,
					     in_ring);
	if (!written)
		__sync_fetch_and_add(&slot->packets_lost, 1);
}

/* Whether there is room for the packet; counts it as lost if not. */
static __always_inline int packet_record_fits(struct agentsh_slot *slot, __u32 captured)
{
	__u64 in_ring = bpf_ringbuf_query(&agentsh_ring, BPF_RB_AVAIL_DATA);

	/* the packets of several sessions together must not fill the ring either */
	if (in_ring <= agentsh_settings.packets_bytes && !quota_used_up(slot, in_ring) &&
	    !packets_used_up(slot, packet_record_bytes(captured)))
		return 1;
	__sync_fetch_and_add(&slot->packets_lost, 1);
	return 0;
}

/* ---- payload --------------------------------------------------------------- */

/* The part of a TCP header that the programs read. */
struct tcp_start {
	__u32 ports;
	__u32 sequence;
	__u32 acknowledged;
	__u8 offset; /* of the data, in 32-bit words, in the upper half */
	__u8 flags;
	__u16 window;
};

#define TCP_WORDS_MIN 5 /* a TCP header without options, in 32-bit words */

/*
 * Both functions set the length to 0 if there is no payload. They return nothing, because
 * without CAP_PERFMON the verifier also follows the branch for success after a failure, and all
 * members must be set there.
 */

/* Finds the payload of a TCP packet; a SYN takes one number of the sequence. */
static __always_inline void payload_of_tcp(struct payload *payload, const struct packet *p,
					   struct __sk_buff *skb)
{
	struct tcp_start tcp = {};
	__u32 words;

	bpf_skb_load_bytes(skb, p->header, &tcp, sizeof(tcp));
	words = tcp.offset >> 4;
	payload->offset = p->header + (words > TCP_WORDS_MIN ? words : TCP_WORDS_MIN) * 4;
	payload->length = skb->len > payload->offset ? skb->len - payload->offset : 0;
	payload->sequence = bpf_ntohl(tcp.sequence) + (tcp.flags >> 1 & 1);
	payload->segment = 0;
}

/* Finds the payload of a UDP packet. */
static __always_inline void payload_of_udp(struct payload *payload, const struct packet *p,
					   struct __sk_buff *skb)
{
	__u32 room = skb->len > p->header + UDP_HEADER ? skb->len - p->header - UDP_HEADER : 0;
	__u16 length = 0;

	bpf_skb_load_bytes(skb, p->header + 4, &length, sizeof(length));
	length = bpf_ntohs(length);
	payload->offset = p->header + UDP_HEADER;
	payload->length = length > UDP_HEADER ? length - UDP_HEADER : 0;
	if (payload->length > room)
		payload->length = room;
	payload->sequence = 0;
	payload->segment = skb->gso_size;
}

#endif
