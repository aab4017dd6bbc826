/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Baselines of the scenario attach: the hooks of the library and a cgroup storage with the same
 * value, once with one storage per hook, and once with one storage for all hooks of a cgroup (its
 * key is only the cgroup id, kernel 5.9). Each program uses its storage map, because otherwise the
 * kernel makes no storage at attach.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "record.h"
#include "session_state.h"

#define BARE_STORAGE(name, key_type)                                                               \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);                                         \
		__type(key, key_type);                                                             \
		__type(value, struct agentsh_session_state);                                       \
	} name SEC(".maps");

#define BARE_PROGRAM(name, desc, storage)                                                          \
	SEC("cgroup/" #desc)                                                                       \
	int name(struct bpf_sock_addr *ctx)                                                        \
	{                                                                                          \
		struct agentsh_session_state *state = bpf_get_local_storage(&(storage), 0);        \
                                                                                                   \
		(void)ctx;                                                                         \
		(void)*(volatile __u32 *)&state->generation;                                       \
		return 1;                                                                          \
	}

BARE_STORAGE(storage_all, __u64)

#define BARE_HOOK(desc)                                                                            \
	BARE_STORAGE(storage_##desc, struct bpf_cgroup_storage_key)                                \
	BARE_PROGRAM(own_##desc, desc, storage_##desc)                                             \
	BARE_PROGRAM(all_##desc, desc, storage_all)

BARE_HOOK(connect4)
BARE_HOOK(connect6)
BARE_HOOK(sendmsg4)
BARE_HOOK(sendmsg6)

char _license[] SEC("license") = "Dual BSD/GPL";
