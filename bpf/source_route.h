/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A process may give a socket a source route (IP_OPTIONS) or a routing header
 * (IPV6_RTHDR). The packets then go to the first hop, and not to the address that the
 * calls name. Only the kernel's own structures show these options.
 */
#ifndef AGENTSH_SOURCE_ROUTE_H
#define AGENTSH_SOURCE_ROUTE_H

#include "record_fill.h"

#ifdef AGENTSH_TASK

#define ROUTING_TYPE_SEGMENTS 4 /* IPV6_SRCRT_TYPE_4 */
#define ROUTING_ADDRESSES 8	/* offset of the addresses in a routing header */

/* Whether the socket may have options of the kind. */
static __always_inline int may_have_options(struct bpf_sock_addr *ctx, int v4)
{
	struct inet_sock *inet;

	if (!HAS_RDONLY_CAST)
		return 1;
	inet = READABLE(ctx->sk, struct inet_sock);
	return v4 ? inet->inet_opt != NULL : inet->pinet6->opt != NULL;
}

static __always_inline void source_route4(struct fields *f, const struct ip_options_rcu *options)
{
	if (!options || !BPF_CORE_READ(options, opt.srr))
		return;
	f->remote[0] = BPF_CORE_READ(options, opt.faddr);
	f->flags |= AGENTSH_FLAG_SOURCE_ROUTED;
}

/*
 * The kernel has checked the header. A header of type 2 has one address. A segment routing
 * header lists its segments in reverse order; packets go to the segment whose index is the
 * number of segments left (ipv6_push_rthdr4()).
 */
static __always_inline void source_route6(struct fields *f, const struct ipv6_txoptions *options)
{
	const struct ipv6_rt_hdr *header = options ? BPF_CORE_READ(options, srcrt) : NULL;
	__u64 offset = ROUTING_ADDRESSES;
	__u32 hop[4] = {};

	if (!header)
		return;
	if (BPF_CORE_READ(header, type) == ROUTING_TYPE_SEGMENTS)
		offset += sizeof(hop) * BPF_CORE_READ(header, segments_left);
	bpf_probe_read_kernel(hop, sizeof(hop), (void *)header + offset);
	COPY_ADDR6(f->remote, hop);
	f->flags |= AGENTSH_FLAG_SOURCE_ROUTED;
}

#endif

/* Replaces the remote address by the first hop, if the socket has one. */
static __always_inline void source_route_of_caller(struct fields *f, struct bpf_sock_addr *ctx)
{
#ifdef AGENTSH_TASK
	int v4 = f->family == AF_INET;
	struct inet_sock *inet;

	if (!may_have_options(ctx, v4))
		return;
	inet = (struct inet_sock *)kernel_socket(ctx);
	if (v4)
		source_route4(f, BPF_CORE_READ(inet, inet_opt));
	else
		source_route6(f, BPF_CORE_READ(inet, pinet6, opt));
#else
	(void)f;
	(void)ctx;
#endif
}

/* The same for a TCP socket. */
static __always_inline void source_route_of_tcp(struct fields *f, struct bpf_sock *sk)
{
#ifdef AGENTSH_TASK
	struct tcp_sock *tcp = sk ? tcp_of(sk) : NULL;

	if (!tcp)
		return;
	if (f->family == AF_INET)
		source_route4(f, tcp->inet_conn.icsk_inet.inet_opt);
	else
		source_route6(f, tcp->inet_conn.icsk_inet.pinet6->opt);
#else
	(void)f;
	(void)sk;
#endif
}

#endif
