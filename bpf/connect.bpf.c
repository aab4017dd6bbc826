/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One record for each connect(), whatever its socket: the hooks run before the
 * protocol looks at the address, so attempts that fail at once are seen too.
 * The local port is that of a bound socket; others get theirs after the hook.
 */
#include "socket.h"

AGENTSH_TAG_MAP(agentsh_tag_connect4);
AGENTSH_TAG_MAP(agentsh_tag_connect6);

SEC("cgroup/connect4")
int agentsh_connect4(struct bpf_sock_addr *ctx)
{
	struct agentsh_tag *tag = bpf_get_local_storage(&agentsh_tag_connect4, 0);
	struct agentsh_slot *slot = session_slot(tag);
	struct agentsh_record *rec;
	struct bpf_sock *sk;

	if (!slot)
		return 1;
	rec = record_reserve(slot);
	if (!rec)
		return 1;

	record_who(rec, tag, slot, AGENTSH_KIND_CONNECT);
	record_socket(rec, ctx);
	record_remote4(rec, ctx);
	sk = ctx->sk;
	set_addr4(rec->local_addr, sk ? sk->src_ip4 : 0);
	bpf_ringbuf_submit(rec, 0);
	return 1;
}

SEC("cgroup/connect6")
int agentsh_connect6(struct bpf_sock_addr *ctx)
{
	struct agentsh_tag *tag = bpf_get_local_storage(&agentsh_tag_connect6, 0);
	struct agentsh_slot *slot = session_slot(tag);
	struct agentsh_record *rec;
	struct bpf_sock *sk;
	__u32 local[4] = {};

	if (!slot)
		return 1;
	rec = record_reserve(slot);
	if (!rec)
		return 1;

	record_who(rec, tag, slot, AGENTSH_KIND_CONNECT);
	record_socket(rec, ctx);
	sk = ctx->sk;
	if (sk) {
		local[0] = sk->src_ip6[0];
		local[1] = sk->src_ip6[1];
		local[2] = sk->src_ip6[2];
		local[3] = sk->src_ip6[3];
	}
	record_ends6(rec, ctx, local);
	bpf_ringbuf_submit(rec, 0);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
