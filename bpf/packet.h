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
};

/* Parts of a packet, one at a time. */
union bytes {
	__u8 byte[32];
	__u16 half[16];
	__u32 word[8];
};

static __always_inline void packet_read4(struct packet *p, struct __sk_buff *skb,
					 union bytes *bytes)
{
	bpf_skb_load_bytes(skb, 0, bytes, 10);
	p->family = AF_INET;
	p->protocol = bytes->byte[9];
	p->header = (bytes->byte[0] & 0xf) * 4;
	if (p->header < IPV4_HEADER)
		p->header = IPV4_HEADER;
	p->later_fragment = (bytes->byte[6] & 0x1f) | bytes->byte[7];
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
static __always_inline void step_over(struct packet *p, struct __sk_buff *skb, union bytes *bytes)
{
	__u32 extension = extension_mask(p->protocol);
	__u32 fragment = extension & -(__u32)(1ULL << HEADER_FRAGMENT >> (p->protocol & 63) & 1);
	__u8 *next = bytes->byte;

	barrier_var(fragment);
	bpf_skb_load_bytes(skb, p->header, next, 4);
	p->later_fragment |= fragment & (next[2] | (next[3] & 0xf8));
	p->protocol = (next[0] & extension) | (p->protocol & ~extension);
	p->header += (next[1] + 1) * 8 & extension;
}

static __always_inline void packet_read6(struct packet *p, struct __sk_buff *skb,
					 union bytes *bytes)
{
	bpf_skb_load_bytes(skb, 6, bytes, 1);
	p->family = AF_INET6;
	p->protocol = bytes->byte[0];
	p->header = IPV6_HEADER;
	p->later_fragment = 0;
	if (extension_mask(p->protocol)) {
#pragma unroll
		for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++)
			step_over(p, skb, bytes);
	}
}

/* A function of its own, because one stack frame has no room for everything. */
static __noinline int packet_read(struct __sk_buff *skb, struct packet *p)
{
	union bytes bytes = {};

	if (skb->protocol == bpf_htons(0x0800))
		packet_read4(p, skb, &bytes);
	else
		packet_read6(p, skb, &bytes);
	return 0;
}

/* Bytes behind the IP headers, or behind the UDP header. */
static __always_inline __u32 packet_payload(const struct packet *p, struct __sk_buff *skb)
{
	__u32 headers = p->header;

	if (p->protocol == PROTOCOL_UDP || p->protocol == PROTOCOL_UDPLITE)
		headers += UDP_HEADER;
	return skb->len > headers ? skb->len - headers : 0;
}

static __always_inline __u32 tcp_payload(const struct packet *p, struct __sk_buff *skb,
					 union bytes *bytes)
{
	__u32 headers = p->header;

	bpf_skb_load_bytes(skb, headers + 12, bytes, 1);
	headers += (bytes->byte[0] >> 4) * 4;
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

/* The verifier allows no variable index into the stack, so both values are read. */
static __always_inline void pick(__u32 *local, __u32 *remote, __u32 from, __u32 to, int sent)
{
	barrier_var(from);
	barrier_var(to);
	*local = sent ? from : to;
	*remote = sent ? to : from;
}

/* Sets the addresses and ports of both ends. Most protocols have the ports first. */
static __always_inline void packet_ends(struct fields *f, const struct packet *p,
					struct __sk_buff *skb, union bytes *bytes)
{
	const __u32 *word = bytes->word;

	f->family = p->family;
	if (p->family == AF_INET) {
		bpf_skb_load_bytes(skb, 12, bytes, 8);
		set_addr4(f->local, 0);
		set_addr4(f->remote, 0);
		pick(&f->local[0], &f->remote[0], word[0], word[1], p->sent);
	} else {
		bpf_skb_load_bytes(skb, 8, bytes, 32);
		pick(&f->local[0], &f->remote[0], word[0], word[4], p->sent);
		pick(&f->local[1], &f->remote[1], word[1], word[5], p->sent);
		pick(&f->local[2], &f->remote[2], word[2], word[6], p->sent);
		pick(&f->local[3], &f->remote[3], word[3], word[7], p->sent);
	}
	bytes->word[0] = 0;
	if (!p->later_fragment && has_ports(p->protocol))
		bpf_skb_load_bytes(skb, p->header, bytes, 4);
	pick(&f->local_port, &f->remote_port, bpf_ntohs(bytes->half[0]), bpf_ntohs(bytes->half[1]),
	     p->sent);
}

#endif
