/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Marks the sockets of connections that a peer has opened: rules do not judge their packets. */
#ifndef AGENTSH_ACCEPTED_H
#define AGENTSH_ACCEPTED_H

#include "maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64); /* generation of the newest session that has seen the connection */
} agentsh_accepted SEC(".maps");

/* Generations may wrap around. */
static __always_inline int is_older(__u32 generation, __u32 other)
{
	return (__s32)(generation - other) < 0;
}

static __always_inline void mark_accepted(struct bpf_sock *sk,
					  const struct agentsh_session_state *session)
{
	__u64 *newest = bpf_sk_storage_get(&agentsh_accepted, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	/* nested sessions see the same connection */
	if (newest && (!*newest || is_older(*newest, session->generation)))
		*newest = session->generation;
}

/* Whether the peer has opened the connection while the session was attached. */
static __always_inline int is_accepted(struct bpf_sock *sk,
				       const struct agentsh_session_state *session)
{
	__u64 *newest = bpf_sk_storage_get(&agentsh_accepted, sk, 0, 0);

	return newest && !is_older(*newest, session->generation);
}

/* The socket of an accepted connection may connect to another peer later. */
static __always_inline void forget_accepted(struct bpf_sock *sk)
{
	if (sk)
		bpf_sk_storage_delete(&agentsh_accepted, sk);
}

#endif
