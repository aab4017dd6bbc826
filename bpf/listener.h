/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How an accepted socket finds its listener. bind() stores the listener's cookie in the
 * storage of its socket, and the kernel copies that storage to each accepted socket. The
 * process is in the table of sockets.
 */
#ifndef AGENTSH_LISTENER_H
#define AGENTSH_LISTENER_H

#include "sock_state.h"

struct listener_ref {
	__u64 cookie;	/* of the listener */
	__u64 sessions; /* that have not used this copy yet */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct listener_ref);
} agentsh_listeners SEC(".maps");

static __always_inline struct agentsh_sock_key
listener_key(__u64 cookie, const struct agentsh_session_state *session)
{
	struct agentsh_sock_key key = sock_key(cookie, session);

	key.session |= AGENTSH_KEY_LISTENER;
	return key;
}

/* Stores the task of the new state as the owner of the socket. */
static __always_inline void listener_add(struct sock_state *new,
					 const struct agentsh_session_state *session,
					 struct agentsh_slot *slot, struct bpf_sock *sk)
{
	struct agentsh_sock_key key = listener_key(new->rec.socket_cookie, session);
	struct sock_state *sock = sock_state_find(&key);
	struct listener_ref *ref;

	if (sock) { /* the last bind() failed */
		sock_state_begin(sock, &new->rec, 0);
		return;
	}
	if (!sock_state_add(session, slot, &key, new, 0))
		return;
	/* Without this memory, which the process may have used up, events are UNATTRIBUTED. */
	ref = bpf_sk_storage_get(&agentsh_listeners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!ref) {
		sock_state_forget(slot, &key);
		return;
	}
	ref->cookie = new->rec.socket_cookie;
	ref->sessions++;
}

/*
 * Fills in the task of the listener of an accepted socket. Returns 0 if it is unknown. The
 * last session that knows the listener frees the copy, so that accepted sockets do not hold memory
 * that nothing limits.
 */
static __always_inline int listener_owner(struct agentsh_task *task, struct fields *f,
					  const struct agentsh_session_state *session,
					  struct bpf_sock *sk)
{
	struct listener_ref *ref = bpf_sk_storage_get(&agentsh_listeners, sk, 0, 0);
	struct sock_state *listener;
	struct agentsh_sock_key key;

	if (!ref)
		return 0;
	key = listener_key(ref->cookie, session);
	listener = sock_state_find(&key);
	if (!listener) /* this session was attached after bind() and is not counted */
		return 0;
	if (ref->sessions > 1)
		ref->sessions--;
	else
		bpf_sk_storage_delete(&agentsh_listeners, sk);
	*task = listener->rec.task;
	f->netns_cookie = listener->rec.netns_cookie;
	f->protocol = listener->rec.head.protocol;
	return 1;
}

#endif
