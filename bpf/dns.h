/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS messages: what is sent to the port of a name server, and what comes from it. The
 * library matches answers with questions.
 */
#ifndef AGENTSH_DNS_H
#define AGENTSH_DNS_H

#include "packet_record.h"
#include "socket_of_packet.h"

/*
 * Whether name servers have the port. Unused elements repeat the first, so with one port the
 * verifier removes all but the first comparison. The other comparisons have no branch: without
 * CAP_PERFMON each branch doubles the verifier's work.
 */
static __always_inline int is_name_server(__u32 port)
{
	const volatile __u16 *ports = agentsh_settings.dns_ports;
	__u64 match = 0;

	if (port == ports[0])
		return 1;
	if (ports[1] == ports[0])
		return 0;
#pragma unroll
	for (int i = 1; i < AGENTSH_DNS_PORTS; i++)
		match |= (__u64)(port ^ ports[i]) - 1;
	return match >> 63;
}

#ifdef AGENTSH_TASK
/*
 * The port of the remote end of a packet, read in place; UDP and TCP have it at the same place.
 * -1: the packet has to be copied, as with a packet in pieces, or with options.
 */
static __always_inline int remote_port_direct(struct __sk_buff *skb, int sent)
{
	const __u8 *at = (const __u8 *)(long)skb->data, *end = (const __u8 *)(long)skb->data_end;
	int offset = sent ? 2 : 0;

	if (at + IPV4_HEADER + UDP_HEADER > end)
		return -1;
	if (is_ipv4(skb))
		return at[0] == 0x45 ? bpf_ntohs(*(__u16 *)(at + IPV4_HEADER + offset)) : -1;
	if (at + IPV6_HEADER + UDP_HEADER > end || (at[6] != PROTOCOL_UDP && at[6] != PROTOCOL_TCP))
		return -1;
	return bpf_ntohs(*(__u16 *)(at + IPV6_HEADER + offset));
}
#endif

/*
 * Whether the packet may be a DNS message. All others are left early, before the socket's type
 * is read: the header of a packet that is on its way is in the processor's cache.
 */
static __always_inline int has_dns_port(struct __sk_buff *skb, struct bpf_sock *sk, int sent)
{
#ifdef AGENTSH_TASK
	int port = remote_port_direct(skb, sent);

	(void)sk;
	return port < 0 || is_name_server(port);
#else
	(void)skb;
	/* a connected socket receives from its peer only, but a datagram socket may send to others
	 */
	return sent || !sk->dst_port || is_name_server(bpf_ntohs(sk->dst_port));
#endif
}

static __always_inline int may_be_dns(struct bpf_sock *sk, int tcp)
{
	return tcp ? is_name_server(bpf_ntohs(sk->dst_port)) : is_udp_socket(sk);
}

static __always_inline void payload_of_dns(struct payload *payload, const struct packet *p,
					   struct __sk_buff *skb)
{
	if (p->tcp) {
		payload_of_tcp(payload, p, skb);
		return;
	}
	payload_of_udp(payload, p, skb);
	if (p->protocol != PROTOCOL_UDP || !is_name_server(packet_port(p, skb, p->sent ? 2 : 0)))
		payload->length = 0;
}

/* Marks the first answer over a connection, so that no later packet can pass for it. */
static __always_inline void mark_first_answer(struct payload *payload, const struct packet *p,
					      struct __sk_buff *skb,
					      const struct agentsh_session_state *session)
{
	struct bpf_sock *sk = skb->sk;
	struct agentsh_sock_key key;
	struct sock_state *sock;

	if (!p->tcp || p->sent || !sk)
		return;
	key = sock_key(cookie_of(skb, sk), session);
	sock = sock_state_find(&key);
	if (!sock || sock->dns_begun)
		return;
	sock->dns_begun = 1;
	payload->segment = 1;
}

/* Copies a DNS message. A function of its own, because one stack frame has no room for it. */
static __noinline int dns_packet(struct __sk_buff *skb, struct packet *p,
				 const struct agentsh_session_state *session,
				 struct agentsh_slot *slot)
{
	struct agentsh_record rec;
	struct payload payload;

	payload_of_dns(&payload, p, skb);
	if (!payload.length)
		return 0;
	mark_first_answer(&payload, p, skb, session);
	payload.captured =
		payload.length < AGENTSH_PACKET_LARGE ? payload.length : AGENTSH_PACKET_LARGE;
	if (!packet_record_fits(slot, payload.captured))
		return 0;
	if (!record_of_packet(&rec, skb, p, session,
			      p->sent ? AGENTSH_KIND_DNS_QUERY : AGENTSH_KIND_DNS_ANSWER))
		return 0;
	packet_record_write(skb, slot, session, &rec, &payload);
	return 0;
}

#endif
