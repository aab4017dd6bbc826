/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps that all programs share, and their settings. */
#ifndef AGENTSH_MAPS_H
#define AGENTSH_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "control.h"
#include "session_state.h"
#include "settings.h"
#include "words.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* the library sets the real size */
} agentsh_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the library sets the real size */
	__type(key, __u32);
	__type(value, struct agentsh_slot);
} agentsh_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agentsh_control);
} agentsh_control SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile struct agentsh_settings agentsh_settings SEC(".rodata.settings") = {};

/*
 * A cgroup storage map of one program. Before kernel 5.9 (7d9c3427894f) such a map cannot
 * serve several programs. On later kernels the library replaces all of these maps by one.
 */
#define AGENTSH_STATE_MAP(name)                                                                    \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);                                         \
		__type(key, struct bpf_cgroup_storage_key);                                        \
		__type(value, struct agentsh_session_state);                                       \
	} name SEC(".maps")

/* Returns NULL until the session is attached completely, so half a session reports nothing. */
static __always_inline struct agentsh_slot *
session_slot(const struct agentsh_session_state *session)
{
	__u64 slot = word_of(session->slot, 0); /* the first half is the key: see words.h */

	return session->generation ? bpf_map_lookup_elem(&agentsh_slots, &slot) : NULL;
}

#endif
