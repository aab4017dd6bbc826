/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What became of a TCP connection: established, failed, closed. The hook also
 * answers questions of the kernel (time-outs, windows); those are left alone,
 * and so is the reply that another program may have given.
 */
#include "flow.h"

AGENTSH_TAG_MAP(agentsh_tag_sockops);

/* Include/net/tcp_states.h and include/uapi/linux/bpf.h (BPF_TCP_): never renumbered. */
#define SOCK_DONE_BIT 1 /* enum sock_flags: the peer's FIN was taken */

#define ECANCELED 125
#define IPPROTO_TCP 6

/* Positive errno of the socket; negative: this program may not look. */
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
 * Whether our FIN is among bytes_acked. It may wait behind data for which there is
 * no room at the peer; without BTF it is taken to have been sent with the rest.
 */
static __always_inline int fin_acked(struct bpf_sock_ops *ctx, __u32 old)
{
	/* each by itself: the verifier wants the context's own address in every load */
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
 * Whether the peer's FIN is among bytes_received, which counts it as one byte.
 * From FIN_WAIT2 a socket leaves on that FIN, or because nobody holds it any
 * more; then nothing more has come.
 */
static __always_inline int fin_received(struct bpf_sock_ops *ctx, const struct flow *flow,
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
	return ctx->bytes_received > flow->received;
}

/* bytes_acked counts our SYN, where we sent one, and our FIN. */
static __always_inline __u64 bytes_sent(struct bpf_sock_ops *ctx, __u32 old, int inbound)
{
	__u64 acked = ctx->bytes_acked;
	__u64 other = !inbound + fin_acked(ctx, old);

	return acked > other ? acked - other : 0;
}

/* An IPv4 socket's ends go the way of mapped ones, less the flag. */
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

/* A record in the name of the process that the flow remembers. */
static __always_inline struct agentsh_record_outcome *
outcome_begin(struct bpf_sock_ops *ctx, const struct flow *flow, const struct agentsh_tag *tag,
	      struct agentsh_slot *slot, __u8 kind, struct room *room)
{
	struct agentsh_record_outcome *out;
	struct agentsh_record *rec;

	*room = room_reserve(slot, sizeof(*out));
	out = room->rec;
	if (!out)
		return NULL;
	rec = &out->base;
	record_begin(rec, tag, slot, kind);
	record_ends(rec, ctx);
	rec->socket_cookie = bpf_get_socket_cookie(ctx);
	rec->socket_type = SOCK_STREAM;
	rec->who = flow->who; /* all zero where it is nobody's */
	rec->netns_cookie = flow->netns_cookie;
	rec->protocol = flow->protocol;
	rec->flags |= flow->nobodys ? AGENTSH_FLAG_UNATTRIBUTED : 0;
	out->duration_ns = rec->timestamp_ns - flow->start_ns;
	out->error = 0;
	out->rtt_us = ctx->srtt_us >> 3;
	out->bytes_sent = 0;
	out->bytes_received = 0;
	out->retransmits = ctx->total_retrans;
	out->datagrams = 0;
	return out;
}

/* Calls at each change of state, besides those that others have asked for. */
static __always_inline void watch_states(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* A connection whose beginning was not seen is remembered from here on. */
static __always_inline struct flow *flow_found(struct bpf_sock *sk, __u32 phase)
{
	struct flow *flow =
		bpf_sk_storage_get(&agentsh_flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (flow) {
		flow->start_ns = bpf_ktime_get_boot_ns();
		flow->protocol = IPPROTO_TCP;
		flow->phase = phase;
		flow->nobodys = 1;
	}
	return flow;
}

static __always_inline void established(struct bpf_sock_ops *ctx, struct flow *flow,
					const struct agentsh_tag *tag, struct agentsh_slot *slot)
{
	struct agentsh_record_outcome *out;
	struct room room;

	if (flow->phase == FLOW_ATTEMPT)
		flow->phase = FLOW_SYN; /* sent while no session looked */
	watch_states(ctx);
	out = outcome_begin(ctx, flow, tag, slot, AGENTSH_KIND_CONNECTED, &room);
	if (!out)
		return;
	out->duration_ns = out->base.flags & AGENTSH_FLAG_UNATTRIBUTED ? 0 : out->duration_ns;
	room_submit(&room);
}

/* Its flow is a copy of its listener's, where bind() made one. */
static __always_inline void accepted(struct bpf_sock_ops *ctx, struct flow *flow,
				     const struct agentsh_tag *tag, struct agentsh_slot *slot)
{
	struct agentsh_record_outcome *out;
	struct room room;

	if (flow->phase != FLOW_ACCEPTED) {
		flow->phase = FLOW_ACCEPTED;
		flow->start_ns = bpf_ktime_get_boot_ns();
		flow->closer = 0;
		flow->received = 0;
	}
	watch_states(ctx);
	out = outcome_begin(ctx, flow, tag, slot, AGENTSH_KIND_ACCEPTED, &room);
	if (!out)
		return;
	out->base.flags |= AGENTSH_FLAG_INBOUND;
	out->duration_ns = 0;
	room_submit(&room);
}

static __always_inline void failed(struct bpf_sock_ops *ctx, const struct flow *flow,
				   const struct agentsh_tag *tag, struct agentsh_slot *slot)
{
	struct agentsh_record_outcome *out;
	struct room room;
	int error = socket_error(ctx, 1);

	out = outcome_begin(ctx, flow, tag, slot, AGENTSH_KIND_CONNECT_FAILED, &room);
	if (!out)
		return;
	out->rtt_us = 0;
	if (error < 0)
		out->base.flags |= AGENTSH_FLAG_NO_ERROR;
	else
		out->error = error ? error : ECANCELED; /* nothing failed: it was given up */
	room_submit(&room);
}

static __always_inline void closed(struct bpf_sock_ops *ctx, const struct flow *flow,
				   const struct agentsh_tag *tag, struct agentsh_slot *slot,
				   __u32 old)
{
	int inbound = flow->phase == FLOW_ACCEPTED;
	struct agentsh_record_outcome *out;
	struct room room;
	__u64 received = ctx->bytes_received, fin;
	int error = socket_error(ctx, 0);

	out = outcome_begin(ctx, flow, tag, slot, AGENTSH_KIND_CLOSED, &room);
	if (!out)
		return;
	if (inbound)
		out->base.flags |= AGENTSH_FLAG_INBOUND;
	if (flow->closer == BPF_TCP_FIN_WAIT1)
		out->base.flags |= AGENTSH_FLAG_LOCAL_CLOSED;
	else if (flow->closer == BPF_TCP_CLOSE_WAIT)
		out->base.flags |= AGENTSH_FLAG_REMOTE_CLOSED;
	if (error < 0)
		out->base.flags |= AGENTSH_FLAG_NO_ERROR;
	else
		out->error = error;
	out->bytes_sent = bytes_sent(ctx, old, inbound);
	/* the kernel does not count a FIN that came with the SYN-ACK of a Fast Open */
	fin = fin_received(ctx, flow, old);
	out->bytes_received = received > fin ? received - fin : 0;
	room_submit(&room);
}

/*
 * Called for whatever socket anybody asked for it, also for such as this session's
 * tracer does not report.
 */
static __always_inline void changed(struct bpf_sock_ops *ctx, struct flow *flow,
				    const struct agentsh_tag *tag, struct agentsh_slot *slot)
{
	__u32 old = ctx->args[0], new = ctx->args[1];
	__u32 phase = flow->phase;

	if (phase != FLOW_SYN && phase != FLOW_CROSSED && phase != FLOW_ACCEPTED)
		return;
	if (old == BPF_TCP_SYN_SENT && new == BPF_TCP_SYN_RECV)
		flow->phase = FLOW_CROSSED;
	if ((new == BPF_TCP_FIN_WAIT1 || new == BPF_TCP_CLOSE_WAIT) && !flow->closer)
		flow->closer = new;
	if (new == BPF_TCP_FIN_WAIT2)
		flow->received = ctx->bytes_received;
	if (new != BPF_TCP_CLOSE || old == BPF_TCP_CLOSE || old == BPF_TCP_LISTEN)
		return;
	/* a child may have data before its handshake is done: TCP Fast Open */
	if (old == BPF_TCP_SYN_SENT || (old == BPF_TCP_SYN_RECV && phase != FLOW_ACCEPTED))
		failed(ctx, flow, tag, slot);
	else
		closed(ctx, flow, tag, slot, old);
}

/* Of those that the kernel calls with most are questions that are not for us. */
static __always_inline int wanted(__u32 op)
{
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB || op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		return agentsh_settings.lifecycle;
	return op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || op == BPF_SOCK_OPS_STATE_CB;
}

SEC("sockops")
int agentsh_sockops(struct bpf_sock_ops *ctx)
{
	__u32 op = ctx->op;
	struct agentsh_tag *tag;
	struct agentsh_slot *slot;
	struct bpf_sock *sk;
	struct flow *flow;

	if (!wanted(op))
		return 1;
	tag = bpf_get_local_storage(&agentsh_tag_sockops, 0);
	slot = session_slot(tag);
	sk = ctx->sk;
	if (!slot || !sk)
		return 1;
	flow = bpf_sk_storage_get(&agentsh_flows, sk, 0, 0);
	if (!flow) {
		/* what has none has not been reported, and its end is not either */
		if (op == BPF_SOCK_OPS_TCP_CONNECT_CB || op == BPF_SOCK_OPS_STATE_CB)
			return 1;
		if (op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && !agentsh_settings.accept)
			return 1;
		flow = flow_found(sk, op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ? FLOW_SYN :
										 FLOW_ACCEPTED);
		if (!flow) { /* no memory */
			__sync_fetch_and_add(&slot->lost, 1);
			return 1;
		}
	}
	/* not NULL from here on; a second look at that is one too many for some verifiers */
	if (op == BPF_SOCK_OPS_STATE_CB) {
		changed(ctx, flow, tag, slot);
	} else if (op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
		flow->phase = FLOW_SYN;
		watch_states(ctx);
	} else if (op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || flow->phase == FLOW_CROSSED) {
		established(ctx, flow, tag, slot);
	} else if (agentsh_settings.accept) {
		accepted(ctx, flow, tag, slot);
	}
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
