/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/listed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/build.h"

#define ROOM_AT_FIRST 16 /* a power of two */
#define NONE UINT32_MAX

static uint32_t *bucket_of(const struct agentsh_rules_list *list, uint32_t rule_id,
			   const struct agentsh_rules_key *key)
{
	uint64_t hash = agentsh_rules_mix(agentsh_rules_mix(rule_id, key->high), key->low);

	return &list->buckets[hash & (list->room - 1)];
}

static uint32_t *bucket_of_item(const struct agentsh_rules_list *list, uint32_t number)
{
	return bucket_of(list, list->items[number].rule_id, &list->items[number].key);
}

static void link_item(struct agentsh_rules_list *list, uint32_t number)
{
	uint32_t *bucket = bucket_of_item(list, number);

	list->items[number].next = *bucket;
	*bucket = number;
}

/* The place that has the number of the item. */
static uint32_t *place_of(struct agentsh_rules_list *list, uint32_t number)
{
	uint32_t *at = bucket_of_item(list, number);

	while (*at != number)
		at = &list->items[*at].next;
	return at;
}

struct agentsh_rules_address *agentsh_rules_list_find(const struct agentsh_rules_list *list,
						      uint32_t rule_id,
						      const struct agentsh_rules_key *key)
{
	if (!list->count)
		return NULL;
	for (uint32_t i = *bucket_of(list, rule_id, key); i != NONE; i = list->items[i].next) {
		struct agentsh_rules_address *item = &list->items[i];

		if (item->rule_id == rule_id && item->key.low == key->low &&
		    item->key.high == key->high)
			return item;
	}
	return NULL;
}

int agentsh_rules_list_reserve(struct agentsh_rules_list *list)
{
	uint32_t room = list->room ? list->room * 2 : ROOM_AT_FIRST;
	struct agentsh_rules_address *items;
	uint32_t *buckets;

	if (list->count < list->room)
		return 0;
	buckets = malloc(room * sizeof(*buckets));
	items = buckets ? realloc(list->items, room * sizeof(*items)) : NULL;
	if (!items) {
		free(buckets);
		return -ENOMEM;
	}
	free(list->buckets);
	list->items = items;
	list->buckets = buckets;
	list->room = room;
	memset(buckets, 0xff, room * sizeof(*buckets)); /* NONE */
	for (uint32_t i = 0; i < list->count; i++)
		link_item(list, i);
	return 0;
}

void agentsh_rules_list_add(struct agentsh_rules_list *list,
			    const struct agentsh_rules_address *address)
{
	list->items[list->count] = *address;
	link_item(list, list->count++);
}

/* The last item takes the place of the removed one. */
void agentsh_rules_list_remove(struct agentsh_rules_list *list,
			       struct agentsh_rules_address *address)
{
	uint32_t number = (uint32_t)(address - list->items), last = list->count - 1;

	*place_of(list, number) = address->next;
	if (number != last) {
		*place_of(list, last) = number;
		*address = list->items[last];
	}
	list->count--;
}

void agentsh_rules_list_free(struct agentsh_rules_list *list)
{
	free(list->items);
	free(list->buckets);
}
