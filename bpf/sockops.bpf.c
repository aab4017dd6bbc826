/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outcome of a TCP connection: established, failed, closed. The kernel also asks
 * questions with this hook (time-outs, windows). The program answers none of them, and
 * keeps the reply that another program may have given.
 */
#include "listener.h"

AGENTSH_STATE_MAP(agentsh_state_sockops);

/*
 * SOCK_DONE of enum sock_flags (include/net/sock.h): the peer's FIN was received. The enum
 * is internal to the kernel, and nothing promises its values. If the value is wrong,
 * tests/live/test_connection_closed.c fails in each of its cases in which the client sends
 * the first FIN, such as "client first".
 */
#define SOCK_DONE_BIT 1

#define ECANCELED 125

/* The socket's error as a positive errno value; negative: this build cannot read it. */
static __always_inline int socket_error(struct bpf_sock_ops *ctx, int soft)
{
#ifdef AGENTSH_TASK
	struct bpf_sock *sk = ctx->sk;
	struct tcp_sock *tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

	if (tcp) {
		int error = tcp->inet_conn.icsk_inet.sk.sk_err;

		return error || !soft ? error : tcp->inet_conn.icsk_inet.sk.sk_err_soft;
	}
#endif
	(void)ctx;
	(void)soft;
	return -1;
}

/*
 * Whether bytes_acked includes our FIN. The FIN may wait behind data that the peer's
 * window does not admit; without BTF it is assumed to have been sent with the data.
 */
static __always_inline int fin_acked(struct bpf_sock_ops *ctx, __u32 old)
{
	/* separate loads: the verifier requires the unchanged context pointer in each */
	__u32 acked = *(volatile __u32 *)&ctx->snd_una;
	__u32 end = *(volatile __u32 *)&ctx->snd_nxt;

	if (old == BPF_TCP_FIN_WAIT2)
		return 1;
	if (old != BPF_TCP_LAST_ACK && old != BPF_TCP_CLOSING)
		return 0;
#ifdef AGENTSH_TASK
	struct bpf_sock *sk = ctx->sk;
	struct tcp_sock *tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

	if (tcp)
		end = tcp->write_seq;
#endif
	return acked == end;
}

/*
 * Whether bytes_received includes the peer's FIN, which counts as one byte. A socket
 * leaves FIN_WAIT2 because of that FIN, or because no process holds the socket any more;
 * without BTF the second case is assumed if nothing was received since FIN_WAIT2 began.
 */
static __always_inline int fin_received(struct bpf_sock_ops *ctx, const struct sock_state *sock,
					__u32 old)
{
	if (old == BPF_TCP_CLOSE_WAIT || old == BPF_TCP_LAST_ACK || old == BPF_TCP_CLOSING)
		return 1;
	if (old != BPF_TCP_FIN_WAIT2)
		return 0;
#ifdef AGENTSH_TASK
	struct bpf_sock *sk = ctx->sk;
	struct tcp_sock *tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

	if (tcp)
		return tcp->inet_conn.icsk_inet.sk.__sk_common.skc_flags >> SOCK_DONE_BIT & 1;
#endif
	return ctx->bytes_received > sock->received;
}

/* bytes_acked also counts our SYN, if we sent one, and our FIN. */
static __always_inline __u64 bytes_sent(struct bpf_sock_ops *ctx, __u32 old, int inbound)
{
	__u64 acked = ctx->bytes_acked;
	__u64 other = !inbound + fin_acked(ctx, old);

	return acked > other ? acked - other : 0;
}

/* Sets both ends. Those of an IPv4 socket are handled like mapped ones, but without the flag. */
static __always_inline void record_ends(struct agentsh_record *rec, struct bpf_sock_ops *ctx)
{
	__u32 local[4] = {0, 0, V4_MAPPED_WORD}, remote[4] = {0, 0, V4_MAPPED_WORD};
	__u32 family = ctx->family;
	struct bpf_sock *sk = ctx->sk;

	rec->local_port = (__u16)ctx->local_port;	       /* host order */
	rec->remote_port = (__u16)bpf_ntohl(ctx->remote_port); /* network order */
	rec->ifindex = sk ? sk->bound_dev_if : 0; /* connect() binds to the scope of an address */
	if (family == AF_INET6) {
		COPY_ADDR6(local, ctx->local_ip6);
		COPY_ADDR6(remote, ctx->remote_ip6);
	} else {
		local[3] = ctx->local_ip4;
		remote[3] = ctx->remote_ip4;
	}
	record_ends6(rec, remote, local);
	if (family != AF_INET6)
		rec->flags = 0;
}

