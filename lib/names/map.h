/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table that knows which of its items was used longest ago. */
#ifndef AGENTSH_NAMES_MAP_H
#define AGENTSH_NAMES_MAP_H

#include <stdint.h>

#include "names/hash.h"
#include "names/list.h"

/* The first member of an item. */
struct agentsh_map_item {
	struct agentsh_map_item *next; /* in the bucket */
	struct agentsh_list used;
	uint64_t key[2];
	uint32_t tag; /* part of the key */
};

struct agentsh_map {
	struct agentsh_map_item **buckets; /* NULL: the map never had an item */
	uint32_t mask;
	uint32_t count;
	struct agentsh_list used; /* the item used longest ago is the first */
};

void agentsh_map_init(struct agentsh_map *map);
/* Frees the buckets; the caller has removed the items. */
void agentsh_map_free(struct agentsh_map *map);
struct agentsh_map_item *agentsh_map_find(const struct agentsh_map *map,
					  const struct agentsh_hash_key *hash_key,
					  const uint64_t key[2], uint32_t tag);
/* Adds an item whose key and tag are set and not in the map. Returns 0 or -ENOMEM. */
int agentsh_map_add(struct agentsh_map *map, const struct agentsh_hash_key *hash_key,
		    struct agentsh_map_item *item);
void agentsh_map_remove(struct agentsh_map *map, const struct agentsh_hash_key *hash_key,
			struct agentsh_map_item *item);
/* Makes the item the one used last. */
void agentsh_map_touch(struct agentsh_map *map, struct agentsh_map_item *item);
/* The item used longest ago; NULL: the map is empty. */
struct agentsh_map_item *agentsh_map_oldest(const struct agentsh_map *map);

#endif
