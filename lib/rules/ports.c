/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the rules that match an address: which of them holds for each class of protocols and each
 * port. Few rules form a chain. Of many, the keys of all classes form one line, which the rules
 * paint in their order: what an earlier rule has painted stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/build.h"

#define KEY(class, port) ((uint32_t)(class) << AGENTSH_RULES_CLASS_SHIFT | (port))
#define KEYS KEY(AGENTSH_RULES_CLASSES, 0)
#define NONE UINT32_MAX

struct range {
	uint32_t first, behind;
};

struct segment {
	uint32_t next;	      /* the next segment that is not painted, or this one */
	uint32_t rule;	      /* that holds for ever; NONE: the default */
	uint32_t conditional; /* newest item in build->conditional; NONE: none */
	uint32_t conditional_count;
};

struct conditional {
	uint32_t rule;
	uint32_t older; /* NONE: none */
};

struct list {
	uint64_t hash;
	size_t first, count; /* in build->cells */
	uint32_t reference;
};

/* The wanted list, beside the items with which it is compared. */
struct wanted_list {
	const struct agentsh_rules_row *cells; /* of all lists */
	size_t first, count;
};

/* Whether a later rule may hold where this one is painted. */
static bool is_conditional(const struct agentsh_rule *rule)
{
	return rule->expires_ns || rule->listed;
}

static unsigned ranges_of(const struct agentsh_rule *rule, struct range ranges[2])
{
	uint32_t first = rule->first_port, behind = rule->last_port + 1u;

	switch (rule->protocol) {
	case AGENTSH_RULE_TCP:
		ranges[0] = (struct range){KEY(AGENTSH_RULES_TCP, first),
					   KEY(AGENTSH_RULES_TCP, 0) + behind};
		return 1;
	case AGENTSH_RULE_UDP:
		ranges[0] = (struct range){KEY(AGENTSH_RULES_UDP, first),
					   KEY(AGENTSH_RULES_UDP, 0) + behind};
		return 1;
	case AGENTSH_RULE_OTHER:
		ranges[0] = (struct range){KEY(AGENTSH_RULES_OTHER, 0), KEYS};
		return 1;
	default:
		break;
	}
	if (!first && rule->last_port == UINT16_MAX) {
		ranges[0] = (struct range){0, KEYS};
		return 1;
	}
	ranges[0] =
		(struct range){KEY(AGENTSH_RULES_TCP, first), KEY(AGENTSH_RULES_TCP, 0) + behind};
	ranges[1] =
		(struct range){KEY(AGENTSH_RULES_UDP, first), KEY(AGENTSH_RULES_UDP, 0) + behind};
	return 2;
}

