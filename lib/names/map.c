/* SPDX-License-Identifier: Apache-2.0 */
#include "names/map.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MIN 16

void agentsh_map_init(struct agentsh_map *map)
{
	*map = (struct agentsh_map){0};
	agentsh_list_init(&map->used);
}

void agentsh_map_free(struct agentsh_map *map)
{
	free(map->buckets);
}

static struct agentsh_map_item **bucket_of(const struct agentsh_map *map,
					   const struct agentsh_hash_key *hash_key,
					   const uint64_t key[2], uint32_t tag)
{
	return &map->buckets[agentsh_hash(hash_key, key, tag) & map->mask];
}

struct agentsh_map_item *agentsh_map_find(const struct agentsh_map *map,
					  const struct agentsh_hash_key *hash_key,
					  const uint64_t key[2], uint32_t tag)
{
	struct agentsh_map_item *item;

	if (!map->count)
		return NULL;
	item = *bucket_of(map, hash_key, key, tag);
	while (item && (item->key[0] != key[0] || item->key[1] != key[1] || item->tag != tag))
		item = item->next;
	return item;
}

static void put(struct agentsh_map *map, const struct agentsh_hash_key *hash_key,
		struct agentsh_map_item *item)
{
	struct agentsh_map_item **bucket = bucket_of(map, hash_key, item->key, item->tag);

	item->next = *bucket;
	*bucket = item;
}

/* Goes on with the old buckets if there is no memory for more. */
static int grow(struct agentsh_map *map, const struct agentsh_hash_key *hash_key)
{
	uint32_t buckets = map->buckets ? 2 * (map->mask + 1) : BUCKETS_MIN;
	struct agentsh_map_item **more = calloc(buckets, sizeof(struct agentsh_map_item *));

	if (!more)
		return map->buckets ? 0 : -ENOMEM;
	free(map->buckets);
	map->buckets = more;
	map->mask = buckets - 1;
	for (struct agentsh_list *at = map->used.next; at != &map->used; at = at->next)
		put(map, hash_key, AGENTSH_CONTAINER(at, struct agentsh_map_item, used));
	return 0;
}

int agentsh_map_add(struct agentsh_map *map, const struct agentsh_hash_key *hash_key,
		    struct agentsh_map_item *item)
{
	if ((!map->buckets || map->count > map->mask) && grow(map, hash_key))
		return -ENOMEM;
	put(map, hash_key, item);
	agentsh_list_append(&map->used, &item->used);
	map->count++;
	return 0;
}

void agentsh_map_remove(struct agentsh_map *map, const struct agentsh_hash_key *hash_key,
			struct agentsh_map_item *item)
{
	struct agentsh_map_item **at = bucket_of(map, hash_key, item->key, item->tag);

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	agentsh_list_remove(&item->used);
	map->count--;
}

void agentsh_map_touch(struct agentsh_map *map, struct agentsh_map_item *item)
{
	agentsh_list_remove(&item->used);
	agentsh_list_append(&map->used, &item->used);
}

struct agentsh_map_item *agentsh_map_oldest(const struct agentsh_map *map)
{
	return agentsh_list_is_empty(&map->used)
		       ? NULL
		       : AGENTSH_CONTAINER(map->used.next, struct agentsh_map_item, used);
}
