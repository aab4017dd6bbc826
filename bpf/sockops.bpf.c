/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outcome of a TCP connection: established, failed, closed. The kernel also asks
 * questions with this hook (time-outs, windows). The program answers none of them, and
 * keeps the reply that another program may have given.
 */
#include "sock_state.h"

AGENTSH_STATE_MAP(agentsh_state_sockops);

/*
 * SOCK_DONE of enum sock_flags (include/net/sock.h): the peer's FIN was received. The enum
 * is internal to the kernel, and nothing promises its values. If the value is wrong,
 * tests/live/test_connection_closed.c fails in each of its cases in which the client sends
 * the first FIN, such as "client first".
 */
#define SOCK_DONE_BIT 1

#define ECANCELED 125
#define IPPROTO_TCP 6

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

	rec->local_port = (__u16)ctx->local_port;	       /* host order */
	rec->remote_port = (__u16)bpf_ntohl(ctx->remote_port); /* network order */
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

/* Begins a record of the task that the socket's state names. */
static __always_inline struct agentsh_record_outcome *
outcome_begin(struct bpf_sock_ops *ctx, const struct sock_state *sock,
	      const struct agentsh_session_state *session, struct agentsh_slot *slot, __u8 kind,
	      struct reservation *reservation)
{
	struct agentsh_record_outcome *out;
	struct agentsh_record *rec;

	*reservation = ringbuf_reserve(slot, sizeof(*out));
	out = reservation->rec;
	if (!out)
		return NULL;
	rec = &out->base;
	record_begin(rec, session, slot, kind);
	record_ends(rec, ctx);
	rec->socket_cookie = bpf_get_socket_cookie(ctx);
	rec->socket_type = SOCK_STREAM;
	rec->task = sock->task; /* all zero if it is unattributed */
	rec->netns_cookie = sock->netns_cookie;
	rec->protocol = sock->protocol;
	rec->flags |= sock->unattributed ? AGENTSH_FLAG_UNATTRIBUTED : 0;
	out->duration_ns = rec->timestamp_ns - sock->start_ns;
	out->error = 0;
	out->rtt_us = ctx->srtt_us >> 3;
	out->bytes_sent = 0;
	out->bytes_received = 0;
	out->retransmits = ctx->total_retrans;
	out->datagrams = 0;
	return out;
}

