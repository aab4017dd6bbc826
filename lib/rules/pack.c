/* SPDX-License-Identifier: Apache-2.0 */
/* Search trees of nodes of 64 bytes, built from the leaves up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/build.h"

#define NODES_FIRST 64

struct shape {
	size_t rows, fanout;
	void (*leaf)(struct agentsh_rules_node *node, const struct agentsh_rules_row *rows,
		     size_t count);
	/* The first key of child i is that of row i * span. */
	void (*inner)(struct agentsh_rules_node *node, uint32_t child,
		      const struct agentsh_rules_row *rows, size_t children, size_t span);
};

int agentsh_rules_take(struct agentsh_rules_table *table, size_t count, uint32_t *first)
{
	size_t room = table->room ? table->room : NODES_FIRST;
	struct agentsh_rules_node *nodes;

	if (count > table->limit - table->count)
		return -ENOSPC;
	while (room < table->count + count)
		room *= 2;
	if (room != table->room) {
		nodes = realloc(table->nodes, room * sizeof(*nodes));
		if (!nodes)
			return -ENOMEM;
		table->nodes = nodes;
		table->room = (uint32_t)room;
	}
	*first = table->count;
	table->count += (uint32_t)count;
	return 0;
}

static size_t at_most(size_t i, size_t last)
{
	return i < last ? i : last;
}

static void leaf32(struct agentsh_rules_node *node, const struct agentsh_rules_row *rows,
		   size_t count)
{
	struct agentsh_rules_leaf32 leaf = {.zero = 0};

	for (size_t i = 0; i < AGENTSH_RULES_ROWS32; i++)
		leaf.value[i] = rows[at_most(i, count - 1)].value;
	for (size_t i = 1; i < AGENTSH_RULES_ROWS32; i++)
		leaf.key[i - 1] = (uint32_t)rows[at_most(i, count - 1)].key.low;
	memcpy(node, &leaf, sizeof(leaf));
}

static void inner32(struct agentsh_rules_node *node, uint32_t child,
		    const struct agentsh_rules_row *rows, size_t children, size_t span)
{
	struct agentsh_rules_inner32 inner = {.child = child, .last = (uint32_t)children - 1};

	for (size_t i = 1; i < AGENTSH_RULES_FANOUT32; i++)
		inner.key[i - 1] = (uint32_t)rows[at_most(i, children - 1) * span].key.low;
	memcpy(node, &inner, sizeof(inner));
}

static void leaf128(struct agentsh_rules_node *node, const struct agentsh_rules_row *rows,
		    size_t count)
{
	struct agentsh_rules_leaf128 leaf;

	for (size_t i = 0; i < AGENTSH_RULES_ROWS128; i++)
		leaf.value[i] = rows[at_most(i, count - 1)].value;
	for (size_t i = 1; i < AGENTSH_RULES_ROWS128; i++)
		leaf.key[i - 1] = rows[at_most(i, count - 1)].key;
	memcpy(node, &leaf, sizeof(leaf));
}

static void inner128(struct agentsh_rules_node *node, uint32_t child,
		     const struct agentsh_rules_row *rows, size_t children, size_t span)
{
	struct agentsh_rules_inner128 inner = {.child = child, .last = (uint32_t)children - 1};

	for (size_t i = 1; i < AGENTSH_RULES_FANOUT128; i++)
		inner.key[i - 1] = rows[at_most(i, children - 1) * span].key;
	memcpy(node, &inner, sizeof(inner));
}

static const struct shape shape32 = {AGENTSH_RULES_ROWS32, AGENTSH_RULES_FANOUT32, leaf32, inner32};
static const struct shape shape128 = {AGENTSH_RULES_ROWS128, AGENTSH_RULES_FANOUT128, leaf128,
				      inner128};

static size_t divide_up(size_t a, size_t b)
{
	return a / b + !!(a % b);
}

static int pack(struct agentsh_rules_table *table, const struct shape *shape,
		const struct agentsh_rules_row *rows, size_t count, uint32_t *reference)
{
	size_t nodes = divide_up(count, shape->rows), span = shape->rows;
	uint32_t levels = 0, first, child;
	int err;

	/* a reference to a tree is one to this kind of tree */
	if (count == 1 && !(rows[0].value & AGENTSH_RULES_TREE)) {
		*reference = rows[0].value;
		return 0;
	}
	err = agentsh_rules_take(table, nodes, &first);
	if (err)
		return err;
	for (size_t i = 0; i < nodes; i++)
		shape->leaf(&table->nodes[first + i], &rows[i * span],
			    at_most(span, count - i * span));
	while (nodes > 1) {
		size_t parents = divide_up(nodes, shape->fanout);

		child = first;
		err = agentsh_rules_take(table, parents, &first);
		if (err)
			return err;
		for (size_t i = 0; i < parents; i++) {
			size_t at = i * shape->fanout;

			shape->inner(&table->nodes[first + i], child + (uint32_t)at,
				     &rows[at * span], at_most(shape->fanout, nodes - at), span);
		}
		span *= shape->fanout;
		nodes = parents;
		levels++;
	}
	*reference = AGENTSH_RULES_TREE | levels << AGENTSH_RULES_LEVELS_SHIFT | first;
	return 0;
}

int agentsh_rules_pack32(struct agentsh_rules_table *table, const struct agentsh_rules_row *rows,
			 size_t count, uint32_t *reference)
{
	return pack(table, &shape32, rows, count, reference);
}

int agentsh_rules_pack128(struct agentsh_rules_table *table, const struct agentsh_rules_row *rows,
			  size_t count, uint32_t *reference)
{
	return pack(table, &shape128, rows, count, reference);
}
