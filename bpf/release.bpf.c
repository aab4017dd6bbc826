/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of a datagram socket. sockops.bpf.c reports the end of a stream socket. */
#include "sock_state.h"

AGENTSH_STATE_MAP(agentsh_state_release);

/*
 * In this hook the verifier does not allow reading src_port from the context, so it is
 * read from struct sock through BTF.
 */
static __always_inline __u16 local_port(struct bpf_sock *ctx)
{
#ifdef AGENTSH_TASK
	return BPF_CORE_READ((struct sock *)ctx, __sk_common.skc_num);
#else
	(void)ctx;
	return 0;
#endif
}

SEC("cgroup/sock_release")
int agentsh_release(struct bpf_sock *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_release, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record_outcome *out;
	struct reservation reservation;
	const __u32 none[4] = {};
	__u32 remote[4];
	struct sock_state *sock;

	if (!slot || ctx->type == SOCK_STREAM)
		return 1;
	sock = bpf_sk_storage_get(&agentsh_sock_states, ctx, 0, 0);
	if (!sock)
		return 1;
	reservation = ringbuf_reserve(slot, sizeof(*out));
	out = reservation.rec;
	if (!out)
		return 1;
	record_begin(&out->base, session, slot, AGENTSH_KIND_CLOSED);
	out->base.task = sock->task;
	out->base.socket_cookie = bpf_get_socket_cookie(ctx);
	out->base.netns_cookie = sock->netns_cookie;
	out->base.protocol = sock->protocol;
	out->base.socket_type = sock->socket_type;
	out->base.local_port = local_port(ctx);
	out->base.remote_port = sock->remote_port;
	COPY_ADDR6(remote, sock->remote);
	if (sock->remote_v6) {
		record_ends6(&out->base, remote, none);
	} else {
		out->base.family = AF_INET;
		out->base.flags |= sock->socket_v6 ? AGENTSH_FLAG_V4_MAPPED : 0;
		set_addr4(out->base.remote_addr, remote[0]);
		set_addr4(out->base.local_addr, 0);
	}
	out->error = 0;
	out->rtt_us = 0;
	out->duration_ns = out->base.timestamp_ns - sock->start_ns;
	out->bytes_sent = 0;
	out->bytes_received = 0;
	out->retransmits = 0;
	out->datagrams = sock->datagrams;
	ringbuf_submit(&reservation);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