/* Begins a record of the socket. The task is not set. */
static __always_inline void outcome_begin(struct agentsh_record_outcome *out,
					  struct bpf_sock_ops *ctx,
					  const struct agentsh_session_state *session, __u8 kind)
{
	struct agentsh_record *rec = &out->base;

	record_begin(rec, session, kind);
	record_ends(rec, ctx);
	rec->timestamp_ns = bpf_ktime_get_boot_ns();
	rec->socket_cookie = bpf_get_socket_cookie(ctx);
	rec->socket_type = SOCK_STREAM;
	out->duration_ns = 0;
	out->error = 0;
	out->rtt_us = ctx->srtt_us >> 3;
	out->bytes_sent = 0;
	out->bytes_received = 0;
	out->retransmits = ctx->total_retrans;
	out->datagrams = 0;
}

/* Sets the task, and what else only the socket's state tells. */
static __always_inline void outcome_from_state(struct agentsh_record_outcome *out,
					       const struct sock_state *sock)
{
	struct agentsh_record *rec = &out->base;

	rec->task = sock->task; /* all zero if it is unattributed */
	rec->netns_cookie = sock->netns_cookie;
	rec->protocol = sock->protocol;
	rec->flags |= sock->flags & AGENTSH_FLAG_UNATTRIBUTED;
	out->duration_ns = rec->timestamp_ns - sock->start_ns;
}

static __always_inline void outcome_without_task(struct agentsh_record_outcome *out)
{
	struct agentsh_record *rec = &out->base;

	__builtin_memset(&rec->task, 0, sizeof(rec->task));
	rec->netns_cookie = 0;
	rec->protocol = PROTOCOL_TCP;
	rec->flags |= AGENTSH_FLAG_UNATTRIBUTED;
}

static __always_inline void outcome_write(struct agentsh_record_outcome *out,
					  const struct agentsh_session_state *session,
					  struct agentsh_slot *slot)
{
	ringbuf_write(slot, session, &out->base, sizeof(*out));
}

