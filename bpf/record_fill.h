/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a hook tells about a socket and its two ends, and how it gets into a record. */
#ifndef AGENTSH_RECORD_FILL_H
#define AGENTSH_RECORD_FILL_H

#include <bpf/bpf_endian.h>
#include "constants.h"
#include "ringbuf.h"
#include "task.h"
#include "words.h"

#define V4_MAPPED_WORD bpf_htonl(0x0000ffff)
#define LOOPBACK4 bpf_htonl(0x7f000001)

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_UDPLITE 136
#define PROTOCOL_MPTCP 262

/* Whether the socket is of the kind whose outcome sockops.bpf.c reports. */
static __always_inline int is_tcp(__u32 type, __u32 protocol)
{
	return type == SOCK_STREAM && (protocol == PROTOCOL_TCP || protocol == PROTOCOL_MPTCP);
}

/*
 * The members of a record while they are being found out. No function takes the address of
 * one, so the compiler keeps them in registers.
 */
struct fields {
	__u64 timestamp_ns;
	__u64 socket_cookie;
	__u64 netns_cookie;
	__u32 flags;
	__u32 family;
	__u32 protocol;
	__u32 socket_type;
	__u32 local_port;
	__u32 remote_port;
	__u32 ifindex;
	__u32 local[4];
	__u32 remote[4];
};

/* The first part of record_fill(): what fields_of() has found out. */
static __always_inline void record_begin(struct agentsh_record *rec, const struct fields *f)
{
	rec->timestamp_ns = f->timestamp_ns;
	rec->socket_cookie = f->socket_cookie;
	rec->netns_cookie = f->netns_cookie;
	barrier(); /* frees the registers: from here on the values are in the record only */
}

static __always_inline void record_finish(struct agentsh_record *rec, const struct fields *f,
					  const struct agentsh_session_state *session, __u8 kind)
{
	__u32 begin = half_of(quarter_of(AGENTSH_RECORD_VERSION, kind), f->flags);

	SET_WORD(rec->head.version, word_of(begin, session->generation));
	SET_WORD(rec->head.slot,
		 word_of(half_of(session->slot, f->family), half_of(f->protocol, f->socket_type)));
	SET_WORD(rec->head.local_port, word_of(half_of(f->local_port, f->remote_port), f->ifindex));
	rec->session_id = session->session_id;
	/* for the state of the socket; set anew once the record has its place in the ring */
	rec->session_lost = session->lost_base;
	set_words(rec->local_addr, f->local);
	set_words(rec->remote_addr, f->remote);
	barrier();
}

/* Fills the record except for the task. */
static __always_inline void record_fill(struct agentsh_record *rec, const struct fields *f,
					const struct agentsh_session_state *session, __u8 kind)
{
	record_begin(rec, f);
	record_finish(rec, f, session, kind);
}

/* Sets a flag in a finished record. */
static __always_inline void record_flag(struct agentsh_record *rec, __u16 flag)
{
	__u64 *first = (__u64 *)&rec->head;

	*first |= word_of(half_of(0, flag), 0);
}

/* ---- from a bpf_sock_addr ------------------------------------------------- */

#ifdef AGENTSH_TASK
/* The TCP socket behind a full socket that is known to be one. */
static __always_inline struct tcp_sock *tcp_of(struct bpf_sock *sk)
{
	return HAS_RDONLY_CAST ? READABLE(sk, struct tcp_sock) : bpf_skc_to_tcp_sock(sk);
}

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
static __always_inline __u32 socket_protocol(struct bpf_sock_addr *ctx)
{
	__u32 protocol = ctx->protocol;

#ifdef AGENTSH_TASK
	if (protocol == PROTOCOL_TCP && ctx->type == SOCK_STREAM &&
	    bpf_core_field_exists(struct tcp_sock, is_mptcp)) {
		struct bpf_sock *sk = ctx->sk;
		struct tcp_sock *tcp = sk ? tcp_of(sk) : NULL;

		if (tcp && tcp->is_mptcp)
			return PROTOCOL_MPTCP;
	}
#endif
	return protocol;
}

/* The cookie of the context's socket, which the first question for it creates. */
static __always_inline __u64 cookie_of(void *ctx, struct bpf_sock *sk)
{
#ifdef AGENTSH_TASK
	__u64 cookie =
		HAS_RDONLY_CAST ? READABLE(sk, struct sock)->__sk_common.skc_cookie.counter : 0;

	if (cookie)
		return cookie;
#endif
	(void)sk;
	return bpf_get_socket_cookie(ctx);
}

