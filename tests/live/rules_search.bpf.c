/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Looks up the destination in the packet that the test gives. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "rules_listed.h"
#include "rules_search_query.h"
#include "rules_table.h"
#include "words.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the test sets the real size */
	__type(key, __u32);
	__type(value, struct agentsh_rules_node);
} rules_nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct agentsh_rules_listed);
	__type(value, __u64);
} rules_addresses SEC(".maps");

struct rules_answer answer;

#define RULES_SET __u32 /* the first node of the set */

static __always_inline const void *rules_node(__u32 set, __u32 number)
{
	__u64 key = word_of(set + number, 0);

	return bpf_map_lookup_elem(&rules_nodes, &key);
}

static __always_inline __u64 rules_listed(__u32 set, __u32 rule_id,
					  const struct agentsh_rules_key *key, __u64 past)
{
	struct agentsh_rules_listed listed;
	const __u64 *until_ns;

	SET_WORD(listed.set, word_of(set, rule_id));
	listed.high = key->high;
	listed.low = key->low;
	until_ns = bpf_map_lookup_elem(&rules_addresses, &listed);
	return until_ns ? *until_ns : past;
}

static __always_inline __u64 rules_now(__u64 now_ns)
{
	return now_ns;
}

#include "rules_search.h"

SEC("tc")
int rules_search(struct __sk_buff *skb)
{
	struct rules_query query;
	struct agentsh_rules_entry entry;
	struct agentsh_rules_key key;

	answer.found = 0;
	if (bpf_skb_load_bytes(skb, 0, &query, sizeof(query)))
		return 0;
	key.high = query.high;
	key.low = query.low;
	if (rules_find((__u32)query.first_node, &key, (__u32)query.class_and_port, query.now_ns,
		       &entry))
		return 0;
	answer.rule_id = entry.rule_id;
	answer.flags = entry.next & ((1u << AGENTSH_RULES_NEXT_SHIFT) - 1);
	answer.found = 1;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
