/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a rule for a destination costs to find: in the library's compiled rules, and in an LPM trie
 * of the same prefixes. Each run takes one of many destinations at random.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "rules_table.h"
#include "words.h"

#define DESTINATIONS 8192
#define DESTINATION_BITS 13

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, DESTINATIONS);
	__type(key, __u32);
	__type(value, struct agentsh_rules_key);
} destinations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the harness sets the real size */
	__type(key, __u32);
	__type(value, struct agentsh_rules_node);
} nodes SEC(".maps");

struct trie_key4 {
	__u32 prefix;
	__u32 addr;
};

struct trie_key6 {
	__u32 prefix;
	__u32 addr[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct trie_key4);
	__type(value, __u32);
} trie4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct trie_key6);
	__type(value, __u32);
} trie6 SEC(".maps");

__u64 bench_random = 1;
__u64 bench_sum;
__u32 bench_ipv6;

#define RULES_SET __u32 /* unused: there is one set */

static __always_inline const void *rules_node(__u32 set, __u32 number)
{
	__u64 key = word_of(set + number, 0);

	return bpf_map_lookup_elem(&nodes, &key);
}

static __always_inline __u64 rules_listed(__u32 set, __u32 rule_id,
					  const struct agentsh_rules_key *key, __u64 past)
{
	(void)set;
	(void)rule_id;
	(void)key;
	return past;
}

static __always_inline __u64 rules_now(__u64 now_ns)
{
	return now_ns;
}

#include "rules_search.h"

static __always_inline const struct agentsh_rules_key *next_destination(void)
{
	__u32 at;

	bench_random = bench_random * 6364136223846793005ULL + 1442695040888963407ULL;
	at = bench_random >> (64 - DESTINATION_BITS);
	return bpf_map_lookup_elem(&destinations, &at);
}

SEC("tc")
int bench_nothing(void *unused)
{
	const struct agentsh_rules_key *to = next_destination();

	(void)unused;
	if (to)
		bench_sum += to->low;
	return 0;
}

SEC("tc")
int bench_rules(void *unused)
{
	const struct agentsh_rules_key *to = next_destination();
	struct agentsh_rules_entry entry;

	(void)unused;
	if (to && !rules_find(0, to, 443, 0, &entry))
		bench_sum += entry.rule_id;
	return 0;
}

SEC("tc")
int bench_trie(void *unused)
{
	const struct agentsh_rules_key *to = next_destination();
	const __u32 *found;

	(void)unused;
	if (!to)
		return 0;
	if (bench_ipv6) {
		struct trie_key6 key = {
			128,
			{__builtin_bswap32(to->high >> 32), __builtin_bswap32((__u32)to->high),
			 __builtin_bswap32(to->low >> 32), __builtin_bswap32((__u32)to->low)},
		};

		found = bpf_map_lookup_elem(&trie6, &key);
	} else {
		struct trie_key4 key = {32, __builtin_bswap32((__u32)to->low)};

		found = bpf_map_lookup_elem(&trie4, &key);
	}
	if (found)
		bench_sum += *found;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