/* Requests a call at each change of state, in addition to what other programs have requested. */
static __always_inline void watch_states(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* Creates the state of a connection whose beginning was not seen. */
static __always_inline struct sock_state *sock_state_unattributed(struct bpf_sock *sk, __u32 phase)
{
	struct sock_state *sock =
		bpf_sk_storage_get(&agentsh_sock_states, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (sock) {
		sock->start_ns = bpf_ktime_get_boot_ns();
		sock->protocol = IPPROTO_TCP;
		sock->phase = phase;
		sock->unattributed = 1;
	}
	return sock;
}

static __always_inline void established(struct bpf_sock_ops *ctx, struct sock_state *sock,
					const struct agentsh_session_state *session,
					struct agentsh_slot *slot)
{
	struct agentsh_record_outcome *out;
	struct reservation reservation;

	if (sock->phase == PHASE_ATTEMPT)
		sock->phase = PHASE_SYN; /* the SYN was sent before a session was attached */
	watch_states(ctx);
	out = outcome_begin(ctx, sock, session, slot, AGENTSH_KIND_CONNECTED, &reservation);
	if (!out)
		return;
	out->duration_ns = out->base.flags & AGENTSH_FLAG_UNATTRIBUTED ? 0 : out->duration_ns;
	ringbuf_submit(&reservation);
}

/* The socket's state is a copy of its listener's, if bind() made one. */
static __always_inline void accepted(struct bpf_sock_ops *ctx, struct sock_state *sock,
				     const struct agentsh_session_state *session,
				     struct agentsh_slot *slot)
{
	struct agentsh_record_outcome *out;
	struct reservation reservation;

	if (sock->phase != PHASE_ACCEPTED) {
		sock->phase = PHASE_ACCEPTED;
		sock->start_ns = bpf_ktime_get_boot_ns();
		sock->closer = 0;
		sock->received = 0;
	}
	watch_states(ctx);
	out = outcome_begin(ctx, sock, session, slot, AGENTSH_KIND_ACCEPTED, &reservation);
	if (!out)
		return;
	out->base.flags |= AGENTSH_FLAG_INBOUND;
	out->duration_ns = 0;
	ringbuf_submit(&reservation);
}

static __always_inline void failed(struct bpf_sock_ops *ctx, const struct sock_state *sock,
				   const struct agentsh_session_state *session,
				   struct agentsh_slot *slot)
{
	struct agentsh_record_outcome *out;
	struct reservation reservation;
	int error = socket_error(ctx, 1);

	out = outcome_begin(ctx, sock, session, slot, AGENTSH_KIND_CONNECT_FAILED, &reservation);
	if (!out)
		return;
	out->rtt_us = 0;
	if (error < 0)
		out->base.flags |= AGENTSH_FLAG_NO_ERROR;
	else
		out->error = error ? error : ECANCELED; /* no error: the process gave up */
	ringbuf_submit(&reservation);
}

static __always_inline void closed(struct bpf_sock_ops *ctx, const struct sock_state *sock,
				   const struct agentsh_session_state *session,
				   struct agentsh_slot *slot, __u32 old)
{
	int inbound = sock->phase == PHASE_ACCEPTED;
	struct agentsh_record_outcome *out;
	struct reservation reservation;
	__u64 received = ctx->bytes_received, fin;
	int error = socket_error(ctx, 0);

	out = outcome_begin(ctx, sock, session, slot, AGENTSH_KIND_CLOSED, &reservation);
	if (!out)
		return;
	if (inbound)
		out->base.flags |= AGENTSH_FLAG_INBOUND;
	if (sock->closer == BPF_TCP_FIN_WAIT1)
		out->base.flags |= AGENTSH_FLAG_LOCAL_CLOSED;
	else if (sock->closer == BPF_TCP_CLOSE_WAIT)
		out->base.flags |= AGENTSH_FLAG_REMOTE_CLOSED;
	if (error < 0)
		out->base.flags |= AGENTSH_FLAG_NO_ERROR;
	else
		out->error = error;
	out->bytes_sent = bytes_sent(ctx, old, inbound);
	/* the kernel does not count a FIN that came with the SYN-ACK of a Fast Open */
	fin = fin_received(ctx, sock, old);
	out->bytes_received = received > fin ? received - fin : 0;
	ringbuf_submit(&reservation);
}

/*
 * The state callback runs for every socket for which any attached program requested it,
 * including sockets that this session does not report.
 */
static __always_inline void changed(struct bpf_sock_ops *ctx, struct sock_state *sock,
				    const struct agentsh_session_state *session,
				    struct agentsh_slot *slot)
{
	__u32 old = ctx->args[0], new = ctx->args[1];
	__u32 phase = sock->phase;

	if (phase != PHASE_SYN && phase != PHASE_CROSSED && phase != PHASE_ACCEPTED)
		return;
	if (old == BPF_TCP_SYN_SENT && new == BPF_TCP_SYN_RECV)
		sock->phase = PHASE_CROSSED;
	if ((new == BPF_TCP_FIN_WAIT1 || new == BPF_TCP_CLOSE_WAIT) && !sock->closer)
		sock->closer = new;
	if (new == BPF_TCP_FIN_WAIT2)
		sock->received = ctx->bytes_received;
	if (new != BPF_TCP_CLOSE || old == BPF_TCP_CLOSE || old == BPF_TCP_LISTEN)
		return;
	/* with TCP Fast Open a child may have data before its handshake is done */
	if (old == BPF_TCP_SYN_SENT || (old == BPF_TCP_SYN_RECV && phase != PHASE_ACCEPTED))
		failed(ctx, sock, session, slot);
	else
		closed(ctx, sock, session, slot, old);
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
	struct sock_state *sock;

	if (!is_handled(op))
		return 1;
	session = bpf_get_local_storage(&agentsh_state_sockops, 0);
	slot = session_slot(session);
	sk = ctx->sk;
	if (!slot || !sk)
		return 1;
	sock = bpf_sk_storage_get(&agentsh_sock_states, sk, 0, 0);
	if (!sock) {
		/* a socket without state was not reported, so its end is not reported either */
		if (op == BPF_SOCK_OPS_TCP_CONNECT_CB || op == BPF_SOCK_OPS_STATE_CB)
			return 1;
		if (op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && !agentsh_settings.accept)
			return 1;
		sock = sock_state_unattributed(
			sk, op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ? PHASE_SYN : PHASE_ACCEPTED);
		if (!sock) { /* no memory */
			__sync_fetch_and_add(&slot->lost, 1);
			return 1;
		}
	}
	/* sock is not NULL from here on; some verifiers do not accept a second test */
	if (op == BPF_SOCK_OPS_STATE_CB) {
		changed(ctx, sock, session, slot);
	} else if (op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
		sock->phase = PHASE_SYN;
		watch_states(ctx);
	} else if (op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || sock->phase == PHASE_CROSSED) {
		established(ctx, sock, session, slot);
	} else if (agentsh_settings.accept) {
		accepted(ctx, sock, session, slot);
	}
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
