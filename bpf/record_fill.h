/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fills a record: first the members that every hook knows, then those of a bpf_sock_addr. */
#ifndef AGENTSH_RECORD_FILL_H
#define AGENTSH_RECORD_FILL_H

#include <bpf/bpf_endian.h>
#include "constants.h"
#include "ringbuf.h"
#include "task.h"

#define V4_MAPPED_WORD bpf_htonl(0x0000ffff)
#define LOOPBACK4 bpf_htonl(0x7f000001)

#define PROTOCOL_TCP 6
#define PROTOCOL_MPTCP 262

/* Sets the members that depend on neither the hook nor the task. */
static __always_inline void record_begin(struct agentsh_record *rec,
					 const struct agentsh_session_state *session, __u8 kind)
{
	rec->version = AGENTSH_RECORD_VERSION;
	rec->kind = kind;
	rec->flags = 0;
	rec->generation = session->generation;
	rec->slot = (__u16)session->slot;
	rec->session_id = session->session_id;
	rec->session_lost = 0; /* set once the record has its place in the ring */
}

#ifdef AGENTSH_TASK
/* The kernel's socket; the verifier does not let a program read one from ctx->sk. */
static __always_inline struct sock *kernel_socket(struct bpf_sock_addr *ctx)
{
	return BPF_CORE_READ((struct bpf_sock_addr_kern *)ctx, sk);
}
#endif

/*
 * MPTCP connects through an internal TCP socket (a subflow), and the hook sees the
 * subflow. Only struct tcp_sock tells it from a plain TCP socket.
 */
static __always_inline __u16 socket_protocol(struct bpf_sock_addr *ctx)
{
	__u32 protocol = ctx->protocol;

#ifdef AGENTSH_TASK
	if (protocol == PROTOCOL_TCP && bpf_core_field_exists(struct tcp_sock, is_mptcp)) {
		struct bpf_sock *sk = ctx->sk;
		struct tcp_sock *tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

		if (tcp && tcp->is_mptcp)
			return PROTOCOL_MPTCP;
	}
#endif
	return protocol;
}

/* Sets what tells the socket from others, and the time. */
static __always_inline void record_socket(struct agentsh_record *rec, struct bpf_sock_addr *ctx)
{
	rec->socket_cookie = bpf_get_socket_cookie(ctx);
	rec->netns_cookie = bpf_get_netns_cookie(ctx);
	rec->protocol = socket_protocol(ctx);
	rec->socket_type = ctx->type;
	rec->timestamp_ns = bpf_ktime_get_boot_ns();
}

static __always_inline void record_ports(struct agentsh_record *rec, struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	rec->remote_port = bpf_ntohs((__u16)ctx->user_port);
	rec->local_port = sk ? sk->src_port : 0; /* in host order */
}

static __always_inline void set_addr4(__u32 *addr, __u32 word)
{
	addr[0] = word;
	addr[1] = 0;
	addr[2] = 0;
	addr[3] = 0;
}

/*
 * The address that the kernel takes for 0.0.0.0 (ip_route_output_key_hash_rcu()): the
 * socket's own, else the loopback address; for a socket that is bound to an interface, an
 * address of that interface, which is not known here.
 */
static __always_inline __u32 this_host4(const struct agentsh_record *rec, __u32 local)
{
	if (local)
		return local;
	return rec->ifindex ? 0 : LOOPBACK4;
}

/*
 * Sets both ends at an IPv4 hook, which also sees an IPv6 socket's send to a mapped
 * address. rec->ifindex must be set.
 */
static __always_inline void record_ends4(struct agentsh_record *rec, struct bpf_sock_addr *ctx,
					 __u32 local)
{
	__u32 remote = ctx->user_ip4;

	rec->family = AF_INET;
	rec->flags |= ctx->family == AF_INET6 ? AGENTSH_FLAG_V4_MAPPED : 0;
	rec->flags |= remote ? 0 : AGENTSH_FLAG_UNSPECIFIED;
	set_addr4(rec->remote_addr, remote ? remote : this_host4(rec, local));
	set_addr4(rec->local_addr, local);
}

/*
 * Replaces :: and ::ffff:0.0.0.0 by the address that the kernel takes: ::1, or
 * ::ffff:127.0.0.1 if the socket is bound to a mapped address (tcp_v6_connect()).
 */
static __always_inline void resolve_unspecified6(struct agentsh_record *rec, __u32 remote[4],
						 const __u32 local[4])
{
	int local_mapped = !local[0] && !local[1] && local[2] == V4_MAPPED_WORD;

	if (remote[0] || remote[1] || remote[3] || (remote[2] && remote[2] != V4_MAPPED_WORD))
		return;
	rec->flags |= AGENTSH_FLAG_UNSPECIFIED;
	if (remote[2]) {
		remote[3] = this_host4(rec, local_mapped ? local[3] : 0);
	} else if (local_mapped) {
		remote[2] = V4_MAPPED_WORD;
		remote[3] = LOOPBACK4;
	} else {
		remote[3] = bpf_htonl(1);
	}
}

/*
 * Sets both ends of an IPv6 socket. A connection to ::ffff:a.b.c.d is an IPv4 connection
 * and is reported as such, with the flag. Its local end is converted, too, because the
 * event has one family for both ends. Each word is stored once, whatever the family:
 * without CAP_PERFMON the verifier refuses what compilers make of stores in two branches.
 */
static __always_inline void record_ends6(struct agentsh_record *rec, const __u32 remote[4],
					 const __u32 local[4])
{
	int mapped = !remote[0] && !remote[1] && remote[2] == V4_MAPPED_WORD;
	__u32 local4 = local[2] == V4_MAPPED_WORD ? local[3] : 0;

	rec->family = mapped ? AF_INET : AF_INET6;
	rec->flags |= mapped ? AGENTSH_FLAG_V4_MAPPED : 0;
	rec->remote_addr[0] = mapped ? remote[3] : remote[0];
	rec->remote_addr[1] = mapped ? 0 : remote[1];
	rec->remote_addr[2] = mapped ? 0 : remote[2];
	rec->remote_addr[3] = mapped ? 0 : remote[3];
	rec->local_addr[0] = mapped ? local4 : local[0];
	rec->local_addr[1] = mapped ? 0 : local[1];
	rec->local_addr[2] = mapped ? 0 : local[2];
	rec->local_addr[3] = mapped ? 0 : local[3];
}

/* Copies word by word, because a member of the context has no address that could be passed on. */
#define COPY_ADDR6(to, from)                                                                       \
	do {                                                                                       \
		(to)[0] = (from)[0];                                                               \
		(to)[1] = (from)[1];                                                               \
		(to)[2] = (from)[2];                                                               \
		(to)[3] = (from)[3];                                                               \
	} while (0)

#endif
