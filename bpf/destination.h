/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The destinations to which a socket has sent before, so that each is reported once. */
#ifndef AGENTSH_DESTINATION_H
#define AGENTSH_DESTINATION_H

#include "record_fill.h"

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
	__u64 ifindex_as;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* the library sets the real size */
	__type(key, struct destination);
	__type(value, __u8);
} agentsh_udp_seen SEC(".maps");

#define SEEN_AS_PACKET 0x1000 /* reported as a packet, and not as a call */

/* as: a destination that is reported in another way is another one. */
static __always_inline void set_destination(struct destination *dst,
					    const struct agentsh_record *rec,
					    const struct agentsh_session_state *session, __u32 as)
{
	dst->socket_cookie = rec->socket_cookie;
	dst->netns_cookie = rec->netns_cookie;
	__builtin_memcpy(dst->addr, rec->remote_addr, sizeof(dst->addr));
	/* the event's family, because a caller may write AF_UNSPEC for AF_INET */
	dst->generation_port_family =
		word_of(session->generation, half_of(rec->head.remote_port, rec->head.family));
	dst->ifindex_as = word_of(rec->head.ifindex, as);
}

/*
 * Whether this destination is new. If two threads send at once, BPF_NOEXIST lets only one
 * of them report it.
 */
static __always_inline int destination_is_new(const struct destination *dst,
					      struct agentsh_slot *slot)
{
	__u8 one = 1;

	if (bpf_map_lookup_elem(&agentsh_udp_seen, dst) ||
	    bpf_map_update_elem(&agentsh_udp_seen, dst, &one, BPF_NOEXIST) == -EEXIST) {
		__sync_fetch_and_add(&slot->deduplicated, 1);
		return 0;
	}
	return 1;
}

/* Makes the destination new again, because it could not be reported. */
static __always_inline void destination_forget(const struct destination *dst)
{
	bpf_map_delete_elem(&agentsh_udp_seen, dst);
}

#endif
