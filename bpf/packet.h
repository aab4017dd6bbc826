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

/* On the stack; every member is a whole 64-bit word: see words.h. */
struct packet {
	__u64 family;
	__u64 protocol; /* of the header behind the IP headers */
	__u64 header;	/* bytes of the IP headers, with options and extensions */
	__u64 later_fragment;
	__u64 sent;
	__u64 tcp;
	/* only of a socket without a state */
	__u64 inbound; /* the peer sent first */
	__u64 closer;  /* as in the state */
	__u64 netns_cookie;
	__u64 kernel_socket;
};

/* By what the kernel says, and not by the version in the header, which a raw socket may write. */
static __always_inline int is_ipv4(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(0x0800);
}

/* Takes what an IPv4 header says from its first ten bytes. */
static __always_inline void set_header4(struct packet *p, const __u8 *at)
{
	p->family = AF_INET;
	p->protocol = at[9];
	p->header = (at[0] & 0xf) * 4;
	if (p->header < IPV4_HEADER)
		p->header = IPV4_HEADER;
	p->later_fragment = (at[6] & 0x1f) | at[7];
}

static __always_inline void set_header6(struct packet *p, __u8 next_header)
{
	p->family = AF_INET6;
	p->protocol = next_header;
	p->header = IPV6_HEADER;
	p->later_fragment = 0;
}

#define EXTENSIONS                                                                                 \
	(1ULL << HEADER_HOP_BY_HOP | 1ULL << HEADER_ROUTING | 1ULL << HEADER_FRAGMENT |            \
	 1ULL << HEADER_DESTINATION)

/* All bits set if the protocol is an extension header, else 0. */
static __always_inline __u32 extension_mask(__u32 protocol)
{
	__u32 mask = -(__u32)(EXTENSIONS >> (protocol & 63) & !(protocol >> 6));

	barrier_var(mask);
	return mask;
}

/*
 * Steps over one extension header, if there is one. Without CAP_PERFMON the verifier
 * follows both ways of each branch in speculation, too, and gives up if there are many; so
 * there is none. The length byte of a fragment header is reserved, and 0.
 */
static __always_inline void step_over(struct packet *p, struct __sk_buff *skb, __u8 next[12])
{
	__u32 extension = extension_mask(p->protocol);
	__u32 fragment = extension & -(__u32)(1ULL << HEADER_FRAGMENT >> (p->protocol & 63) & 1);

	barrier_var(fragment);
	bpf_skb_load_bytes(skb, p->header, next, 4);
	p->later_fragment |= fragment & (next[2] | (next[3] & 0xf8));
	p->protocol = (next[0] & extension) | (p->protocol & ~extension);
	p->header += (next[1] + 1) * 8 & extension;
}

static __always_inline void packet_read6(struct packet *p, struct __sk_buff *skb, __u8 bytes[12])
{
	bpf_skb_load_bytes(skb, 6, bytes, 1);
	set_header6(p, bytes[0]);
	if (extension_mask(p->protocol)) {
#pragma unroll
		for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++)
			step_over(p, skb, bytes);
	}
}

#ifdef AGENTSH_TASK
/* Reads the packet in place, which costs less. Returns 0 if it cannot, as with a packet in pieces.
 */
static __always_inline int packet_read_direct(struct packet *p, struct __sk_buff *skb)
{
	const __u8 *at = (const __u8 *)(long)skb->data, *end = (const __u8 *)(long)skb->data_end;

	if (at + IPV4_HEADER > end)
		return 0;
	if (is_ipv4(skb)) {
		set_header4(p, at);
		return 1;
	}
	set_header6(p, at[6]);
	return !extension_mask(p->protocol);
}
#endif

/* A function of its own, because one stack frame has no room for everything. */
static __noinline int packet_copy(struct __sk_buff *skb, struct packet *p)
{
	__u8 bytes[12] = {};

	if (is_ipv4(skb)) {
		bpf_skb_load_bytes(skb, 0, bytes, 10);
		set_header4(p, bytes);
	} else {
		packet_read6(p, skb, bytes);
	}
	return 0;
}

static __always_inline void packet_read(struct __sk_buff *skb, struct packet *p)
{
#ifdef AGENTSH_TASK
	if (packet_read_direct(p, skb))
		return;
#endif
	packet_copy(skb, p);
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

static __always_inline __u32 packet_port(const struct packet *p, struct __sk_buff *skb, int offset)
{
	__u16 port = 0;

	if (!p->later_fragment && has_ports(p->protocol))
		bpf_skb_load_bytes(skb, p->header + offset, &port, sizeof(port));
	return bpf_ntohs(port);
}

/* Sets the family and the ports of both ends; the ports come first in each header that has them. */
static __always_inline void set_packet_ports(struct fields *f, const struct packet *p,
					     struct __sk_buff *skb)
{
	f->family = p->family;
	f->local_port = packet_port(p, skb, p->sent ? 0 : 2);
	f->remote_port = packet_port(p, skb, p->sent ? 2 : 0);
	set_addr4(f->local, 0);
	set_addr4(f->remote, 0);
}

/*
 * Reads the addresses of both ends straight into the record. The family comes from the packet,
 * because the verifier of kernel 5.10 takes p->family for a constant and drops the other branch.
 */
static __always_inline void set_packet_addresses(struct agentsh_record *rec, const struct packet *p,
						 struct __sk_buff *skb)
{
	if (is_ipv4(skb)) {
		bpf_skb_load_bytes(skb, p->sent ? 12 : 16, rec->local_addr, 4);
		bpf_skb_load_bytes(skb, p->sent ? 16 : 12, rec->remote_addr, 4);
	} else {
		bpf_skb_load_bytes(skb, p->sent ? 8 : 24, rec->local_addr, 16);
		bpf_skb_load_bytes(skb, p->sent ? 24 : 8, rec->remote_addr, 16);
	}
}

#endif
