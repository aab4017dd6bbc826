/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for a destination: rules that expire, one after another, and at last one that does
 * not. */
#include <errno.h>
#include <string.h>

#include "rules/build.h"

#define ENTRIES_MAX (1u << (32 - AGENTSH_RULES_NEXT_SHIFT))

static uint64_t hash_entry(const struct agentsh_rules_entry *entry)
{
	uint64_t hash = agentsh_rules_mix(entry->rule_id, entry->next);

	return agentsh_rules_mix(hash, (uint64_t)entry->ports << 32 | entry->order);
}

static uint64_t hash_of(const void *items, uint32_t number)
{
	return hash_entry((const struct agentsh_rules_entry *)items + number);
}

static bool equal(const void *items, uint32_t number, const void *wanted)
{
	const struct agentsh_rules_entry *a = (const struct agentsh_rules_entry *)items + number;
	const struct agentsh_rules_entry *b = wanted;

	return a->rule_id == b->rule_id && a->next == b->next && a->ports == b->ports &&
	       a->order == b->order;
}

static uint64_t hash_of_expiry(const void *items, uint32_t number)
{
	return agentsh_rules_mix(0, ((const uint64_t *)items)[number]);
}

static bool equal_expiry(const void *items, uint32_t number, const void *wanted)
{
	return ((const uint64_t *)items)[number] == *(const uint64_t *)wanted;
}

/* The number of the item, which is added unless it is there; at most -1: an error. */
static int64_t find_or_add(struct agentsh_rules_array *items, struct agentsh_rules_index *index,
			   size_t limit, const void *wanted, size_t size, uint64_t hash,
			   agentsh_rules_equal *equals, agentsh_rules_hash_of *hash_of_item)
{
	int64_t found = agentsh_rules_find(index, hash, equals, items->items, wanted);
	int err;

	if (found >= 0)
		return found;
	if (items->count >= limit)
		return -ENOSPC;
	err = agentsh_rules_reserve(items, 1, size);
	if (!err)
		err = agentsh_rules_remember(index, hash, (uint32_t)items->count, hash_of_item,
					     items->items);
	if (err)
		return err;
	memcpy((char *)items->items + items->count * size, wanted, size);
	return (int64_t)items->count++;
}

/* Sets the number of the time of expiry, plus 1, or 0 for never. */
static int expiry_of(struct agentsh_rules_build *build, uint64_t expires_ns, uint32_t *number)
{
	int64_t found = expires_ns
				? find_or_add(&build->expiries, &build->expiry_index,
					      AGENTSH_RULES_EXPIRIES, &expires_ns,
					      sizeof(expires_ns), agentsh_rules_mix(0, expires_ns),
					      equal_expiry, hash_of_expiry)
				: -1;

	*number = (uint32_t)(found + 1);
	return expires_ns && found < 0 ? (int)found : 0;
}

static uint32_t classes_of(const struct agentsh_rule *rule)
{
	bool all_ports = !rule->first_port && rule->last_port == UINT16_MAX;

	switch (rule->protocol) {
	case AGENTSH_RULE_TCP:
		return AGENTSH_RULES_CLASS << AGENTSH_RULES_TCP;
	case AGENTSH_RULE_UDP:
		return AGENTSH_RULES_CLASS << AGENTSH_RULES_UDP;
	case AGENTSH_RULE_OTHER:
		return AGENTSH_RULES_CLASS << AGENTSH_RULES_OTHER;
	default:
		return AGENTSH_RULES_CLASS << AGENTSH_RULES_TCP |
		       AGENTSH_RULES_CLASS << AGENTSH_RULES_UDP |
		       (all_ports ? AGENTSH_RULES_CLASS << AGENTSH_RULES_OTHER : 0);
	}
}

static int add_entry(struct agentsh_rules_build *build, const struct agentsh_rules_entry *entry,
		     uint32_t *number)
{
	int64_t found = find_or_add(&build->entries, &build->entry_index, ENTRIES_MAX, entry,
				    sizeof(*entry), hash_entry(entry), equal, hash_of);

	*number = (uint32_t)found;
	return found < 0 ? (int)found : 0;
}

int agentsh_rules_entry(struct agentsh_rules_build *build, uint32_t order, uint32_t next,
			uint32_t *number)
{
	const struct agentsh_rule *rule = &build->rules[order];
	struct agentsh_rules_entry entry = {
		.rule_id = rule->rule_id,
		.next = next << AGENTSH_RULES_NEXT_SHIFT | classes_of(rule) | rule->action |
			(rule->listed ? AGENTSH_RULES_LISTED : 0),
		.ports = (uint32_t)rule->last_port << AGENTSH_RULES_LAST_PORT_SHIFT |
			 rule->first_port,
	};
	uint32_t expiry;
	int err = expiry_of(build, rule->expires_ns, &expiry);

	entry.order = expiry << AGENTSH_RULES_EXPIRY_SHIFT | order;
	return err ? err : add_entry(build, &entry, number);
}

int agentsh_rules_default(struct agentsh_rules_build *build, uint8_t action)
{
	static const struct agentsh_rule every = {.last_port = UINT16_MAX};
	struct agentsh_rules_entry entry = {
		.next = AGENTSH_RULES_DEFAULT | classes_of(&every) | action,
		.ports = (uint32_t)UINT16_MAX << AGENTSH_RULES_LAST_PORT_SHIFT,
		.order = AGENTSH_RULES_ORDER,
	};

	return add_entry(build, &entry, &build->default_entry);
}
