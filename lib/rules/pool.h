/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that the programs share with the library for all compiled sets of rules. A program
 * that is running may read a set that its session no longer has; so what is given back rests until
 * no such program runs.
 */
#ifndef AGENTSH_RULES_POOL_H
#define AGENTSH_RULES_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules_table.h"

struct agentsh_rules_extent;

struct agentsh_rules_pool {
	struct agentsh_rules_node *nodes; /* mapped; NULL: the tracer has no rules */
	uint32_t count;
	struct agentsh_rules_extent *extents; /* all nodes but the first, in order */
	size_t extents_count;
	size_t extents_room;
	bool stuck; /* nothing that rests can be used again: see wake_resting() */
};

/* Returns 0 or -ENOMEM. The first node is left unused, because its number means "no rules". */
int agentsh_rules_pool_init(struct agentsh_rules_pool *pool);
void agentsh_rules_pool_free(struct agentsh_rules_pool *pool);

/*
 * Takes consecutive nodes, and sets the number of the first. Waits for programs if only resting
 * nodes are left. Returns 0, -ENOSPC or -ENOMEM.
 */
int agentsh_rules_pool_take(struct agentsh_rules_pool *pool, uint32_t count, uint32_t *first);
/* Gives back what take has returned. seen: a program may read it now. */
void agentsh_rules_pool_give(struct agentsh_rules_pool *pool, uint32_t first, bool seen);

#endif
