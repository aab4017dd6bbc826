/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The first data that a process sends over a connection that it opened, as far as they may
 * name a server: a TLS ClientHello, or an HTTP/1 request. A process may send them in pieces.
 */
#ifndef AGENTSH_SERVER_NAME_H
#define AGENTSH_SERVER_NAME_H

#include "packet_record.h"
#include "socket_of_packet.h"

#define FIRST_SEGMENTS_MAX 8

#define TLS_HEADER 5	 /* type, version 2, length 2: RFC 8446 */
#define TLS_HELLO 9	 /* with the header of the handshake message: type, length 3 */
#define TLS_HANDSHAKE 22 /* type */
#define TLS_MAJOR 3	 /* first byte of the version */

/* Whether the first data of the connection are still of interest. */
static __always_inline int is_first_data(const struct sock_state *sock)
{
	return !sock->first_done && !(sock->rec.head.flags & AGENTSH_FLAG_INBOUND) &&
	       (sock->phase == PHASE_ATTEMPT || sock->phase == PHASE_SYN);
}

/*
 * How many bytes from the beginning of the connection may have a name; 0: none. If the first
 * packet does not show that one TLS record holds the whole ClientHello, as many as possible.
 */
static __always_inline __u32 first_data_wanted(struct __sk_buff *skb, const struct payload *payload)
{
	__u8 at[16] = {};
	__u32 length, hello;

	if (payload->length < TLS_HELLO)
		bpf_skb_load_bytes(skb, payload->offset, at, 1);
	else
		bpf_skb_load_bytes(skb, payload->offset, at, TLS_HELLO);
	/* servers accept line ends before a request, RFC 9112 */
	if ((at[0] >= 'A' && at[0] <= 'Z') || at[0] == '\r' || at[0] == '\n')
		return AGENTSH_PACKET_LARGE;
	if (at[0] != TLS_HANDSHAKE)
		return 0;
	if (payload->length < TLS_HELLO)
		return AGENTSH_PACKET_LARGE;
	if (at[1] != TLS_MAJOR)
		return 0;
	length = (at[3] << 8 | at[4]) + TLS_HEADER;
	hello = (at[6] << 16 | at[7] << 8 | at[8]) + TLS_HELLO;
	return hello <= length && length < AGENTSH_PACKET_LARGE ? length : AGENTSH_PACKET_LARGE;
}

/*
 * Takes note of a packet of the first data. Returns how many bytes of it are copied. Data that the
 * kernel sends again are copied again, but do not count as data that were wanted.
 */
static __always_inline __u32 first_data_take(struct sock_state *sock, struct __sk_buff *skb,
					     const struct payload *payload)
{
	__u32 end = payload->sequence + payload->length, fresh, wanted;

	if (!sock->first_segments) {
		sock->first_next = payload->sequence;
		sock->first_wanted = first_data_wanted(skb, payload);
	}
	wanted = sock->first_wanted;
	fresh = end - sock->first_next;
	if ((__s32)fresh <= 0)
		fresh = 0;
	else
		sock->first_next = end;
	if (fresh > payload->length) /* the data before were not seen */
		fresh = payload->length;
	sock->first_segments++;
	if (fresh >= wanted || sock->first_segments >= FIRST_SEGMENTS_MAX)
		sock->first_done = 1;
	sock->first_wanted = wanted - fresh;
	if (!wanted)
		return 0;
	wanted += payload->length - fresh;
	if (wanted > AGENTSH_PACKET_LARGE)
		wanted = AGENTSH_PACKET_LARGE;
	return wanted < payload->length ? wanted : payload->length;
}

/* Copies first data. A function of its own, because one stack frame has no room for it. */
static __noinline int first_data(struct __sk_buff *skb, struct packet *p,
				 const struct agentsh_session_state *session,
				 struct agentsh_slot *slot, struct sock_state *sock)
{
	struct agentsh_record rec;
	struct payload payload;

	if (!sock) /* for the verifier */
		return 0;
	payload_of_tcp(&payload, p, skb);
	if (!payload.length)
		return 0;
	payload.captured = first_data_take(sock, skb, &payload);
	payload.segment = sock->first_segments == 1;
	if (!payload.captured || !packet_record_fits(slot, payload.captured))
		return 0;
	if (!record_of_packet(&rec, skb, p, session, AGENTSH_KIND_SERVER_NAME))
		return 0;
	packet_record_write(skb, slot, session, &rec, &payload);
	return 0;
}

#endif
