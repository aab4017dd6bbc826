/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams that are sent with a destination: one record per socket and destination, or
 * one per datagram if the settings say so. A send() on a connected socket runs no hook;
 * its connect() was reported.
 */
#include "interface.h"
#include "sock_state.h"
#include "source_route.h"

AGENTSH_STATE_MAP(agentsh_state_sendmsg4);
AGENTSH_STATE_MAP(agentsh_state_sendmsg6);

/*
 * The generation gives each of two nested sessions a record. Before kernel 5.10 (92acdc58ab11) a
 * cookie is unique only within its network namespace. The interface is part of a link-local
 * destination.
 *
 * Every member is a whole 64-bit word: see words.h.
 */
struct destination {
	__u64 socket_cookie;
	__u64 netns_cookie;
	__u64 addr[2];
	__u64 generation_port_family;
	__u64 ifindex_routed;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* the library sets the real size */
	__type(key, struct destination);
	__type(value, __u8);
} agentsh_udp_seen SEC(".maps");

static __always_inline void set_destination(struct destination *dst,
					    const struct agentsh_record *rec,
					    const struct agentsh_session_state *session)
{
	dst->socket_cookie = rec->socket_cookie;
	dst->netns_cookie = rec->netns_cookie;
	__builtin_memcpy(dst->addr, rec->remote_addr, sizeof(dst->addr));
	/* the event's family, because a caller may write AF_UNSPEC for AF_INET */
	dst->generation_port_family =
		word_of(session->generation, half_of(rec->head.remote_port, rec->head.family));
	/* a host that was named before may be the first hop to another one now */
	dst->ifindex_routed =
		word_of(rec->head.ifindex, rec->head.flags & AGENTSH_FLAG_SOURCE_ROUTED);
}

/*
 * Whether this destination is new. If two threads send at once, BPF_NOEXIST lets only one
 * of them report it.
 */
static __always_inline int first_seen(const struct agentsh_record *rec,
				      const struct agentsh_session_state *session,
				      struct agentsh_slot *slot)
{
	struct destination dst;
	__u8 one = 1;

	set_destination(&dst, rec, session);
	if (bpf_map_lookup_elem(&agentsh_udp_seen, &dst) ||
	    bpf_map_update_elem(&agentsh_udp_seen, &dst, &one, BPF_NOEXIST) == -EEXIST) {
		__sync_fetch_and_add(&slot->deduplicated, 1);
		return 0;
	}
	return 1;
}

/* Makes the destination new again, because it could not be reported. */
static __always_inline void forget(const struct agentsh_record *rec,
				   const struct agentsh_session_state *session)
{
	struct destination dst;

	set_destination(&dst, rec, session);
	bpf_map_delete_elem(&agentsh_udp_seen, &dst);
}

/*
 * Whether the datagram must be reported in spite of deduplication. Without BTF the scope of
 * its address is unknown, which counts before the interface of the socket.
 */
static __always_inline int is_unknown_interface(const struct fields *f)
{
#ifdef AGENTSH_TASK
	if (f->ifindex)
		return 0;
#endif
	return f->family == AF_INET6 && is_scoped6(f->remote[0]);
}

/*
 * Keeps the call with the socket's state, and tells its record what the state knows. Returns
 * whether the state has an owner.
 */
static __always_inline int merge_state(struct sock_state *sock, struct agentsh_record *rec)
{
	if (sock->rec.head.flags & AGENTSH_FLAG_INBOUND)
		record_flag(rec, AGENTSH_FLAG_INBOUND);
	sock_state_set_call(sock, rec);
	return !(sock->rec.head.flags & AGENTSH_FLAG_UNATTRIBUTED);
}

/* Takes the caller for the owner of a socket without a state, or without an owner. */
static __always_inline void own_state(struct sock_state *new,
				      const struct agentsh_session_state *session,
				      struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	struct sock_state *sock = sock_state_find(key);

	if (sock)
		sock_state_adopt(sock, &new->rec);
	else
		sock_state_add(session, slot, key, new, PHASE_ATTEMPT);
}

static __always_inline void report_datagram(const struct fields *f,
					    const struct agentsh_session_state *session,
					    struct agentsh_slot *slot)
{
	int dedup = !agentsh_settings.udp_no_dedup && !is_unknown_interface(f);
	int known, owned = !agentsh_settings.lifecycle;
	struct agentsh_sock_key key;
	struct sock_state *sock;
	struct sock_state new;

	record_fill(&new.rec, f, session, AGENTSH_KIND_UDP_SEND);
	key = sock_key(new.rec.socket_cookie, session);
	known = dedup && !first_seen(&new.rec, session, slot);
	if (agentsh_settings.lifecycle) {
		sock = sock_state_find(&key);
		if (sock)
			owned = merge_state(sock, &new.rec);
	}
	if (known && owned)
		return;
	task_fill(&new.rec.task); /* not from the state: another process may send */
	if (agentsh_settings.lifecycle)
		own_state(&new, session, slot, &key);
	if (!known && !ringbuf_write(slot, session, &new.rec, sizeof(new.rec)) && dedup)
		forget(&new.rec, session);
}

SEC("cgroup/sendmsg4")
int agentsh_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_sendmsg4, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct fields f;

	if (!slot)
		return 1;
	fields_of(&f, ctx);
	f.ifindex = interface4(ctx);
	set_ends4(&f, ctx, ctx->msg_src_ip4);
	source_route_of_caller(&f, ctx);
	report_datagram(&f, session, slot);
	return 1;
}

SEC("cgroup/sendmsg6")
int agentsh_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_sendmsg6, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct fields f;

	if (!slot)
		return 1;
	fields_of(&f, ctx);
	f.ifindex = interface6(ctx);
	COPY_ADDR6(f.local, ctx->msg_src_ip6);
	COPY_ADDR6(f.remote, ctx->user_ip6);
	resolve_unspecified6(&f);
	unmap_ends6(&f);
	source_route_of_caller(&f, ctx);
	report_datagram(&f, session, slot);
	return 1;
}
