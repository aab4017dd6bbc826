/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The network interface that a process has chosen for a call. */
#ifndef AGENTSH_INTERFACE_H
#define AGENTSH_INTERFACE_H

#include "record_fill.h"

#define SCOPE_ID_OFFSET 24 /* of sin6_scope_id in struct sockaddr_in6, ipv6(7) */

/* Whether the address alone does not name a host: fe80::/10, and multicast ff00::/8. */
static __always_inline int is_scoped6(__u32 first_word)
{
	__u32 word = bpf_ntohl(first_word);

	return word >> 22 == 0xfe80 >> 6 || word >> 24 == 0xff;
}

static __always_inline int is_multicast4(__u32 word)
{
	return bpf_ntohl(word) >> 28 == 0xe;
}

/* The interface to which the socket is bound; 0: none. */
static __always_inline __u32 bound_interface(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	return sk ? sk->bound_dev_if : 0;
}

/* IP_MULTICAST_IF, if the destination is multicast. */
static __always_inline __u32 interface4(struct bpf_sock_addr *ctx)
{
	__u32 bound = bound_interface(ctx);

#ifdef AGENTSH_TASK
	if (!bound && is_multicast4(ctx->user_ip4))
		return BPF_CORE_READ((struct inet_sock *)kernel_socket(ctx), mc_index);
#endif
	return bound;
}

#ifdef AGENTSH_TASK
/* The scope of the address, which the context does not show; 0: none. */
static __always_inline __u32 scope_of(struct bpf_sock_addr *ctx)
{
	struct bpf_sock_addr_kern *kernel_ctx = (void *)ctx;
	__u32 scope = 0;

	if (!bpf_core_field_exists(kernel_ctx->uaddrlen) ||
	    BPF_CORE_READ(kernel_ctx, uaddrlen) >= SCOPE_ID_OFFSET + sizeof(scope))
		bpf_probe_read_kernel(&scope, sizeof(scope),
				      BPF_CORE_READ(kernel_ctx, uaddr) + SCOPE_ID_OFFSET);
	return scope;
}

/* IPV6_PKTINFO as an option of the socket; else IPV6_MULTICAST_IF, if the destination is multicast.
 */
static __always_inline __u32 chosen_interface6(struct bpf_sock_addr *ctx)
{
	struct ipv6_pinfo *options = BPF_CORE_READ((struct inet_sock *)kernel_socket(ctx), pinet6);
	__u32 chosen = BPF_CORE_READ(options, sticky_pktinfo.ipi6_ifindex);

	if (!chosen && bpf_ntohl(ctx->user_ip6[0]) >> 24 == 0xff)
		chosen = BPF_CORE_READ(options, mcast_oif);
	return chosen;
}
#endif

/* In the kernel's order (udpv6_sendmsg()): a datagram may name another scope than the bound one. */
static __always_inline __u32 interface6(struct bpf_sock_addr *ctx)
{
	__u32 bound = bound_interface(ctx);

#ifdef AGENTSH_TASK
	__u32 scope;

	if (!is_scoped6(ctx->user_ip6[0]))
		return bound;
	scope = scope_of(ctx);
	if (scope || bound)
		return scope ? scope : bound;
	return chosen_interface6(ctx);
#endif
	return bound;
}

#endif
