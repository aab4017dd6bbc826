/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the end of a TCP connection tells: its error, and its bytes without SYN and FIN. */
#ifndef AGENTSH_TCP_END_H
#define AGENTSH_TCP_END_H

#include "sock_state.h"

#define ECANCELED 125

/* The socket's error as a positive errno value; negative: this build cannot read it. */
static __always_inline int socket_error(struct bpf_sock_ops *ctx, int soft)
{
#ifdef AGENTSH_TASK
	struct bpf_sock *sk = ctx->sk;
	struct tcp_sock *tcp = sk ? tcp_of(sk) : NULL;

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
	struct tcp_sock *tcp = sk ? tcp_of(sk) : NULL;

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
	struct tcp_sock *tcp = sk ? tcp_of(sk) : NULL;

	if (tcp)
		return tcp->inet_conn.icsk_inet.sk.__sk_common.skc_flags >> SOCK_DONE_BIT & 1;
#endif
	return ctx->bytes_received > sock->bytes_received;
}

/* bytes_acked also counts our SYN, if we sent one, and our FIN. */
static __always_inline __u64 bytes_sent(struct bpf_sock_ops *ctx, __u32 old, int inbound)
{
	__u64 acked = ctx->bytes_acked;
	__u64 other = !inbound + fin_acked(ctx, old);

	return acked > other ? acked - other : 0;
}

#endif
