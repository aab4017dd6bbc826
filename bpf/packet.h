/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The headers of a packet. They are copied out of the packet, because without CAP_PERFMON
 * kernel 5.10 allows no program to read a packet directly. A process with CAP_NET_RAW may
 * write any header.
 */
#ifndef AGENTSH_PACKET_H
#define AGENTSH_PACKET_H

#include "record_fill.h"

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define UDP_HEADER 8
#define IPV6_EXTENSIONS_MAX 8

#define HEADER_HOP_BY_HOP 0
#define HEADER_ROUTING 43
#define HEADER_FRAGMENT 44
#define HEADER_DESTINATION 60

struct packet {
	__u32 family;
	__u32 protocol; /* of the header behind the IP headers */
	__u32 header;	/* bytes of the IP headers, with options and extensions */
	int later_fragment;
};

static __always_inline void packet_read4(struct packet *p, struct __sk_buff *skb)
{
	__u8 first[10] = {};

	bpf_skb_load_bytes(skb, 0, first, sizeof(first));
	p->family = AF_INET;
	p->protocol = first[9];
	p->header = (first[0] & 0xf) * 4;
	if (p->header < IPV4_HEADER)
		p->header = IPV4_HEADER;
	p->later_fragment = (first[6] & 0x1f) || first[7];
}

static __always_inline int is_extension(__u32 header)
{
	return header == HEADER_HOP_BY_HOP || header == HEADER_ROUTING ||
	       header == HEADER_FRAGMENT || header == HEADER_DESTINATION;
}

static __always_inline void packet_read6(struct packet *p, struct __sk_buff *skb)
{
	__u8 next[4] = {};

	bpf_skb_load_bytes(skb, 6, next, 1);
	p->family = AF_INET6;
	p->protocol = next[0];
	p->header = IPV6_HEADER;
	p->later_fragment = 0;
	for (int i = 0; i < IPV6_EXTENSIONS_MAX && is_extension(p->protocol); i++) {
		if (bpf_skb_load_bytes(skb, p->header, next, sizeof(next)))
			return;
		if (p->protocol == HEADER_FRAGMENT) {
			p->later_fragment |= next[2] || next[3] & 0xf8;
			next[1] = 0;
		}
		p->protocol = next[0];
		p->header += (next[1] + 1) * 8;
	}
}

static __always_inline void packet_read(struct packet *p, struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(0x0800))
		packet_read4(p, skb);
	else
		packet_read6(p, skb);
}

/* Bytes behind the IP headers, or behind the UDP header. */
static __always_inline __u32 packet_payload(const struct packet *p, struct __sk_buff *skb)
{
	__u32 headers = p->header;

	if (p->protocol == PROTOCOL_UDP || p->protocol == PROTOCOL_UDPLITE)
		headers += UDP_HEADER;
	return skb->len > headers ? skb->len - headers : 0;
}

static __always_inline __u32 tcp_payload(const struct packet *p, struct __sk_buff *skb)
{
	__u32 headers = p->header;
	__u8 offset = 0;

	bpf_skb_load_bytes(skb, headers + 12, &offset, sizeof(offset));
	headers += (offset >> 4) * 4;
	return skb->len > headers ? skb->len - headers : 0;
}

/* One skb may stand for several packets (GSO, GRO), whose number an old driver may not set. */
static __always_inline __u32 packet_count(struct __sk_buff *skb, __u32 payload)
{
	__u32 segments = skb->gso_segs, size = skb->gso_size;

	if (segments || !size)
		return segments ? segments : 1;
	return (payload + size - 1) / size;
}

/* TCP, UDP, DCCP, SCTP, UDP-Lite */
static __always_inline int has_ports(__u32 protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == 33 ||
	       protocol == 132 || protocol == PROTOCOL_UDPLITE;
}

/* Sets the addresses and ports of both ends. Most protocols have the ports first. */
static __always_inline void packet_ends(struct fields *f, const struct packet *p,
					struct __sk_buff *skb, int sent)
{
	__u32 from[4] = {}, to[4] = {};
	__u16 ports[2] = {};

	if (p->family == AF_INET) {
		bpf_skb_load_bytes(skb, 12, from, 4);
		bpf_skb_load_bytes(skb, 16, to, 4);
	} else {
		bpf_skb_load_bytes(skb, 8, from, sizeof(from));
		bpf_skb_load_bytes(skb, 24, to, sizeof(to));
	}
	if (!p->later_fragment && has_ports(p->protocol))
		bpf_skb_load_bytes(skb, p->header, ports, sizeof(ports));
	f->family = p->family;
	f->local_port = bpf_ntohs(sent ? ports[0] : ports[1]);
	f->remote_port = bpf_ntohs(sent ? ports[1] : ports[0]);
	COPY_ADDR6(f->local, sent ? from : to);
	COPY_ADDR6(f->remote, sent ? to : from);
}

#endif