/* Requests a call at each change of state, in addition to what other programs have requested. */
static __always_inline void watch_states(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* Without a state the beginning of the connection was not seen, or the table was full. */
static __always_inline void established(struct bpf_sock_ops *ctx,
					const struct agentsh_session_state *session,
					struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	struct agentsh_record_outcome out;
	struct sock_state *sock = sock_state_find(key);

	outcome_begin(&out, ctx, session, AGENTSH_KIND_CONNECTED);
	if (sock) {
		sock->phase = PHASE_SYN; /* the SYN may have been sent before the attach */
		outcome_from_state(&out, sock);
		if (out.base.flags & AGENTSH_FLAG_UNATTRIBUTED)
			out.duration_ns = 0;
	} else {
		outcome_without_task(&out);
		sock_state_add(session, slot, key, &out.base, PHASE_SYN);
	}
	watch_states(ctx);
	outcome_write(&out, session, slot);
}

static __always_inline void accepted(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
				     const struct agentsh_session_state *session,
				     struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	struct agentsh_record_outcome out;

	outcome_begin(&out, ctx, session, AGENTSH_KIND_ACCEPTED);
	if (!listener_owner(&out.base, sk))
		outcome_without_task(&out);
	out.base.flags |= AGENTSH_FLAG_INBOUND;
	sock_state_add(session, slot, key, &out.base, PHASE_ACCEPTED);
	watch_states(ctx);
	outcome_write(&out, session, slot);
}

static __always_inline void failed(struct bpf_sock_ops *ctx, const struct sock_state *sock,
				   const struct agentsh_session_state *session,
				   struct agentsh_slot *slot)
{
	struct agentsh_record_outcome out;
	int error = socket_error(ctx, 1);

	outcome_begin(&out, ctx, session, AGENTSH_KIND_CONNECT_FAILED);
	outcome_from_state(&out, sock);
	out.rtt_us = 0;
	if (error < 0)
		out.base.flags |= AGENTSH_FLAG_NO_ERROR;
	else
		out.error = error ? error : ECANCELED; /* no error: the process gave up */
	outcome_write(&out, session, slot);
}

static __always_inline void closed(struct bpf_sock_ops *ctx, const struct sock_state *sock,
				   const struct agentsh_session_state *session,
				   struct agentsh_slot *slot, __u32 old)
{
	int inbound = sock->phase == PHASE_ACCEPTED;
	struct agentsh_record_outcome out;
	__u64 received = ctx->bytes_received, fin;
	int error = socket_error(ctx, 0);

	outcome_begin(&out, ctx, session, AGENTSH_KIND_CLOSED);
	outcome_from_state(&out, sock);
	if (inbound)
		out.base.flags |= AGENTSH_FLAG_INBOUND;
	if (sock->closer == BPF_TCP_FIN_WAIT1)
		out.base.flags |= AGENTSH_FLAG_LOCAL_CLOSED;
	else if (sock->closer == BPF_TCP_CLOSE_WAIT)
		out.base.flags |= AGENTSH_FLAG_REMOTE_CLOSED;
	if (error < 0)
		out.base.flags |= AGENTSH_FLAG_NO_ERROR;
	else
		out.error = error;
	out.bytes_sent = bytes_sent(ctx, old, inbound);
	/* the kernel does not count a FIN that came with the SYN-ACK of a Fast Open */
	fin = fin_received(ctx, sock, old);
	out.bytes_received = received > fin ? received - fin : 0;
	outcome_write(&out, session, slot);
}

/*
 * The state callback runs for every socket for which any attached program requested it,
 * including sockets that this session does not report: they have no state.
 */
static __always_inline void changed(struct bpf_sock_ops *ctx,
				    const struct agentsh_session_state *session,
				    struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	__u32 old = ctx->args[0], new = ctx->args[1];
	struct sock_state *sock = sock_state_find(key);

	if (!sock || sock->phase == PHASE_ATTEMPT)
		return;
	if ((new == BPF_TCP_FIN_WAIT1 || new == BPF_TCP_CLOSE_WAIT) && !sock->closer)
		sock->closer = new;
	if (new == BPF_TCP_FIN_WAIT2)
		sock->received = ctx->bytes_received;
	if (new != BPF_TCP_CLOSE || old == BPF_TCP_CLOSE || old == BPF_TCP_LISTEN)
		return;
	/* with TCP Fast Open a child may have data before its handshake is done */
	if (old == BPF_TCP_SYN_SENT ||
	    (old == BPF_TCP_SYN_RECV && sock->phase != PHASE_ACCEPTED))
		failed(ctx, sock, session, slot);
	else
		closed(ctx, sock, session, slot, old);
	sock_state_forget(slot, key);
}

static __always_inline void syn_sent(struct bpf_sock_ops *ctx, const struct agentsh_sock_key *key)
{
	struct sock_state *sock = sock_state_find(key);

	if (!sock) /* connect() was not reported, so its outcome is not reported either */
		return;
	sock->phase = PHASE_SYN;
	watch_states(ctx);
}

/* Most op codes are questions of the kernel that this program does not answer. */
static __always_inline int is_handled(__u32 op)
{
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB || op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		return agentsh_settings.lifecycle;
	return op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || op == BPF_SOCK_OPS_STATE_CB;
}

SEC("sockops")
int agentsh_sockops(struct bpf_sock_ops *ctx)
{
	__u32 op = ctx->op;
	struct agentsh_session_state *session;
	struct agentsh_slot *slot;
	struct bpf_sock *sk;
	struct agentsh_sock_key key = {};

	if (!is_handled(op))
		return 1;
	session = bpf_get_local_storage(&agentsh_state_sockops, 0);
	slot = session_slot(session);
	sk = ctx->sk;
	if (!slot || !sk)
		return 1;
	key.cookie = bpf_get_socket_cookie(ctx);
	key.generation = session->generation;
	if (op == BPF_SOCK_OPS_STATE_CB) {
		changed(ctx, session, slot, &key);
	} else if (op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
		syn_sent(ctx, &key);
	} else if (op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && !ctx->bytes_acked) {
		if (agentsh_settings.accept)
			accepted(ctx, sk, session, slot, &key);
	} else if (agentsh_settings.lifecycle) {
		/*
		 * A passive socket of which the peer has acknowledged a byte has sent a SYN:
		 * it has met the SYN of the peer (simultaneous open), or its own.
		 */
		established(ctx, session, slot, &key);
	}
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
