/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an open TCP connection has sent and received, read from its socket. */
#ifndef AGENTSH_TCP_PROGRESS_H
#define AGENTSH_TCP_PROGRESS_H

#include "outcome.h"
#include "sock_state.h"

#ifdef AGENTSH_TASK

struct tcp_progress {
	__u64 bytes_sent; /* acknowledged */
	__u64 bytes_received;
	__u64 unacknowledged; /* data that waits to be sent or acknowledged */
	__u32 rtt_us;
	__u32 retransmits;
	__u32 error;
	__u32 closed_flag; /* LOCAL_CLOSED or REMOTE_CLOSED, if the process closes it now */
};

/* Whether the end of what the process wrote, in this state of the connection, is a FIN. */
static __always_inline int has_sent_fin(__u32 state)
{
	return state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2 ||
	       state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK;
}

/* Whether the peer's FIN was received. */
static __always_inline int has_received_fin(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_flags) >> SOCK_DONE_BIT & 1;
}

static __always_inline __u64 less(__u64 a, __u64 b)
{
	return a > b ? a - b : 0;
}

/* The side that sent the first FIN, if the process closes the connection now. */
static __always_inline __u32 closed_flag(struct tcp_sock *tcp, __u32 state, __u8 closer)
{
	if (closer == BPF_TCP_FIN_WAIT1)
		return AGENTSH_FLAG_LOCAL_CLOSED;
	if (closer == BPF_TCP_CLOSE_WAIT || state == BPF_TCP_CLOSE_WAIT)
		return AGENTSH_FLAG_REMOTE_CLOSED;
	/* data that the process has not read makes close() send a reset */
	return state == BPF_TCP_ESTABLISHED &&
			       BPF_CORE_READ(tcp, rcv_nxt) == BPF_CORE_READ(tcp, copied_seq)
		       ? AGENTSH_FLAG_LOCAL_CLOSED
		       : 0;
}

/*
 * Reads the counters. The kernel counts a SYN that the socket sent, and a FIN, as one byte
 * each. A connection that has ended does not tell whether its FIN was acknowledged, but no
 * more data can be acknowledged than was sent. Returns 0 if the memory does not hold the
 * socket any more: a socket's memory may be used again, but a cookie never is.
 */
static __always_inline int tcp_progress_read(struct tcp_progress *p, struct tcp_sock *tcp,
					     __u64 cookie, const struct sock_state *sock)
{
	struct sock *sk = (struct sock *)tcp;
	__u32 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	__u32 unacked = BPF_CORE_READ(tcp, write_seq) - BPF_CORE_READ(tcp, snd_una);
	__u64 syn = !(sock->rec.head.flags & AGENTSH_FLAG_INBOUND);
	__u64 sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
	__u64 acked = less(BPF_CORE_READ(tcp, bytes_acked), syn);

	p->bytes_sent = acked < sent ? acked : sent;
	p->unacknowledged = less(unacked, has_sent_fin(state));
	p->bytes_received = less(BPF_CORE_READ(tcp, bytes_received), has_received_fin(sk));
	p->rtt_us = BPF_CORE_READ(tcp, srtt_us) >> 3;
	p->retransmits = BPF_CORE_READ(tcp, total_retrans);
	p->error = BPF_CORE_READ(sk, sk_err);
	p->closed_flag = closed_flag(tcp, state, sock->closer);
	return (__u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter) == cookie;
}

static __always_inline void outcome_of_progress(struct outcome *o, const struct tcp_progress *p)
{
	o->bytes_sent = p->bytes_sent;
	o->bytes_received = p->bytes_received;
	o->error = 0;
	o->rtt_us = p->rtt_us;
	o->retransmits = p->retransmits;
	o->packets_sent = 0;
	o->packets_received = 0;
}

#endif

#endif
