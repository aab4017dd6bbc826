/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One record for each connect(), whatever its socket: the hooks run before the
 * protocol looks at the address, so attempts that fail at once are seen too.
 * The local port is that of a bound socket; others get theirs after the hook.
 */
#include "flow.h"

AGENTSH_TAG_MAP(agentsh_tag_connect4);
AGENTSH_TAG_MAP(agentsh_tag_connect6);

static __always_inline void connect4_flow(struct bpf_sock_addr *ctx, const struct agentsh_who *who)
{
	struct flow *flow = flow_connect(ctx, who);

	if (flow)
		flow_remote4(flow, ctx);
}

SEC("cgroup/connect4")
int agentsh_connect4(struct bpf_sock_addr *ctx)
{
	struct agentsh_tag *tag = bpf_get_local_storage(&agentsh_tag_connect4, 0);
	struct agentsh_slot *slot = session_slot(tag);
	struct agentsh_record *rec;
	struct room room;
	struct bpf_sock *sk;

	if (!slot)
		return 1;
	room = record_reserve(slot);
	rec = room.rec;
	if (!rec) {
		connect4_flow(ctx, NULL);
		return 1;
	}

	record_begin(rec, tag, slot, AGENTSH_KIND_CONNECT);
	who_fill(&rec->who);
	connect4_flow(ctx, &rec->who);
	record_socket(rec, ctx);
	record_remote4(rec, ctx);
	sk = ctx->sk;
	set_addr4(rec->local_addr, sk ? sk->src_ip4 : 0);
	room_submit(&room);
	return 1;
}

static __always_inline void connect6_flow(struct bpf_sock_addr *ctx, const struct agentsh_who *who)
{
	struct flow *flow = flow_connect(ctx, who);

	if (flow)
		flow_remote6(flow, ctx);
}

SEC("cgroup/connect6")
int agentsh_connect6(struct bpf_sock_addr *ctx)
{
	struct agentsh_tag *tag = bpf_get_local_storage(&agentsh_tag_connect6, 0);
	struct agentsh_slot *slot = session_slot(tag);
	struct agentsh_record *rec;
	struct room room;
	struct bpf_sock *sk;
	__u32 local[4] = {}, remote[4];

	if (!slot)
		return 1;
	room = record_reserve(slot);
	rec = room.rec;
	if (!rec) {
		connect6_flow(ctx, NULL);
		return 1;
	}

	record_begin(rec, tag, slot, AGENTSH_KIND_CONNECT);
	who_fill(&rec->who);
	connect6_flow(ctx, &rec->who);
	record_socket(rec, ctx);
	sk = ctx->sk;
	if (sk)
		COPY_ADDR6(local, sk->src_ip6);
	COPY_ADDR6(remote, ctx->user_ip6);
	record_ends6(rec, remote, local);
	room_submit(&room);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
