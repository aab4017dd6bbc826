/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams that are sent with a destination: one record per socket and destination, or
 * one per datagram if the settings say so. A send() on a connected socket runs no hook;
 * its connect() was reported.
 */
#include "sock_state.h"

AGENTSH_STATE_MAP(agentsh_state_sendmsg4);
AGENTSH_STATE_MAP(agentsh_state_sendmsg6);

/*
 * The generation gives each of two nested sessions a record. Before kernel 5.10 (92acdc58ab11) a
 * cookie is unique only within its network namespace.
 *
 * Every member is a whole 64-bit word: without CAP_PERFMON older kernels refuse a program
 * that writes the second half of a word on the stack after a number in the first.
 */
struct destination {
	__u64 socket_cookie;
	__u64 netns_cookie;
	__u64 addr[2];
	__u64 generation_port_family;
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

/*
 * Whether this destination is new. If two threads send at once, BPF_NOEXIST lets only one
 * of them report it.
 */
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
 * Reserves the record of this datagram, unless its destination is known. If the ring
 * refuses the record, the destination is forgotten again, so that the next datagram is
 * reported.
 */
static __always_inline struct reservation
datagram_reserve(struct bpf_sock_addr *ctx, const struct agentsh_session_state *session,
		 struct agentsh_slot *slot, struct destination *dst)
{
	struct reservation reservation = {};

	if (agentsh_settings.udp_no_dedup)
		return record_reserve(slot);

	dst->socket_cookie = bpf_get_socket_cookie(ctx);
	dst->netns_cookie = bpf_get_netns_cookie(ctx);
	dst->generation_port_family =
		word((__u16)ctx->user_port | (__u32)ctx->user_family << 16, session->generation);
	if (!first_seen(slot, dst))
		return reservation;
	reservation = record_reserve(slot);
	if (!reservation.rec)
		bpf_map_delete_elem(&agentsh_udp_seen, dst);
	return reservation;
}

SEC("cgroup/sendmsg4")
int agentsh_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_sendmsg4, 0);
	struct destination dst = {};
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record *rec;
	struct reservation reservation;
	struct sock_state *sock;

	if (!slot)
		return 1;
	sock = sock_state_datagram(ctx, session);
	if (sock)
		sock_state_set_remote4(sock, ctx);
	dst.addr[0] = ctx->user_ip4;
	reservation = datagram_reserve(ctx, session, slot, &dst);
	rec = reservation.rec;
	if (!rec)
		return 1;

	record_begin(rec, session, slot, AGENTSH_KIND_UDP_SEND);
	task_fill(&rec->task); /* not from the socket's state: another process may send */
	record_socket(rec, ctx);
	record_remote4(rec, ctx);
	set_addr4(rec->local_addr, ctx->msg_src_ip4);
	ringbuf_submit(&reservation);
	return 1;
}

SEC("cgroup/sendmsg6")
int agentsh_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_sendmsg6, 0);
	struct destination dst = {};
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record *rec;
	struct reservation reservation;
	struct sock_state *sock;
	__u32 local[4], remote[4];

	if (!slot)
		return 1;
	sock = sock_state_datagram(ctx, session);
	if (sock)
		sock_state_set_remote6(sock, ctx);
	dst.addr[0] = word(ctx->user_ip6[0], ctx->user_ip6[1]);
	dst.addr[1] = word(ctx->user_ip6[2], ctx->user_ip6[3]);
	reservation = datagram_reserve(ctx, session, slot, &dst);
	rec = reservation.rec;
	if (!rec)
		return 1;

	record_begin(rec, session, slot, AGENTSH_KIND_UDP_SEND);
	task_fill(&rec->task); /* not from the socket's state: another process may send */
	record_socket(rec, ctx);
	COPY_ADDR6(local, ctx->msg_src_ip6);
	COPY_ADDR6(remote, ctx->user_ip6);
	record_ends6(rec, remote, local);
	ringbuf_submit(&reservation);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
