/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Baselines of the attach scenario: the library's hooks with cgroup storage of
 * the same value, and nothing else; once with a storage for each hook, and once
 * with one for all of a cgroup (its key is the cgroup's id alone, kernel 5.9).
 * A program has to use its storage map, or the kernel makes no storage at attach.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "record.h"
#include "session_state.h"

#define BARE_TAGS(name, key_type)                                                                  \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);                                         \
		__type(key, key_type);                                                             \
		__type(value, struct agentsh_session_state);                                       \
	} name SEC(".maps");

#define BARE_PROGRAM(name, desc, tags)                                                             \
	SEC("cgroup/" #desc)                                                                       \
	int name(struct bpf_sock_addr *ctx)                                                        \
	{                                                                                          \
		struct agentsh_session_state *state = bpf_get_local_storage(&(tags), 0);           \
                                                                                                   \
		(void)ctx;                                                                         \
		(void)*(volatile __u32 *)&state->generation;                                       \
		return 1;                                                                          \
	}

BARE_TAGS(tags_all, __u64)

#define BARE_HOOK(desc)                                                                            \
	BARE_TAGS(tags_##desc, struct bpf_cgroup_storage_key)                                      \
	BARE_PROGRAM(own_##desc, desc, tags_##desc)                                                \
	BARE_PROGRAM(all_##desc, desc, tags_all)

BARE_HOOK(connect4)
BARE_HOOK(connect6)
BARE_HOOK(sendmsg4)
BARE_HOOK(sendmsg6)

char _license[] SEC("license") = "Dual BSD/GPL";