static int compare_bounds(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* Sets build->bounds to where the painting may change, and makes a segment from each to the next.
 */
static int make_segments(struct agentsh_rules_build *build, const uint32_t *rules, size_t count)
{
	struct agentsh_rules_array *bounds = &build->bounds;
	struct segment *segments;
	uint32_t *bound;
	size_t n = 0;
	int err;

	bounds->count = build->segments.count = build->conditional.count = 0;
	err = agentsh_rules_reserve(bounds, 4 * count + 2, sizeof(*bound));
	if (err)
		return err;
	bound = bounds->items;
	bound[n++] = 0;
	bound[n++] = KEYS;
	for (size_t i = 0; i < count; i++) {
		struct range ranges[2];

		for (unsigned j = ranges_of(&build->rules[rules[i]], ranges); j--;) {
			bound[n++] = ranges[j].first;
			bound[n++] = ranges[j].behind;
		}
	}
	qsort(bound, n, sizeof(*bound), compare_bounds);
	bounds->count = 1;
	for (size_t i = 1; i < n; i++)
		if (bound[i] != bound[bounds->count - 1])
			bound[bounds->count++] = bound[i];

	/* and one behind the last, at which each search for the next one ends */
	err = agentsh_rules_reserve(&build->segments, bounds->count, sizeof(*segments));
	if (err)
		return err;
	segments = build->segments.items;
	build->segments.count = bounds->count;
	for (uint32_t i = 0; i < bounds->count; i++)
		segments[i] = (struct segment){.next = i, .rule = NONE, .conditional = NONE};
	return 0;
}

static uint32_t segment_at(const struct agentsh_rules_build *build, uint32_t key)
{
	const uint32_t *bound = build->bounds.items;
	const uint32_t *found =
		bsearch(&key, bound, build->bounds.count, sizeof(*bound), compare_bounds);

	return found ? (uint32_t)(found - bound) : NONE; /* each key asked for is a bound */
}

/* The first segment from here on that is not painted. */
static uint32_t unpainted(struct segment *segments, uint32_t i)
{
	while (segments[i].next != i) {
		segments[i].next = segments[segments[i].next].next;
		i = segments[i].next;
	}
	return i;
}

static int add_conditional(struct agentsh_rules_build *build, struct segment *segment,
			   uint32_t rule)
{
	struct conditional *items;
	int err;

	if (segment->conditional_count == AGENTSH_RULES_CHAIN)
		return -ENOSPC;
	err = agentsh_rules_reserve(&build->conditional, 1, sizeof(*items));
	if (err)
		return err;
	items = build->conditional.items;
	items[build->conditional.count] = (struct conditional){rule, segment->conditional};
	segment->conditional = (uint32_t)build->conditional.count++;
	segment->conditional_count++;
	return 0;
}

/* Sets *used if the rule decides for a part of the range. */
static int paint(struct agentsh_rules_build *build, const struct range *range, uint32_t rule,
		 bool *used)
{
	struct segment *segments = build->segments.items;
	uint32_t behind = segment_at(build, range->behind);

	for (uint32_t i = unpainted(segments, segment_at(build, range->first)); i < behind;
	     i = unpainted(segments, i + 1)) {
		*used = true;
		if (is_conditional(&build->rules[rule])) {
			int err = add_conditional(build, &segments[i], rule);

			if (err)
				return err;
			continue;
		}
		segments[i].rule = rule;
		segments[i].next = i + 1;
	}
	return 0;
}

/* Sets the number of the entry for one segment. */
static int entry_of(struct agentsh_rules_build *build, const struct segment *segment,
		    uint32_t *number)
{
	const struct conditional *items = build->conditional.items;
	int err = 0;

	*number = build->default_entry;
	if (segment->rule != NONE)
		err = agentsh_rules_entry(build, segment->rule, *number, number);
	for (uint32_t i = segment->conditional; !err && i != NONE; i = items[i].older)
		err = agentsh_rules_entry(build, items[i].rule, *number, number);
	return err;
}

/* Appends the cells of the segments to build->cells. */
static int make_cells(struct agentsh_rules_build *build)
{
	const struct segment *segments = build->segments.items;
	const uint32_t *bound = build->bounds.items;
	struct agentsh_rules_array *cells = &build->cells;
	size_t first = cells->count, n = build->bounds.count - 1;
	struct agentsh_rules_row *rows;
	int err = agentsh_rules_reserve(cells, n, sizeof(*rows));

	if (err)
		return err;
	rows = cells->items;
	for (size_t i = 0; i < n; i++) {
		uint32_t number;

		err = entry_of(build, &segments[i], &number);
		if (err)
			return err;
		if (cells->count == first || rows[cells->count - 1].value != number)
			rows[cells->count++] = (struct agentsh_rules_row){
				.key.low = bound[i],
				.value = number,
			};
	}
	return 0;
}

static uint64_t hash_cells(const struct agentsh_rules_row *cells, size_t count)
{
	uint64_t hash = count;

	for (size_t i = 0; i < count; i++)
		hash = agentsh_rules_mix(hash, cells[i].key.low << 32 | cells[i].value);
	return hash;
}

static uint64_t hash_of(const void *items, uint32_t number)
{
	return ((const struct list *)items)[number].hash;
}

static bool equal(const void *items, uint32_t number, const void *wanted)
{
	const struct list *list = (const struct list *)items + number;
	const struct wanted_list *w = wanted;

	if (list->count != w->count)
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (w->cells[list->first + i].key.low != w->cells[w->first + i].key.low ||
		    w->cells[list->first + i].value != w->cells[w->first + i].value)
			return false;
	return true;
}

/* The reference to a tree with the cells from the first on, which is made unless it is there. */
static int list_of(struct agentsh_rules_build *build, size_t first, uint32_t *reference)
{
	struct agentsh_rules_array *lists = &build->lists;
	const struct agentsh_rules_row *cells = build->cells.items;
	struct wanted_list wanted = {cells, first, build->cells.count - first};
	uint64_t hash = hash_cells(&cells[first], wanted.count);
	int64_t found = agentsh_rules_find(&build->list_index, hash, equal, lists->items, &wanted);
	int err;

	if (found >= 0) {
		build->cells.count = first;
		*reference = ((struct list *)lists->items)[found].reference;
		return 0;
	}
	err = agentsh_rules_pack32(&build->table, &cells[first], wanted.count, reference);
	if (!err)
		err = agentsh_rules_reserve(lists, 1, sizeof(struct list));
	if (!err)
		err = agentsh_rules_remember(&build->list_index, hash, (uint32_t)lists->count,
					     hash_of, lists->items);
	if (err)
		return err;
	((struct list *)lists->items)[lists->count++] =
		(struct list){hash, first, wanted.count, *reference};
	return 0;
}

/* Removes the rules that never decide. */
static int remove_hidden(struct agentsh_rules_build *build, uint32_t *rules, size_t *count)
{
	int err = make_segments(build, rules, *count);
	size_t kept = 0;

	for (size_t i = 0; !err && i < *count; i++) {
		struct range ranges[2];
		unsigned n = ranges_of(&build->rules[rules[i]], ranges);
		bool used = false;

		for (unsigned j = 0; !err && j < n; j++)
			err = paint(build, &ranges[j], rules[i], &used);
		if (used)
			rules[kept++] = rules[i];
	}
	*count = kept;
	return err;
}

int agentsh_rules_ports(struct agentsh_rules_build *build, uint32_t *rules, size_t *count,
			uint32_t *reference)
{
	size_t first = build->cells.count;
	int err = *count > 1 ? remove_hidden(build, rules, count) : 0;

	if (err)
		return err;
	if (*count <= AGENTSH_RULES_CHAIN) {
		*reference = build->default_entry;
		for (size_t i = *count; !err && i--;)
			err = agentsh_rules_entry(build, rules[i], *reference, reference);
		return err;
	}
	err = make_cells(build);
	return err ? err : list_of(build, first, reference);
}
