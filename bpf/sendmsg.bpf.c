/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams that name their destination: one record for each pair of socket and
 * destination, or for each datagram if the settings say so. A send() on a
 * connected socket passes no hook; its connect() did.
 */
#include "flow.h"

AGENTSH_TAG_MAP(agentsh_tag_sendmsg4);
AGENTSH_TAG_MAP(agentsh_tag_sendmsg6);

/*
 * The serial makes nested sessions get a record each; before 5.10
 * (92acdc58ab11) a cookie is unique only in its network namespace.
 *
 * Whole words only: without CAP_PERFMON older kernels refuse a program that
 * writes the second half of a word on the stack after a number in the first.
 */
struct destination {
	__u64 socket_cookie;
	__u64 netns_cookie;
	__u64 addr[2];
	__u64 serial_port_family;
};

static __always_inline __u64 word(__u32 low, __u32 high)
{
	return low | (__u64)high << 32;
}

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* the library sets the real size */
	__type(key, struct destination);
	__type(value, __u8);
} agentsh_udp_seen SEC(".maps");

/* Whether this one is to be reported; of two at once only one is the first. */
static __always_inline int first_seen(struct agentsh_slot *slot, const struct destination *dst)
{
	__u8 one = 1;

	if (bpf_map_lookup_elem(&agentsh_udp_seen, dst) ||
	    bpf_map_update_elem(&agentsh_udp_seen, dst, &one, BPF_NOEXIST) == -17 /* EEXIST */) {
		__sync_fetch_and_add(&slot->deduplicated, 1);
		return 0;
	}
	return 1;
}

/*
 * Room for the record of this datagram, or NULL: a repetition, or no room. What
 * was lost is forgotten again, so that the next datagram gets its chance.
 */
static __always_inline struct room datagram_reserve(struct bpf_sock_addr *ctx,
							       const struct agentsh_tag *tag,
							       struct agentsh_slot *slot,
							       struct destination *dst)
{
	struct room room = {};

	if (agentsh_settings.udp_every)
		return record_reserve(slot);

	dst->socket_cookie = bpf_get_socket_cookie(ctx);
	dst->netns_cookie = bpf_get_netns_cookie(ctx);
	dst->serial_port_family =
		word((__u16)ctx->user_port | (__u32)ctx->user_family << 16, tag->serial);
	if (!first_seen(slot, dst))
		return room;
	room = record_reserve(slot);
	if (!room.rec)
		bpf_map_delete_elem(&agentsh_udp_seen, dst);
	return room;
}

SEC("cgroup/sendmsg4")
int agentsh_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct agentsh_tag *tag = bpf_get_local_storage(&agentsh_tag_sendmsg4, 0);
	struct destination dst = {};
	struct agentsh_slot *slot = session_slot(tag);
	struct agentsh_record *rec;
	struct room room;
	struct flow *flow;

	if (!slot)
		return 1;
	flow = flow_datagram(ctx, tag);
	if (flow)
		flow_remote4(flow, ctx);
	dst.addr[0] = ctx->user_ip4;
	room = datagram_reserve(ctx, tag, slot, &dst);
	rec = room.rec;
	if (!rec)
		return 1;

	record_begin(rec, tag, slot, AGENTSH_KIND_UDP_SEND);
	who_fill(&rec->who); /* not the flow's: another process may send */
	record_socket(rec, ctx);
	record_remote4(rec, ctx);
	set_addr4(rec->local_addr, ctx->msg_src_ip4);
	room_submit(&room);
	return 1;
}

SEC("cgroup/sendmsg6")
int agentsh_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct agentsh_tag *tag = bpf_get_local_storage(&agentsh_tag_sendmsg6, 0);
	struct destination dst = {};
	struct agentsh_slot *slot = session_slot(tag);
	struct agentsh_record *rec;
	struct room room;
	struct flow *flow;
	__u32 local[4], remote[4];

	if (!slot)
		return 1;
	flow = flow_datagram(ctx, tag);
	if (flow)
		flow_remote6(flow, ctx);
	dst.addr[0] = word(ctx->user_ip6[0], ctx->user_ip6[1]);
	dst.addr[1] = word(ctx->user_ip6[2], ctx->user_ip6[3]);
	room = datagram_reserve(ctx, tag, slot, &dst);
	rec = room.rec;
	if (!rec)
		return 1;

	record_begin(rec, tag, slot, AGENTSH_KIND_UDP_SEND);
	who_fill(&rec->who); /* not the flow's: another process may send */
	record_socket(rec, ctx);
	COPY_ADDR6(local, ctx->msg_src_ip6);
	COPY_ADDR6(remote, ctx->user_ip6);
	record_ends6(rec, remote, local);
	room_submit(&room);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
