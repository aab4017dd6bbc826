/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/pool.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum state { FREE, USED, RESTING };

struct agentsh_rules_extent {
	uint32_t first;
	uint32_t count;
	enum state state;
};

int agentsh_rules_pool_init(struct agentsh_rules_pool *pool)
{
	pool->extents = malloc(sizeof(*pool->extents));
	if (!pool->extents)
		return -ENOMEM;
	pool->extents_room = pool->extents_count = 1;
	pool->extents[0] = (struct agentsh_rules_extent){1, pool->count - 1, FREE};
	return 0;
}

void agentsh_rules_pool_free(struct agentsh_rules_pool *pool)
{
	if (pool->nodes)
		munmap(pool->nodes, pool->count * sizeof(*pool->nodes));
	free(pool->extents);
}

/* Makes one extent of neighbours that are free. */
static void merge(struct agentsh_rules_pool *pool)
{
	size_t to = 0;

	for (size_t i = 1; i < pool->extents_count; i++) {
		const struct agentsh_rules_extent *next = &pool->extents[i];

		if (pool->extents[to].state == FREE && next->state == FREE)
			pool->extents[to].count += next->count;
		else
			pool->extents[++to] = *next;
	}
	pool->extents_count = to + 1;
}

/*
 * Waits until every program that runs now has ended: a program is an RCU read-side critical
 * section, and MEMBARRIER_CMD_GLOBAL waits for a grace period (membarrier(2),
 * kernel/sched/membarrier.c). Without it, for example with nohz_full, nodes rest for ever.
 */
static bool wake_resting(struct agentsh_rules_pool *pool)
{
	bool resting = false;

	for (size_t i = 0; i < pool->extents_count; i++)
		resting |= pool->extents[i].state == RESTING;
	if (!resting)
		return false;
	pool->stuck = syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	if (pool->stuck)
		return false;
	for (size_t i = 0; i < pool->extents_count; i++)
		if (pool->extents[i].state == RESTING)
			pool->extents[i].state = FREE;
	merge(pool);
	return true;
}

/* Makes room for one extent more. */
static int reserve(struct agentsh_rules_pool *pool)
{
	struct agentsh_rules_extent *extents;

	if (pool->extents_count < pool->extents_room)
		return 0;
	extents = realloc(pool->extents, pool->extents_room * 2 * sizeof(*extents));
	if (!extents)
		return -ENOMEM;
	pool->extents = extents;
	pool->extents_room *= 2;
	return 0;
}

static struct agentsh_rules_extent *find_free(const struct agentsh_rules_pool *pool, uint32_t count)
{
	for (size_t i = 0; i < pool->extents_count; i++)
		if (pool->extents[i].state == FREE && pool->extents[i].count >= count)
			return &pool->extents[i];
	return NULL;
}

int agentsh_rules_pool_take(struct agentsh_rules_pool *pool, uint32_t count, uint32_t *first)
{
	struct agentsh_rules_extent *found;
	int ret = reserve(pool);

	if (ret)
		return ret;
	found = find_free(pool, count);
	if (!found && wake_resting(pool))
		found = find_free(pool, count);
	if (!found)
		return -ENOSPC;
	*first = found->first;
	if (found->count > count) {
		size_t behind = (size_t)(pool->extents + pool->extents_count - (found + 1));

		memmove(found + 2, found + 1, behind * sizeof(*found));
		found[1] = (struct agentsh_rules_extent){found->first + count, found->count - count,
							 FREE};
		found->count = count;
		pool->extents_count++;
	}
	found->state = USED;
	return 0;
}

void agentsh_rules_pool_give(struct agentsh_rules_pool *pool, uint32_t first, bool seen)
{
	for (size_t i = 0; i < pool->extents_count; i++)
		if (pool->extents[i].first == first)
			pool->extents[i].state = seen ? RESTING : FREE;
	merge(pool);
}
