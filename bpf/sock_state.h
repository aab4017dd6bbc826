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
	PHASE_PACKET = 4,   /* a packet showed the socket; its connection may be older */
};

/* As large as struct agentsh_record_outcome, so that both can have the same place on the stack. */
struct sock_state {
	/*
	 * The socket's first event, but with the head and the destination of its last call.
	 * session_lost is lost_base of the session.
	 */
	struct agentsh_record rec;
	__u8 phase;	     /* PHASE_ */
	__u8 closer;	     /* TCP state after the first FIN */
	__u8 sent;	     /* a packet was sent since the last connect() */
	__u8 first_done;     /* TCP: no more of the first data is copied */
	__u8 first_segments; /* TCP: how many packets of the first data were copied */
	__u8 dns_begun;	     /* TCP: data of a name server arrived */
	__u8 zero[2];
	__u64 kernel_socket;  /* address of the TCP socket; 0: unknown */
	__u64 reported;	      /* bytes (TCP) or packets both ways, as of the last PROGRESS */
	__u64 bytes_sent;     /* not TCP */
	__u64 bytes_received; /* TCP: when FIN_WAIT2 began */
	union {
		__u32 packets_sent; /* not TCP */
		__u32 first_next;   /* TCP: sequence number behind the copied first data */
	};
	union {
		__u32 packets_received; /* not TCP */
		__u32 first_wanted;	/* TCP: bytes of the first data to be copied yet */
	};
};

_Static_assert(sizeof(struct sock_state) == sizeof(struct agentsh_record_outcome), "same size");

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

/* Returns whether the socket had a state. */
static __always_inline int sock_state_forget(struct agentsh_slot *slot,
					     const struct agentsh_sock_key *key)
{
	if (bpf_map_delete_elem(&agentsh_sock_states, key))
		return 0;
	__sync_fetch_and_add(&slot->sockets, -1);
	return 1;
}

/* What a later call on the socket does not change. */
#define KEPT_FLAGS (AGENTSH_FLAG_INBOUND | AGENTSH_FLAG_UNATTRIBUTED)

/* Keeps what the record of a call says of the socket and its destination. */
static __always_inline void sock_state_set_call(struct sock_state *sock,
						const struct agentsh_record *rec)
{
	__u16 kept = sock->rec.head.flags & KEPT_FLAGS;

	__builtin_memcpy(&sock->rec.head, &rec->head, sizeof(sock->rec.head));
	sock->rec.head.flags |= kept;
	__builtin_memcpy(sock->rec.remote_addr, rec->remote_addr, sizeof(sock->rec.remote_addr));
}

/* Sets everything but the record. */
static __always_inline void sock_state_clear(struct sock_state *sock, __u8 phase, __u8 closer,
					     __u8 sent)
{
	SET_WORD(sock->phase, word_of(half_of(quarter_of(phase, closer), quarter_of(sent, 0)), 0));
	sock->kernel_socket = 0;
	sock->reported = 0;
	sock->bytes_sent = 0;
	sock->bytes_received = 0;
	SET_WORD(sock->packets_sent, 0);
}

/* Starts the state of a socket anew. */
static __always_inline void sock_state_begin(struct sock_state *sock,
					     const struct agentsh_record *rec, __u8 phase)
{
	__builtin_memcpy(&sock->rec, rec, sizeof(sock->rec));
	sock_state_clear(sock, phase, 0, 0);
}

/*
 * Adds a state, whose record is filled, to the table. Without room it counts the socket.
 * Returns 0, -EEXIST if another thread has added the state in the meantime, or another
 * error.
 */
static __always_inline long sock_state_insert(const struct agentsh_session_state *session,
					      struct agentsh_slot *slot,
					      const struct agentsh_sock_key *key,
					      struct sock_state *sock)
{
	long ret = -1;

	/* signed: a late program of the slot's last session may make it negative */
	if (*(volatile __s64 *)&slot->sockets < (__s64)session->max_sockets)
		ret = bpf_map_update_elem(&agentsh_sock_states, key, sock, BPF_NOEXIST);
	if (!ret)
		__sync_fetch_and_add(&slot->sockets, 1);
	else if (ret != -EEXIST)
		__sync_fetch_and_add(&slot->untracked, 1);
	return ret;
}

/*
 * Adds the state of a socket that a call or an outcome shows; without room sets the flag in
 * the record. Returns whether the socket has a state.
 */
static __always_inline int sock_state_add(const struct agentsh_session_state *session,
					  struct agentsh_slot *slot,
					  const struct agentsh_sock_key *key,
					  struct sock_state *sock, __u8 phase)
{
	long ret;

	sock_state_clear(sock, phase, 0, 0);
	ret = sock_state_insert(session, slot, key, sock);
	if (!ret || ret == -EEXIST)
		return 1;
	record_flag(&sock->rec, AGENTSH_FLAG_UNTRACKED);
	return 0;
}

/* Takes the process of a call for the owner of a socket whose owner was unknown. */
static __always_inline void sock_state_adopt(struct sock_state *sock,
					     const struct agentsh_record *rec)
{
	if (!(sock->rec.head.flags & AGENTSH_FLAG_UNATTRIBUTED))
		return;
	__builtin_memcpy(&sock->rec.task, &rec->task, sizeof(sock->rec.task));
	sock->rec.netns_cookie = rec->netns_cookie;
	sock->rec.head.flags &= ~AGENTSH_FLAG_UNATTRIBUTED;
}

/* The members of a record as the state has them, but with the time of now. */
static __always_inline void fields_of_state(struct fields *f, const struct sock_state *sock)
{
	const struct agentsh_record *rec = &sock->rec;

	f->timestamp_ns = bpf_ktime_get_boot_ns();
	f->socket_cookie = rec->socket_cookie;
	f->netns_cookie = rec->netns_cookie;
	f->flags = rec->head.flags;
	f->family = rec->head.family;
	f->protocol = rec->head.protocol;
	f->socket_type = rec->head.socket_type;
	f->local_port = rec->head.local_port;
	f->remote_port = rec->head.remote_port;
	f->ifindex = rec->head.ifindex;
	COPY_ADDR6(f->local, rec->local_addr);
	COPY_ADDR6(f->remote, rec->remote_addr);
}

#endif
