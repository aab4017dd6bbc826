/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that grow, and what has been made before by its hash. */
#include <errno.h>
#include <stdlib.h>

#include "rules/build.h"

#define ITEMS_FIRST 16
#define BUCKETS_FIRST 64

int agentsh_rules_reserve(struct agentsh_rules_array *array, size_t more, size_t size)
{
	size_t room = array->room ? array->room : ITEMS_FIRST;
	void *items;

	if (more > SIZE_MAX / 4 / size - array->count)
		return -ENOMEM;
	while (room < array->count + more)
		room *= 2;
	if (room == array->room)
		return 0;
	items = realloc(array->items, room * size);
	if (!items)
		return -ENOMEM;
	array->items = items;
	array->room = room;
	return 0;
}

uint64_t agentsh_rules_mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

int64_t agentsh_rules_find(const struct agentsh_rules_index *index, uint64_t hash,
			   agentsh_rules_equal *equal, const void *items, const void *wanted)
{
	if (!index->count)
		return -1;
	for (size_t at = hash & index->mask; index->buckets[at]; at = (at + 1) & index->mask) {
		uint32_t number = index->buckets[at] - 1;

		if (equal(items, number, wanted))
			return number;
	}
	return -1;
}

static void put(const struct agentsh_rules_index *index, uint64_t hash, uint32_t number)
{
	size_t at = hash & index->mask;

	while (index->buckets[at])
		at = (at + 1) & index->mask;
	index->buckets[at] = number + 1;
}

int agentsh_rules_remember(struct agentsh_rules_index *index, uint64_t hash, uint32_t number,
			   agentsh_rules_hash_of *hash_of, const void *items)
{
	if (!index->buckets || index->count > index->mask / 2) {
		size_t buckets = index->buckets ? 2 * (index->mask + 1) : BUCKETS_FIRST;
		struct agentsh_rules_index more = {
			.buckets = calloc(buckets, sizeof(*more.buckets)),
			.mask = buckets - 1,
			.count = index->count,
		};

		if (!more.buckets)
			return -ENOMEM;
		for (uint32_t i = 0; i < index->count; i++)
			put(&more, hash_of(items, i), i);
		free(index->buckets);
		*index = more;
	}
	put(index, hash, number);
	index->count++;
	return 0;
}
