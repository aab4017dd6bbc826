/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of a datagram socket. A stream's end is its connection's: sockops. */
#include "flow.h"

AGENTSH_TAG_MAP(agentsh_tag_release);

/* The context is the socket, and hides what is of no use before bind(). */
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
	struct agentsh_tag *tag = bpf_get_local_storage(&agentsh_tag_release, 0);
	struct agentsh_slot *slot = session_slot(tag);
	struct agentsh_record_outcome *out;
	struct room room;
	const __u32 none[4] = {};
	__u32 remote[4];
	struct flow *flow;

	if (!slot || ctx->type == SOCK_STREAM)
		return 1;
	flow = bpf_sk_storage_get(&agentsh_flows, ctx, 0, 0);
	if (!flow)
		return 1;
	room = room_reserve(slot, sizeof(*out));
	out = room.rec;
	if (!out)
		return 1;
	record_begin(&out->base, tag, slot, AGENTSH_KIND_CLOSED);
	out->base.who = flow->who;
	out->base.socket_cookie = bpf_get_socket_cookie(ctx);
	out->base.netns_cookie = flow->netns_cookie;
	out->base.protocol = flow->protocol;
	out->base.socket_type = flow->socket_type;
	out->base.local_port = local_port(ctx);
	out->base.remote_port = flow->remote_port;
	COPY_ADDR6(remote, flow->remote);
	if (flow->remote_v6) {
		record_ends6(&out->base, remote, none);
	} else {
		out->base.family = AF_INET;
		out->base.flags |= flow->socket_v6 ? AGENTSH_FLAG_V4_MAPPED : 0;
		set_addr4(out->base.remote_addr, remote[0]);
		set_addr4(out->base.local_addr, 0);
	}
	out->error = 0;
	out->rtt_us = 0;
	out->duration_ns = out->base.timestamp_ns - flow->start_ns;
	out->bytes_sent = 0;
	out->bytes_received = 0;
	out->retransmits = 0;
	out->datagrams = flow->datagrams;
	room_submit(&room);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
