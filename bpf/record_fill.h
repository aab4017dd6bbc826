/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fills a record: first the members that every hook knows, then those of a bpf_sock_addr. */
#ifndef AGENTSH_RECORD_FILL_H
#define AGENTSH_RECORD_FILL_H

#include <bpf/bpf_endian.h>
#include "constants.h"
#include "ringbuf.h"
#include "task.h"

#define V4_MAPPED_WORD bpf_htonl(0x0000ffff)

#define PROTOCOL_TCP 6
#define PROTOCOL_MPTCP 262

/* Sets the members that depend on neither the hook nor the task. */
static __always_inline void record_begin(struct agentsh_record *rec,
					 const struct agentsh_session_state *session,
					 const struct agentsh_slot *slot, __u8 kind)
{
	rec->version = AGENTSH_RECORD_VERSION;
	rec->kind = kind;
	rec->flags = 0;
	rec->generation = session->generation;
	rec->slot = (__u16)session->slot;
	rec->ifindex = 0;
	rec->timestamp_ns = bpf_ktime_get_boot_ns();
	rec->session_id = session->session_id;
	rec->session_lost = *(volatile __u64 *)&slot->lost - session->lost_base;
}

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

static __always_inline void record_socket(struct agentsh_record *rec, struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	rec->socket_cookie = bpf_get_socket_cookie(ctx);
	rec->netns_cookie = bpf_get_netns_cookie(ctx);
	rec->protocol = socket_protocol(ctx);
	rec->socket_type = ctx->type;
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
 * Sets the destination at an IPv4 hook, which also sees an IPv6 socket's send to a mapped
 * address.
 */
static __always_inline void record_remote4(struct agentsh_record *rec, struct bpf_sock_addr *ctx)
{
	rec->family = AF_INET;
	rec->flags |= ctx->family == AF_INET6 ? AGENTSH_FLAG_V4_MAPPED : 0;
	set_addr4(rec->remote_addr, ctx->user_ip4);
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
