/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams that are sent with a destination: one record per socket and destination, or
 * one per datagram if the settings say so. A send() on a connected socket runs no hook;
 * its connect() was reported.
 */
#include "interface.h"
#include "sock_state.h"

AGENTSH_STATE_MAP(agentsh_state_sendmsg4);
AGENTSH_STATE_MAP(agentsh_state_sendmsg6);

/*
 * The generation gives each of two nested sessions a record. Before kernel 5.10 (92acdc58ab11) a
 * cookie is unique only within its network namespace. The interface is part of a link-local
 * destination.
 *
 * Every member is a whole 64-bit word: without CAP_PERFMON older kernels refuse a program
 * that writes the second half of a word on the stack after a number in the first.
 */
struct destination {
	__u64 socket_cookie;
	__u64 netns_cookie;
	__u64 addr[2];
	__u64 generation_port_family;
	__u64 ifindex;
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

static __always_inline void set_destination(struct destination *dst,
					    const struct agentsh_record *rec)
{
	dst->socket_cookie = rec->socket_cookie;
	dst->netns_cookie = rec->netns_cookie;
	dst->addr[0] = word(rec->remote_addr[0], rec->remote_addr[1]);
	dst->addr[1] = word(rec->remote_addr[2], rec->remote_addr[3]);
	/* the event's family, because a caller may write AF_UNSPEC for AF_INET */
	dst->generation_port_family =
		word(rec->remote_port | (__u32)rec->family << 16, rec->generation);
	dst->ifindex = rec->ifindex;
}

/* Whether the datagram must be reported in spite of deduplication. */
static __always_inline int is_unknown_interface(const struct agentsh_record *rec)
{
	return rec->family == AF_INET6 && !rec->ifindex && is_scoped6(rec->remote_addr[0]);
}

static __always_inline void count_datagram(struct sock_state *sock,
					   const struct agentsh_record *rec)
{
	sock_state_set_remote(sock, rec);
	__sync_fetch_and_add(&sock->datagrams, 1);
}

/* Creates the socket's state with its first datagram. */
static __always_inline void first_datagram(struct agentsh_record *rec,
					   const struct agentsh_session_state *session,
					   struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	struct sock_state *sock;

	if (!sock_state_add(session, slot, key, rec, PHASE_ATTEMPT))
		return;
	sock = sock_state_find(key);
	if (sock)
		count_datagram(sock, rec);
}

/*
 * Reports a datagram whose record has socket and addresses. If the ring refuses the
 * record, the destination is forgotten again, so that the next datagram is reported.
 */
static __always_inline void report(struct agentsh_record *rec,
				   const struct agentsh_session_state *session,
				   struct agentsh_slot *slot)
{
	struct agentsh_sock_key key = sock_key_of(rec);
	struct sock_state *sock = NULL;
	struct destination dst;
	int dedup = !agentsh_settings.udp_no_dedup && !is_unknown_interface(rec);
	int known = 0;

	if (dedup) {
		set_destination(&dst, rec);
		known = !first_seen(slot, &dst);
	}
	if (agentsh_settings.lifecycle)
		sock = sock_state_find(&key);
	if (sock)
		count_datagram(sock, rec);
	if (known && (sock || !agentsh_settings.lifecycle))
		return;
	task_fill(&rec->task); /* not from the state: another process may send */
	if (!sock && agentsh_settings.lifecycle)
		first_datagram(rec, session, slot, &key);
	if (!known && !ringbuf_write(slot, session, rec, sizeof(*rec)) && dedup)
		bpf_map_delete_elem(&agentsh_udp_seen, &dst);
}

SEC("cgroup/sendmsg4")
int agentsh_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_sendmsg4, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record rec;

	if (!slot)
		return 1;
	record_begin(&rec, session, AGENTSH_KIND_UDP_SEND);
	record_socket(&rec, ctx);
	record_ports(&rec, ctx);
	rec.ifindex = interface4(ctx);
	record_ends4(&rec, ctx, ctx->msg_src_ip4);
	report(&rec, session, slot);
	return 1;
}

SEC("cgroup/sendmsg6")
int agentsh_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_sendmsg6, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record rec;
	__u32 local[4], remote[4];

	if (!slot)
		return 1;
	record_begin(&rec, session, AGENTSH_KIND_UDP_SEND);
	record_socket(&rec, ctx);
	record_ports(&rec, ctx);
	rec.ifindex = interface6(ctx);
	COPY_ADDR6(local, ctx->msg_src_ip6);
	COPY_ADDR6(remote, ctx->user_ip6);
	resolve_unspecified6(&rec, remote, local);
	record_ends6(&rec, remote, local);
	report(&rec, session, slot);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