static __always_inline __u64 netns_cookie_of(struct bpf_sock_addr *ctx)
{
#ifdef AGENTSH_TASK
	if (HAS_RDONLY_CAST && bpf_core_field_exists(possible_net_t, net))
		return READABLE(ctx->sk, struct sock)->__sk_common.skc_net.net->net_cookie;
#endif
	return bpf_get_netns_cookie(ctx);
}

/* Finds out everything but the addresses and the interface. */
static __always_inline void fields_of(struct fields *f, struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	f->socket_cookie = cookie_of(ctx, sk);
	f->netns_cookie = netns_cookie_of(ctx);
	f->flags = 0;
	f->protocol = socket_protocol(ctx);
	f->socket_type = ctx->type;
	f->remote_port = bpf_ntohs((__u16)ctx->user_port);
	f->local_port = sk ? sk->src_port : 0; /* in host order */
	f->timestamp_ns = bpf_ktime_get_boot_ns();
}

static __always_inline void set_addr4(__u32 addr[4], __u32 word)
{
	addr[0] = word;
	addr[1] = 0;
	addr[2] = 0;
	addr[3] = 0;
}

/*
 * The address that the kernel takes for 0.0.0.0 (ip_route_output_key_hash_rcu()): the
 * socket's own, else the loopback address; for a socket that is bound to an interface, an
 * address of that interface, which is not known here. A multicast or broadcast address is not
 * the socket's own in this sense, and IP_UNICAST_IF and IP_PKTINFO choose an interface, too: the
 * rules therefore do not rely on this address.
 */
static __always_inline __u32 this_host4(const struct fields *f, __u32 local)
{
	if (local)
		return local;
	return f->ifindex ? 0 : LOOPBACK4;
}

/*
 * Sets both ends at an IPv4 hook, which also sees an IPv6 socket's send to a mapped
 * address. f->ifindex must be set.
 */
static __always_inline void set_ends4(struct fields *f, struct bpf_sock_addr *ctx, __u32 local)
{
	__u32 remote = ctx->user_ip4;

	f->family = AF_INET;
	f->flags |= ctx->family == AF_INET6 ? AGENTSH_FLAG_V4_MAPPED : 0;
	f->flags |= remote ? 0 : AGENTSH_FLAG_UNSPECIFIED;
	set_addr4(f->remote, remote ? remote : this_host4(f, local));
	set_addr4(f->local, local);
}

/*
 * Replaces :: and ::ffff:0.0.0.0 by the address that the kernel takes: ::1, or
 * ::ffff:127.0.0.1 if the socket is bound to a mapped address (tcp_v6_connect()).
 */
static __always_inline void resolve_unspecified6(struct fields *f)
{
	int local_mapped = !f->local[0] && !f->local[1] && f->local[2] == V4_MAPPED_WORD;
	__u32 word = f->remote[2];

	if (f->remote[0] || f->remote[1] || f->remote[3] || (word && word != V4_MAPPED_WORD))
		return;
	f->flags |= AGENTSH_FLAG_UNSPECIFIED;
	if (word) {
		f->remote[3] = this_host4(f, local_mapped ? f->local[3] : 0);
	} else if (local_mapped) {
		f->remote[2] = V4_MAPPED_WORD;
		f->remote[3] = LOOPBACK4;
	} else {
		f->remote[3] = bpf_htonl(1);
	}
}

/*
 * Sets the family of an IPv6 socket's two ends. A connection to ::ffff:a.b.c.d is an IPv4
 * connection and is reported as such, with the flag. Its local end is converted, too,
 * because the event has one family for both ends.
 */
static __always_inline void unmap_ends6(struct fields *f)
{
	int mapped = !f->remote[0] && !f->remote[1] && f->remote[2] == V4_MAPPED_WORD;

	f->family = mapped ? AF_INET : AF_INET6;
	if (!mapped)
		return;
	f->flags |= AGENTSH_FLAG_V4_MAPPED;
	set_addr4(f->remote, f->remote[3]);
	set_addr4(f->local, f->local[2] == V4_MAPPED_WORD ? f->local[3] : 0);
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
