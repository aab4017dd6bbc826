/* SPDX-License-Identifier: Apache-2.0 */
/* A set of rules that is being compiled, and the finished set. */
#ifndef AGENTSH_RULES_BUILD_H
#define AGENTSH_RULES_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/rule.h"
#include "rules_table.h"

/* A compiled set. */
struct agentsh_rules_table {
	struct agentsh_rules_node *nodes; /* from malloc() */
	/* The time until which an address is listed for a rule; 0: it is not. NULL: none is. */
	uint64_t (*listed)(const struct agentsh_rules_table *table, uint32_t rule_id,
			   const struct agentsh_rules_key *key);
	uint32_t count;
	uint32_t room;
	uint32_t limit; /* nodes at most */
};

/* The address, which is as in struct agentsh_rule. */
struct agentsh_rules_key agentsh_rules_key_of(uint8_t family, const uint8_t addr[16]);
bool agentsh_rules_is_ipv4(const struct agentsh_rules_key *key);

/* From this key on the value holds. */
struct agentsh_rules_row {
	struct agentsh_rules_key key;
	uint32_t value;
};

/* An array that grows. */
struct agentsh_rules_array {
	void *items;
	size_t count;
	size_t room;
};

/* Makes room for more items of this size behind the last. Returns 0 or -ENOMEM. */
int agentsh_rules_reserve(struct agentsh_rules_array *array, size_t more, size_t size);

/*
 * Makes a tree of the rows, whose keys ascend and begin with 0, unless there is one row with an
 * entry. Sets the reference to the tree or the entry. Returns 0, -ENOMEM or -ENOSPC. The keys of
 * pack32 have 32 bits.
 */
int agentsh_rules_pack32(struct agentsh_rules_table *table, const struct agentsh_rules_row *rows,
			 size_t count, uint32_t *reference);
int agentsh_rules_pack128(struct agentsh_rules_table *table, const struct agentsh_rules_row *rows,
			  size_t count, uint32_t *reference);
/* Takes nodes and sets the number of the first. Returns 0, -ENOMEM or -ENOSPC. */
int agentsh_rules_take(struct agentsh_rules_table *table, size_t count, uint32_t *first);

/* Finds what has been made before, by its hash. */
struct agentsh_rules_index {
	uint32_t *buckets; /* number of an item, plus 1; 0: free */
	size_t mask;
	size_t count;
};

/* Whether the item of this number is the wanted one; and the hash of that item. */
typedef bool agentsh_rules_equal(const void *items, uint32_t number, const void *wanted);
typedef uint64_t agentsh_rules_hash_of(const void *items, uint32_t number);

/* The number of the item; -1: there is none. */
int64_t agentsh_rules_find(const struct agentsh_rules_index *index, uint64_t hash,
			   agentsh_rules_equal *equal, const void *items, const void *wanted);
/* Adds an item that is not there. Returns 0 or -ENOMEM. */
int agentsh_rules_remember(struct agentsh_rules_index *index, uint64_t hash, uint32_t number,
			   agentsh_rules_hash_of *hash_of, const void *items);
uint64_t agentsh_rules_mix(uint64_t hash, uint64_t word);

/* A set that is being compiled. */
struct agentsh_rules_build {
	struct agentsh_rules_table table;
	const struct agentsh_rule *rules;
	uint32_t default_entry;

	struct agentsh_rules_array entries; /* struct agentsh_rules_entry */
	struct agentsh_rules_index entry_index;
	struct agentsh_rules_array expiries; /* uint64_t */
	struct agentsh_rules_index expiry_index;

	struct agentsh_rules_array lists; /* lists of cells, each made once */
	struct agentsh_rules_index list_index;
	struct agentsh_rules_array cells; /* struct agentsh_rules_row, of all lists */

	/* for one list, kept for the next */
	struct agentsh_rules_array bounds;	/* uint32_t */
	struct agentsh_rules_array segments;	/* between two bounds */
	struct agentsh_rules_array conditional; /* rules that expire or match listed addresses */
};

/*
 * Sets the number of an entry for the rule at this place, behind which the entry next is tried.
 * Returns 0, -ENOMEM or -ENOSPC.
 */
int agentsh_rules_entry(struct agentsh_rules_build *build, uint32_t order, uint32_t next,
			uint32_t *number);
/* Makes the entry of the default. */
int agentsh_rules_default(struct agentsh_rules_build *build, uint8_t action);

/*
 * Sets the reference for addresses that match these rules, which are numbers in ascending order.
 * Removes the rules that never decide from them. Returns 0, -ENOMEM, or -ENOSPC if there is no more
 * room, or if more than AGENTSH_RULES_CHAIN rules for one destination expire, or match only listed
 * addresses.
 */
int agentsh_rules_ports(struct agentsh_rules_build *build, uint32_t *rules, size_t *count,
			uint32_t *reference);

/*
 * Compiles rules that agentsh_rules_check() accepts. Returns 0, -ENOMEM, or -ENOSPC: as
 * agentsh_rules_ports(), or more than AGENTSH_RULES_MAX rules, or more nodes than the limit. After
 * an error the table is empty.
 */
int agentsh_rules_compile(const struct agentsh_rule *rules, size_t count, uint8_t default_action,
			  uint32_t nodes_limit, struct agentsh_rules_table *table);
void agentsh_rules_table_free(struct agentsh_rules_table *table);

/* What the set says of a destination. */
struct agentsh_rules_verdict {
	bool denied;
	bool matched;	  /* else the default decides */
	uint32_t rule_id; /* if matched */
};

/*
 * The same as the eBPF programs find. The address is as in struct agentsh_rule; IPv4-mapped ones
 * count as IPv4. The protocol is not ANY; the port is in host order. Returns 0, or -EINVAL for
 * another family or protocol, or a damaged table.
 */
int agentsh_rules_judge(const struct agentsh_rules_table *table, uint8_t family,
			const uint8_t addr[16], uint8_t protocol, uint16_t port, uint64_t now_ns,
			struct agentsh_rules_verdict *verdict);

#endif
