/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From ordered rules to disjoint ranges of addresses. Two prefixes are disjoint, or one contains
 * the other; so the prefixes that contain an address form a stack while the addresses pass.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "rules/build.h"

/* One rule as a range of addresses of one family. IPv4 has the high half 0. */
struct prefix {
	struct agentsh_rules_key first, last;
	uint32_t rule;
};

/* A prefix that contains the address at hand. */
struct frame {
	struct agentsh_rules_key last;
	size_t first_rule, rules; /* in sweep.rules: those that match here, in their order */
	uint32_t reference;
};

struct sweep {
	struct agentsh_rules_build *build;
	struct agentsh_rules_array rows;   /* struct agentsh_rules_row */
	struct agentsh_rules_array frames; /* struct frame */
	struct agentsh_rules_array rules;  /* uint32_t, of all frames */
};

static int compare_keys(const struct agentsh_rules_key *a, const struct agentsh_rules_key *b)
{
	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	return (a->low > b->low) - (a->low < b->low);
}

static bool is_end(const struct agentsh_rules_key *key, bool ipv6)
{
	return ipv6 ? key->high == UINT64_MAX && key->low == UINT64_MAX : key->low == UINT32_MAX;
}

static bool is_start(const struct agentsh_rules_key *key)
{
	return !key->high && !key->low;
}

static uint64_t below_bits(unsigned bits) /* 0 to 64 */
{
	return bits ? UINT64_MAX >> (64 - bits) : 0;
}

/* Sets the range of the rule in this family; false: it has none. */
static bool range_of(const struct agentsh_rule *rule, bool ipv6, struct prefix *prefix)
{
	struct agentsh_rules_key first = agentsh_rules_key_of(rule->family, rule->addr);
	unsigned bits = rule->family == AF_INET ? rule->prefix + 96u : rule->prefix;
	bool is_ipv4 = bits >= 96 && agentsh_rules_is_ipv4(&first);
	unsigned free_bits = 128 - bits, low_bits;

	if (!rule->family) {
		first = (struct agentsh_rules_key){0, 0};
		free_bits = ipv6 ? 128 : 32;
	} else if (is_ipv4 == ipv6) {
		return false;
	}
	if (!ipv6)
		first.low &= UINT32_MAX;
	low_bits = free_bits < 64 ? free_bits : 64;
	prefix->first.high = first.high & ~below_bits(free_bits - low_bits);
	prefix->first.low = first.low & ~below_bits(low_bits);
	prefix->last.high = prefix->first.high | below_bits(free_bits - low_bits);
	prefix->last.low = prefix->first.low | below_bits(low_bits);
	return true;
}

/* By address; a prefix before those in it; then by order. */
static int compare_prefixes(const void *left, const void *right)
{
	const struct prefix *a = left, *b = right;
	int by = compare_keys(&a->first, &b->first);

	if (!by)
		by = compare_keys(&b->last, &a->last);
	return by ? by : (a->rule > b->rule) - (a->rule < b->rule);
}

/* From this address on the reference holds. */
static int add_row(struct sweep *sweep, const struct agentsh_rules_key *key, uint32_t reference)
{
	struct agentsh_rules_array *array = &sweep->rows;
	int err = agentsh_rules_reserve(array, 1, sizeof(struct agentsh_rules_row));
	struct agentsh_rules_row *rows = array->items;

	if (err)
		return err;
	if (array->count && !compare_keys(&rows[array->count - 1].key, key))
		array->count--;
	if (!array->count || rows[array->count - 1].value != reference)
		rows[array->count++] = (struct agentsh_rules_row){*key, reference};
	return 0;
}

/* Leaves the innermost prefix. */
static int pop(struct sweep *sweep, bool ipv6)
{
	const struct frame *frames = sweep->frames.items;
	const struct frame *inner = &frames[--sweep->frames.count];
	struct agentsh_rules_key behind = inner->last;

	sweep->rules.count = inner->first_rule;
	if (is_end(&behind, ipv6))
		return 0;
	if (!++behind.low)
		behind.high++;
	return add_row(sweep, &behind, (inner - 1)->reference);
}

