/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of a socket, kept from one of its events to the next: most of a connection's
 * events happen in softirq, where there is no task to ask. The states are in a table whose
 * size the host has chosen. Memory of the socket itself (BPF_MAP_TYPE_SK_STORAGE) would be
 * limited by the socket's option memory, which the watched process can fill, and would
 * count against the host's memory without a limit.
 */
#ifndef AGENTSH_SOCK_STATE_H
#define AGENTSH_SOCK_STATE_H

#include "record_fill.h"
#include "sock_key.h"

enum {
	PHASE_ATTEMPT = 1,  /* connect() was called, or a datagram was sent */
	PHASE_SYN = 2,	    /* a SYN was sent, at least */
	PHASE_ACCEPTED = 3, /* the socket is a listener's child */
};

struct sock_state {
	struct agentsh_task task;
	__u64 start_ns; /* time of connect(), of the first datagram, or of the end of a handshake */
	__u64 netns_cookie;
	__u64 received; /* bytes received when FIN_WAIT2 began */
	/* of the record of the socket's last call */
	struct agentsh_record_head head;
	__u32 remote_addr[4];
	__u8 phase;  /* PHASE_ */
	__u8 closer; /* TCP state after the first FIN */
	__u16 zero;
	__u32 datagrams;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1); /* the library sets the real size */
	__type(key, struct agentsh_sock_key);
	__type(value, struct sock_state);
} agentsh_sock_states SEC(".maps");

static __always_inline struct agentsh_sock_key sock_key(__u64 cookie,
							const struct agentsh_session_state *session)
{
	return (struct agentsh_sock_key){
		.cookie = cookie,
		.session = session->generation | (__u64)session->slot << AGENTSH_KEY_SLOT_SHIFT,
	};
}

static __always_inline struct sock_state *sock_state_find(const struct agentsh_sock_key *key)
{
	return bpf_map_lookup_elem(&agentsh_sock_states, key);
}

static __always_inline void sock_state_forget(struct agentsh_slot *slot,
					      const struct agentsh_sock_key *key)
{
	if (!bpf_map_delete_elem(&agentsh_sock_states, key))
		__sync_fetch_and_add(&slot->sockets, -1);
}

/* Keeps what the record of a call says of the socket and its destination. */
static __always_inline void sock_state_set_call(struct sock_state *sock,
						const struct agentsh_record *rec)
{
	__builtin_memcpy(&sock->head, &rec->head, sizeof(sock->head));
	__builtin_memcpy(sock->remote_addr, rec->remote_addr, sizeof(sock->remote_addr));
}

/* Starts the state of a socket anew. */
static __always_inline void sock_state_begin(struct sock_state *sock,
					     const struct agentsh_record *rec, __u8 phase)
{
	__builtin_memcpy(&sock->task, &rec->task, sizeof(sock->task));
	sock->start_ns = rec->timestamp_ns;
	sock->netns_cookie = rec->netns_cookie;
	sock->received = 0;
	sock_state_set_call(sock, rec);
	SET_WORD(sock->phase, word_of(half_of(quarter_of(phase, 0), 0), 0));
}

/*
 * Adds a state to the table. Without room it counts the socket, sets the flag and
 * returns 0. Another thread may have added the state in the meantime.
 */
static __always_inline int sock_state_add(const struct agentsh_session_state *session,
					  struct agentsh_slot *slot,
					  const struct agentsh_sock_key *key,
					  struct agentsh_record *rec, __u8 phase)
{
	struct sock_state sock;
	long ret = -1;

	sock_state_begin(&sock, rec, phase);
	/* signed: a late program of the slot's last session may make it negative */
	if (*(volatile __s64 *)&slot->sockets < (__s64)session->max_sockets)
		ret = bpf_map_update_elem(&agentsh_sock_states, key, &sock, BPF_NOEXIST);
	if (!ret)
		__sync_fetch_and_add(&slot->sockets, 1);
	if (!ret || ret == -17 /* EEXIST */)
		return 1;
	__sync_fetch_and_add(&slot->untracked, 1);
	record_flag(rec, AGENTSH_FLAG_UNTRACKED);
	return 0;
}

#endif
