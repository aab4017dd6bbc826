/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of a socket, kept with the socket from one of its events to the next: most of
 * a connection's events happen in softirq, where there is no task to ask. All sessions
 * that see the socket share this state, so it holds nothing of a session but the owner of
 * the datagram count, and sessions that write the same member write the same value.
 */
#ifndef AGENTSH_SOCK_STATE_H
#define AGENTSH_SOCK_STATE_H

#include "record_fill.h"

#define SOCK_STREAM 1

enum {
	PHASE_ATTEMPT = 1, /* connect() was called */
	PHASE_SYN = 2,	   /* a SYN was sent, at least */
	/* the SYN met one of the peer (simultaneous open), so no listener is involved */
	PHASE_CROSSED = 3,
	PHASE_BOUND = 4,    /* bind() was called: the socket may become a listener */
	PHASE_ACCEPTED = 5, /* the socket is a listener's child */
};

struct sock_state {
	struct agentsh_task task;
	__u64 start_ns; /* time of connect(), of the first datagram, or of the end of a handshake */
	__u64 netns_cookie;
	__u64 received;	 /* bytes received when FIN_WAIT2 began */
	__u32 remote[4]; /* destination of a datagram socket's last call */
	__u16 remote_port;
	__u8 remote_v6; /* an IPv6 hook saw that call */
	__u8 socket_v6;
	__u16 protocol;
	__u16 socket_type;
	__u32 datagrams;
	__u32 counter; /* generation of the session that counts datagrams: nested sessions must not
			  count twice */
	__u32 counter_slot; /* slot of that session */
	__u32 phase;	    /* PHASE_ */
	__u32 closer;	    /* TCP state after the first FIN */
	__u32 unattributed; /* the task is unknown: the socket was first seen at the end of its
			       handshake */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* the library adds BPF_F_CLONE for listeners */
	__type(key, int);
	__type(value, struct sock_state);
} agentsh_sock_states __weak SEC(".maps");

/*
 * Returns the state of the socket that the current task uses, and creates it if necessary.
 * NULL: the hook gave no socket, or memory is short.
 */
static __always_inline struct sock_state *sock_state_of_caller(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return NULL;
	return bpf_sk_storage_get(&agentsh_sock_states, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

/* Starts the state. task is the calling task if the record has it already, else NULL. */
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

/* Stores the destination of a datagram socket's last call. */
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
 * Returns the socket's state for a connect(). NULL: no lifecycle event is wanted, or
 * memory is short. Each attempt of a stream socket starts a new state; a datagram socket
 * keeps its state from its first event. Test the result immediately: without CAP_PERFMON
 * older kernels also follow the impossible branch, as a CPU may in speculation, and reject
 * a NULL that is tested later.
 */
static __always_inline struct sock_state *sock_state_connect(struct bpf_sock_addr *ctx,
							     const struct agentsh_task *task)
{
	struct sock_state *sock = agentsh_settings.lifecycle ? sock_state_of_caller(ctx) : NULL;

	if (sock && (ctx->type == SOCK_STREAM || !sock->phase))
		sock_state_begin(sock, ctx, task, PHASE_ATTEMPT);
	return sock;
}

/* Whether the session that has counted the socket's datagrams has ended. */
static __always_inline int counter_gone(const struct sock_state *sock)
{
	__u32 index = sock->counter_slot;
	struct agentsh_slot *slot = bpf_map_lookup_elem(&agentsh_slots, &index);

	return !slot || *(volatile __u32 *)&slot->generation != sock->counter;
}

/*
 * Returns the socket's state for a datagram, and counts the datagram. NULL: no lifecycle
 * event is wanted, or memory is short.
 */
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