/* Appends the outer prefix's rules and the new ones, in their order, to sweep->rules. */
static int merge_rules(struct sweep *sweep, const struct frame *outer, const struct prefix *own,
		       size_t count)
{
	struct agentsh_rules_array *array = &sweep->rules;
	size_t outer_rules = outer ? outer->rules : 0, from = outer ? outer->first_rule : 0, i = 0;
	int err = agentsh_rules_reserve(array, outer_rules + count, sizeof(uint32_t));
	uint32_t *rules = array->items;

	if (err)
		return err;
	for (size_t j = 0; i < outer_rules || j < count;) {
		if (j == count || (i < outer_rules && rules[from + i] < own[j].rule))
			rules[array->count++] = rules[from + i++];
		else
			rules[array->count++] = own[j++].rule;
	}
	return 0;
}

/* Enters a prefix with these rules. */
static int push(struct sweep *sweep, const struct prefix *own, size_t count,
		const struct agentsh_rules_key *first, const struct agentsh_rules_key *last)
{
	struct agentsh_rules_array *array = &sweep->frames;
	struct frame *frames, *frame;
	int err = agentsh_rules_reserve(array, 1, sizeof(*frame));

	if (err)
		return err;
	frames = array->items;
	frame = &frames[array->count];
	frame->last = *last;
	frame->first_rule = sweep->rules.count;
	err = merge_rules(sweep, array->count ? frame - 1 : NULL, own, count);
	if (err)
		return err;
	frame->rules = sweep->rules.count - frame->first_rule;
	err = agentsh_rules_ports(sweep->build, (uint32_t *)sweep->rules.items + frame->first_rule,
				  &frame->rules, &frame->reference);
	if (err)
		return err;
	sweep->rules.count = frame->first_rule + frame->rules;
	array->count++;
	return add_row(sweep, first, frame->reference);
}

static int sweep_family(struct sweep *sweep, const struct prefix *prefixes, size_t count, bool ipv6)
{
	const struct agentsh_rules_key zero = {0, 0};
	const struct agentsh_rules_key end = {ipv6 ? UINT64_MAX : 0,
					      ipv6 ? UINT64_MAX : UINT32_MAX};
	int err = push(sweep, NULL, 0, &zero, &end);

	for (size_t i = 0, n; !err && i < count; i += n) {
		const struct prefix *own = &prefixes[i];
		const struct frame *frames = sweep->frames.items;

		for (n = 1; i + n < count && !compare_keys(&own[n].first, &own->first) &&
			    !compare_keys(&own[n].last, &own->last);)
			n++;
		while (!err && compare_keys(&frames[sweep->frames.count - 1].last, &own->first) < 0)
			err = pop(sweep, ipv6);
		if (!err)
			err = push(sweep, own, n, &own->first, &own->last);
	}
	while (!err && sweep->frames.count > 1)
		err = pop(sweep, ipv6);
	return err;
}

