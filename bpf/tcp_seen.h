/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The TCP sockets of which no packet needs the table of sockets any more, as far as there is room
 * here. A look-up in that table takes longer than all else that a packet of TCP needs. An
 * entry may outlive the socket's state, so it counts only while the connection is open both
 * ways.
 */
#ifndef AGENTSH_TCP_SEEN_H
#define AGENTSH_TCP_SEEN_H

#include "maps.h"

#define TCP_SEEN_BITS 12

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << TCP_SEEN_BITS);
	__type(key, __u32);
	__type(value, __u64);
} agentsh_tcp_seen SEC(".maps");

/* Cookies that follow each other, and the sessions that see one socket, have other places. */
static __always_inline __u64 *tcp_seen_place(__u64 cookie, __u32 generation)
{
	__u32 place = ((__u32)cookie + generation * 61) & ((1 << TCP_SEEN_BITS) - 1);
	__u64 key = word_of(place, 0); /* the first half is the key: see words.h */

	return bpf_map_lookup_elem(&agentsh_tcp_seen, &key);
}

/* Names one socket of one session, together with the place; cookies are below 2^44. */
static __always_inline __u64 tcp_seen_value(__u64 cookie, __u32 generation)
{
	return (__u64)generation << 32 | (__u32)(cookie >> TCP_SEEN_BITS);
}

static __always_inline int is_tcp_seen(__u64 cookie, __u32 generation)
{
	__u64 *seen = tcp_seen_place(cookie, generation);

	return seen && *(volatile __u64 *)seen == tcp_seen_value(cookie, generation);
}

static __always_inline void set_tcp_seen(__u64 cookie, __u32 generation)
{
	__u64 *seen = tcp_seen_place(cookie, generation);

	if (seen)
		*(volatile __u64 *)seen = tcp_seen_value(cookie, generation);
}

static __always_inline void forget_tcp_seen(__u64 cookie, __u32 generation)
{
	__u64 *seen = tcp_seen_place(cookie, generation);

	if (seen && *(volatile __u64 *)seen == tcp_seen_value(cookie, generation))
		*(volatile __u64 *)seen = 0;
}

#endif
