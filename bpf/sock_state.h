/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of a socket from one of its events to the next, kept with the
 * socket itself: most of what becomes of a connection happens in softirq, where
 * there is no task to ask. One for all sessions that see the socket, so it holds
 * nothing of a session, and what is written twice is written the same.
 */
#ifndef AGENTSH_SOCK_STATE_H
#define AGENTSH_SOCK_STATE_H

#include "record_fill.h"

#define SOCK_STREAM 1

enum {
	PHASE_ATTEMPT = 1,  /* connect() was called */
	PHASE_SYN = 2,	    /* and got as far as a SYN, or further */
	PHASE_CROSSED = 3,  /* which met a SYN of the peer on its way: no listener is needed */
	PHASE_BOUND = 4,    /* bind() was called: a listener, maybe */
	PHASE_ACCEPTED = 5, /* the child of one */
};

struct sock_state {
	struct agentsh_task task;
	__u64 start_ns; /* connect(), first datagram, or the end of a handshake */
	__u64 netns_cookie;
	__u64 received;	 /* bytes, when FIN_WAIT2 began */
	__u32 remote[4]; /* of a datagram socket: as the last call gave it */
	__u16 remote_port;
	__u8 remote_v6; /* it came by a v6 hook */
	__u8 socket_v6;
	__u16 protocol;
	__u16 socket_type;
	__u32 datagrams;
	__u32 counter;	    /* serial of the session that counts them: nested ones must not twice */
	__u32 counter_slot; /* and where it is to be found */
	__u32 phase;	    /* FLOW_ */
	__u32 closer;	    /* TCP state that the first FIN led to */
	__u32 unattributed; /* who is not known: the socket was found when its handshake ended */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* the library adds BPF_F_CLONE for listeners */
	__type(key, int);
	__type(value, struct sock_state);
} agentsh_sock_states __weak SEC(".maps");

/* The flow of a socket whose process calls; NULL: none is wanted, or no memory. */
static __always_inline struct sock_state *sock_state_of_caller(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return NULL;
	return bpf_sk_storage_get(&agentsh_sock_states, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

/* who: the caller, where it has been asked already; else NULL. */
static __always_inline void sock_state_begin(struct sock_state *sock, struct bpf_sock_addr *ctx,
					     const struct agentsh_task *task, __u8 phase)
{
	if (task)
		sock->task = *task;
	else
		task_fill(&sock->task);
	sock->start_ns = bpf_ktime_get_boot_ns();
	sock->netns_cookie = bpf_get_netns_cookie(ctx);
	sock->protocol = socket_protocol(ctx);
	sock->socket_type = ctx->type;
	sock->phase = phase;
	sock->closer = 0;
	sock->received = 0;
	sock->unattributed = 0;
}

/* Where a datagram socket's last call went to. */
static __always_inline void sock_state_set_remote4(struct sock_state *sock,
						   struct bpf_sock_addr *ctx)
{
	set_addr4(sock->remote, ctx->user_ip4);
	sock->remote_port = bpf_ntohs((__u16)ctx->user_port);
	sock->remote_v6 = 0;
	sock->socket_v6 = ctx->family == AF_INET6;
}

static __always_inline void sock_state_set_remote6(struct sock_state *sock,
						   struct bpf_sock_addr *ctx)
{
	COPY_ADDR6(sock->remote, ctx->user_ip6);
	sock->remote_port = bpf_ntohs((__u16)ctx->user_port);
	sock->remote_v6 = 1;
	sock->socket_v6 = 1;
}

/*
 * The flow of a connect(), or NULL: none is wanted, or no memory. Each attempt of
 * a stream begins one; a datagram socket's goes on from its first event. For use
 * at once: a NULL that is carried along and tested later fails without
 * CAP_PERFMON, because older kernels follow the branch that cannot be taken too,
 * as a processor may.
 */
static __always_inline struct sock_state *sock_state_connect(struct bpf_sock_addr *ctx,
							     const struct agentsh_task *task)
{
	struct sock_state *sock = agentsh_settings.lifecycle ? sock_state_of_caller(ctx) : NULL;

	if (sock && (ctx->type == SOCK_STREAM || !sock->phase))
		sock_state_begin(sock, ctx, task, PHASE_ATTEMPT);
	return sock;
}

/* Whether the session that counted the socket's datagrams so far has ended. */
static __always_inline int counter_gone(const struct sock_state *sock)
{
	__u32 index = sock->counter_slot;
	struct agentsh_slot *slot = bpf_map_lookup_elem(&agentsh_slots, &index);

	return !slot || *(volatile __u32 *)&slot->generation != sock->counter;
}

/* The flow of a datagram, which counts it; NULL: none is wanted, or no memory. */
static __always_inline struct sock_state *
sock_state_datagram(struct bpf_sock_addr *ctx, const struct agentsh_session_state *session)
{
	struct sock_state *sock = agentsh_settings.lifecycle ? sock_state_of_caller(ctx) : NULL;

	if (!sock)
		return NULL;
	if (!sock->phase)
		sock_state_begin(sock, ctx, NULL, PHASE_ATTEMPT);
	if (sock->counter != session->generation && (!sock->counter || counter_gone(sock))) {
		sock->counter_slot = session->slot;
		sock->counter = session->generation;
	}
	if (sock->counter == session->generation)
		__sync_fetch_and_add(&sock->datagrams, 1);
	return sock;
}

#endif