/* Takes the prefixes for every address from the beginning. They are in order there. */
static int compile_every(struct agentsh_rules_build *build, const struct prefix *prefixes,
			 size_t count, bool ipv6, struct agentsh_rules_family *family,
			 size_t *taken)
{
	uint32_t *rules;
	size_t n = 0;
	int err;

	while (n < count && is_start(&prefixes[n].first) && is_end(&prefixes[n].last, ipv6))
		n++;
	*taken = n;
	family->every_min = n ? prefixes[0].rule : AGENTSH_RULES_ORDER;
	rules = malloc((n ? n : 1) * sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		rules[i] = prefixes[i].rule;
	err = agentsh_rules_ports(build, rules, &n, &family->every);
	free(rules);
	return err;
}

static int compile_prefixes(struct agentsh_rules_build *build, const struct prefix *prefixes,
			    size_t count, bool ipv6, struct agentsh_rules_family *family)
{
	struct sweep sweep = {.build = build};
	size_t every;
	int err = compile_every(build, prefixes, count, ipv6, family, &every);

	if (!err)
		err = sweep_family(&sweep, prefixes + every, count - every, ipv6);
	if (!err)
		err = (ipv6 ? agentsh_rules_pack128 : agentsh_rules_pack32)(
			&build->table, sweep.rows.items, sweep.rows.count, &family->addresses);
	free(sweep.rows.items);
	free(sweep.frames.items);
	free(sweep.rules.items);
	return err;
}

static int compile_family(struct agentsh_rules_build *build, size_t count, bool ipv6,
			  struct agentsh_rules_family *family)
{
	struct prefix *prefixes = malloc((count ? count : 1) * sizeof(*prefixes));
	size_t n = 0;
	int err;

	if (!prefixes)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		prefixes[n].rule = (uint32_t)i;
		n += range_of(&build->rules[i], ipv6, &prefixes[n]);
	}
	qsort(prefixes, n, sizeof(*prefixes), compare_prefixes);
	err = compile_prefixes(build, prefixes, n, ipv6, family);
	free(prefixes);
	return err;
}

/* Copies an array into nodes, and sets the number of the first. */
static int add_nodes(struct agentsh_rules_table *table, const struct agentsh_rules_array *array,
		     size_t size, uint32_t *first)
{
	size_t bytes = array->count * size,
	       nodes = (bytes + sizeof(*table->nodes) - 1) / sizeof(*table->nodes);
	int err = agentsh_rules_take(table, nodes, first);

	if (err || !nodes)
		return err;
	memset(&table->nodes[*first], 0, nodes * sizeof(*table->nodes));
	memcpy(&table->nodes[*first], array->items, bytes);
	return 0;
}

static int compile(struct agentsh_rules_build *build, size_t count, uint8_t default_action)
{
	struct agentsh_rules_table *table = &build->table;
	struct agentsh_rules_head head = {.never = UINT64_MAX};
	uint32_t first;
	int err = agentsh_rules_take(table, 1, &first);

	if (!err)
		err = agentsh_rules_default(build, default_action);
	if (!err)
		err = compile_family(build, count, false, &head.ipv4);
	if (!err)
		err = compile_family(build, count, true, &head.ipv6);
	if (!err)
		err = add_nodes(table, &build->entries, sizeof(struct agentsh_rules_entry),
				&head.entries);
	if (!err)
		err = add_nodes(table, &build->expiries, sizeof(uint64_t), &head.expiries);
	if (err)
		return err;
	memcpy(&table->nodes[first], &head, sizeof(head));
	return 0;
}

/* All but the table. */
static void free_build(struct agentsh_rules_build *build)
{
	free(build->entries.items);
	free(build->expiries.items);
	free(build->lists.items);
	free(build->cells.items);
	free(build->bounds.items);
	free(build->segments.items);
	free(build->conditional.items);
	free(build->entry_index.buckets);
	free(build->expiry_index.buckets);
	free(build->list_index.buckets);
}

int agentsh_rules_compile(const struct agentsh_rule *rules, size_t count, uint8_t default_action,
			  uint32_t nodes_limit, struct agentsh_rules_table *table)
{
	struct agentsh_rules_build build = {.rules = rules, .table.limit = nodes_limit};
	int err;

	*table = (struct agentsh_rules_table){0};
	if (count > AGENTSH_RULES_MAX)
		return -ENOSPC;
	if (nodes_limit > AGENTSH_RULES_ROOT)
		build.table.limit = AGENTSH_RULES_ROOT;
	err = compile(&build, count, default_action);
	free_build(&build);
	if (err)
		agentsh_rules_table_free(&build.table);
	*table = build.table;
	return err;
}

void agentsh_rules_table_free(struct agentsh_rules_table *table)
{
	free(table->nodes);
	*table = (struct agentsh_rules_table){0};
}
