/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The last close() of a socket: the end of a datagram socket, and of what is kept of a
 * stream socket that has no connection. sockops.bpf.c reports the end of a connection.
 */
#include "listener.h"
#include "outcome.h"
#include "released.h"
#include "tcp_progress.h"

AGENTSH_STATE_MAP(agentsh_state_release);

/*
 * In this hook the verifier does not allow reading src_port from the context, so it is
 * read from struct sock through BTF. 0: unknown.
 */
static __always_inline __u16 local_port(struct bpf_sock *ctx)
{
#ifdef AGENTSH_TASK
	if (ctx->type != SOCK_RAW) /* where it is the protocol */
		return BPF_CORE_READ((struct sock *)ctx, __sk_common.skc_num);
#endif
	(void)ctx;
	return 0;
}

/*
 * The cookie by which the socket is known. The hooks see the first subflow of an MPTCP
 * socket, for which the kernel runs no program at its end.
 */
static __always_inline __u64 known_cookie(struct bpf_sock *ctx)
{
#ifdef AGENTSH_TASK
	if (ctx->protocol == PROTOCOL_MPTCP && bpf_core_type_exists(struct mptcp_sock))
		return BPF_CORE_READ((struct mptcp_sock *)ctx, first,
				     __sk_common.skc_cookie.counter);
#endif
	return bpf_get_socket_cookie(ctx);
}

/*
 * Whether the socket has a connection, whose end sockops.bpf.c will see. In SYN_SENT this is
 * not certain: with TCP_FASTOPEN_CONNECT, tcp(7), the SYN waits for the first data.
 */
static __always_inline int is_connected(struct bpf_sock *ctx)
{
#ifdef AGENTSH_TASK
	if (HAS_RDONLY_CAST && ctx->protocol == PROTOCOL_TCP) {
		__u32 state = READABLE(ctx, struct sock)->__sk_common.skc_state;

		return state != BPF_TCP_CLOSE && state != BPF_TCP_LISTEN &&
		       state != BPF_TCP_SYN_SENT;
	}
#endif
	(void)ctx;
	return 0;
}

/*
 * The end of a connection that is older than the session: nothing requested the calls of
 * sockops.bpf.c for its socket. What the process wrote is taken for acknowledged, because
 * the kernel still sends it.
 */
static __always_inline void earlier_closed(struct bpf_sock *ctx, const struct sock_state *sock,
					   const struct agentsh_session_state *session,
					   struct agentsh_slot *slot, __u64 cookie)
{
#ifdef AGENTSH_TASK
	struct agentsh_record_outcome out;
	struct tcp_progress p;
	struct outcome o;
	struct fields f;

	if (!tcp_progress_read(&p, (struct tcp_sock *)ctx, cookie, sock))
		return;
	fields_of_state(&f, sock);
	outcome_of_progress(&o, &p);
	o.bytes_sent += p.unacknowledged;
	o.error = p.error;
	f.flags |= p.closed_flag;
	o.duration_ns = f.timestamp_ns - sock->rec.timestamp_ns;
	out.base.task = sock->rec.task;
	record_fill(&out.base, &f, session, AGENTSH_KIND_CLOSED);
	outcome_write(&out, &o, session, slot);
#else
	(void)ctx;
	(void)sock;
	(void)session;
	(void)slot;
	(void)cookie;
#endif
}

/* Whether bind() may have added the socket; for MPTCP this is known of the subflow only. */
static __always_inline int may_be_bound(struct bpf_sock *ctx)
{
	return ctx->protocol == PROTOCOL_MPTCP || bpf_sk_storage_get(&agentsh_listeners, ctx, 0, 0);
}

/*
 * Returns the state of a socket. A connection without a state, or whose state is that of a
 * packet, is marked before the look that counts, so that no packet adds a state from here on.
 */
static __always_inline struct sock_state *state_of_released(struct bpf_sock *ctx,
							    const struct agentsh_sock_key *key)
{
	struct sock_state *sock = sock_state_find(key);

	if (!agentsh_settings.traffic || (sock && sock->phase != PHASE_PACKET))
		return sock;
	mark_released(ctx);
	return sock_state_find(key);
}

/* Takes a socket out of the table that sockops.bpf.c will not take out. */
static __always_inline void attempt_released(struct bpf_sock *ctx,
					     const struct agentsh_sock_key *key,
					     const struct agentsh_session_state *session,
					     struct agentsh_slot *slot)
{
	struct sock_state *sock = state_of_released(ctx, key);

	if (!sock)
		return;
	if (sock->phase == PHASE_PACKET)
		earlier_closed(ctx, sock, session, slot, key->cookie);
	else if (sock->phase != PHASE_ATTEMPT) /* a SYN was sent, so the state will change */
		return;
	sock_state_forget(slot, key);
}

static __always_inline void stream_released(struct bpf_sock *ctx, struct agentsh_sock_key *key,
					    const struct agentsh_session_state *session,
					    struct agentsh_slot *slot)
{
	if (agentsh_settings.traffic || !is_connected(ctx))
		attempt_released(ctx, key, session, slot);
	if (agentsh_settings.accept && may_be_bound(ctx)) {
		key->session |= AGENTSH_KEY_LISTENER;
		sock_state_forget(slot, key);
	}
}

static __always_inline void datagram_closed(struct bpf_sock *ctx, const struct sock_state *sock,
					    const struct agentsh_session_state *session,
					    struct agentsh_slot *slot)
{
	struct agentsh_record_outcome out;
	struct outcome outcome = {
		.bytes_sent = sock->bytes_sent,
		.bytes_received = sock->bytes_received,
		.packets_sent = sock->packets_sent,
		.packets_received = sock->packets_received,
	};
	struct fields f;
	__u16 port;

	fields_of_state(&f, sock);
	port = local_port(ctx);
	if (port)
		f.local_port = port;
	outcome.duration_ns = f.timestamp_ns - sock->rec.timestamp_ns;
	out.base.task = sock->rec.task;
	record_fill(&out.base, &f, session, AGENTSH_KIND_CLOSED);
	outcome_write(&out, &outcome, session, slot);
}

SEC("cgroup/sock_release")
int agentsh_release(struct bpf_sock *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_release, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_sock_key key;
	struct sock_state *sock;

	if (!slot)
		return 1;
	key = sock_key(known_cookie(ctx), session);
	if (is_tcp(ctx->type, ctx->protocol)) {
		stream_released(ctx, &key, session, slot);
		return 1;
	}
	if (agentsh_settings.traffic) /* first, so that no state is added from here on */
		mark_released(ctx);
	sock = sock_state_find(&key);
	if (!sock)
		return 1;
	datagram_closed(ctx, sock, session, slot);
	sock_state_forget(slot, &key);
	return 1;
}
