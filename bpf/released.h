/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Marks sockets that are being closed. A packet may still arrive between the last close()
 * and the end of the socket; it must not give the socket a state again, which no program
 * would remove.
 */
#ifndef AGENTSH_RELEASED_H
#define AGENTSH_RELEASED_H

#include "maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} agentsh_released SEC(".maps");

static __always_inline void mark_released(struct bpf_sock *sk)
{
	bpf_sk_storage_get(&agentsh_released, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

static __always_inline int is_released(struct bpf_sock *sk)
{
	return bpf_sk_storage_get(&agentsh_released, sk, 0, 0) != NULL;
}

#endif
