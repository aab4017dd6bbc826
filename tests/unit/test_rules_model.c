/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sets of rules, and destinations at the borders of their ranges: the compiled set says what
 * the plain model says. RULES_SETS=N is the number of sets.
 */
#include <errno.h>
#include <stdlib.h>

#include "rules_random.h"
#include "unit.h"

#define RULES_AT_MOST 2000
#define DESTINATIONS 200

static struct agentsh_rule rules[RULES_AT_MOST];

static uint64_t listed(const struct agentsh_rules_table *table, uint32_t rule_id,
		       const struct agentsh_rules_key *key)
{
	(void)table;
	return model_listed(rule_id, key) ? UINT64_MAX : 0;
}

static void compare(const struct agentsh_rules_table *table, size_t count, uint8_t action,
		    uint32_t set)
{
	struct destination to = rules_random_destination(rules, count);
	struct agentsh_rules_verdict want = model_judge(rules, count, action, &to, RULES_NOW), got;

	ck_assert_int_eq(agentsh_rules_judge(table, to.family, to.addr, to.protocol, to.port,
					     RULES_NOW, &got),
			 0);
	if (got.denied != want.denied || got.matched != want.matched || got.rule_id != want.rule_id)
		ck_abort_msg(
			"set %u of %zu rules, family %u, address %02x%02x%02x%02x…, protocol %u, "
			"port %u: denied %d, rule %u, not %d, rule %u",
			set, count, to.family, to.addr[0], to.addr[1], to.addr[2], to.addr[3],
			to.protocol, to.port, got.denied, got.rule_id, want.denied, want.rule_id);
}

START_TEST(test_random_sets)
{
	const char *text = getenv("RULES_SETS");
	uint32_t sets = text ? (uint32_t)atoi(text) : unit_sanitized() ? 100 : 1000;
	uint32_t compiled = 0;

	for (uint32_t set = 0; set < sets; set++) {
		size_t count = unit_below(4) ? unit_below(60) : unit_below(RULES_AT_MOST + 1);
		uint8_t action = (uint8_t)unit_below(2);
		struct agentsh_rules_table table;
		struct agentsh_rules_fault fault;
		bool conditional = rules_random_set(rules, count);
		int err;

		ck_assert_int_eq(agentsh_rules_check(rules, count, &fault), 0);
		err = agentsh_rules_compile(rules, count, action, UINT32_MAX, &table);
		if (conditional && err == -ENOSPC)
			continue;
		ck_assert_int_eq(err, 0);
		compiled++;
		table.listed = listed;
		for (int i = 0; i < DESTINATIONS; i++)
			compare(&table, count, action, set);
		agentsh_rules_table_free(&table);
	}
	ck_assert_uint_ge(compiled, sets * 9 / 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules against a model");
	TCase *random = unit_case(suite, "random");

	tcase_add_test(random, test_random_sets);
	return unit_main(suite);
}
