/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of rules: their size, what does not fit, and what happens while memory is short. */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fail.h"
#include "rules/pool.h"
#include "rules_model.h"
#include "unit.h"

#define MANY 10000
#define BYTES_PER_RULE 64
#define NODE_BYTES sizeof(struct agentsh_rules_node)

static struct agentsh_rule rules[MANY];

static struct agentsh_rule rule_for(uint32_t ipv4, uint8_t prefix)
{
	struct agentsh_rule rule = {
		.family = AF_INET,
		.prefix = prefix,
		.action = AGENTSH_RULE_DENY,
		.last_port = UINT16_MAX,
		.rule_id = ipv4,
		.addr = {(uint8_t)(ipv4 >> 24), (uint8_t)(ipv4 >> 16), (uint8_t)(ipv4 >> 8),
			 (uint8_t)ipv4},
	};

	return rule;
}

/* Compiles, compares with the model at each rule, and returns the number of nodes. */
static uint32_t compile(size_t count)
{
	struct agentsh_rules_table table;
	uint32_t nodes;

	ck_assert_int_eq(
		agentsh_rules_compile(rules, count, AGENTSH_RULE_ALLOW, UINT32_MAX, &table), 0);
	for (size_t i = 0; i < count; i += unit_below(100) + 1) {
		struct destination to = {rules[i].family ? rules[i].family : AF_INET6,
					 {0},
					 AGENTSH_RULE_TCP,
					 rules[i].first_port};
		struct agentsh_rules_verdict want, got;

		memcpy(to.addr, rules[i].addr, sizeof(to.addr));
		want = model_judge(rules, count, AGENTSH_RULE_ALLOW, &to, 0);
		ck_assert_int_eq(agentsh_rules_judge(&table, to.family, to.addr, to.protocol,
						     to.port, 0, &got),
				 0);
		ck_assert(got.matched && want.matched);
		ck_assert_uint_eq(got.rule_id, want.rule_id);
	}
	nodes = table.count;
	agentsh_rules_table_free(&table);
	return nodes;
}

START_TEST(test_memory_ipv4)
{
	for (uint32_t i = 0; i < MANY; i++) {
		rules[i] = rule_for((uint32_t)unit_random(), (uint8_t)(24 + unit_below(9)));
		rules[i].protocol = AGENTSH_RULE_TCP;
		rules[i].first_port = rules[i].last_port = unit_below(2) ? 443 : 80;
		rules[i].rule_id = unit_below(100);
	}
	ck_assert_uint_le(compile(MANY) * NODE_BYTES, MANY * BYTES_PER_RULE);
}
END_TEST

START_TEST(test_memory_ipv6)
{
	for (uint32_t i = 0; i < MANY; i++) {
		rules[i] = rule_for((uint32_t)unit_random(), 64);
		rules[i].family = AF_INET6;
		rules[i].addr[5] = (uint8_t)unit_below(256);
		rules[i].rule_id = unit_below(100);
	}
	ck_assert_uint_le(compile(MANY) * NODE_BYTES, MANY * BYTES_PER_RULE);
}
END_TEST

/* Prefixes that contain one another, the longest first, and the shortest first. */
START_TEST(test_nested)
{
	for (uint32_t i = 0; i < MANY; i++) {
		uint8_t longer = (uint8_t)(i % 25);

		rules[i] = rule_for(i / 25 * 0x01000193,
				    (uint8_t)(_i == 0 ? 32 - longer : 8 + longer));
		rules[i].rule_id = i;
	}
	/* the shortest of them hide the others if they come first */
	if (_i == 0)
		ck_assert_uint_ge(compile(MANY), 2000);
	else
		ck_assert_uint_le(compile(MANY), 200);
}
END_TEST

/* The same prefix with a port for each rule. */
START_TEST(test_same_prefix)
{
	for (uint32_t i = 0; i < MANY; i++) {
		rules[i] = rule_for(0x0a000000, 8);
		rules[i].first_port = rules[i].last_port = (uint16_t)(6 * i);
		rules[i].rule_id = i;
	}
	compile(MANY);
}
END_TEST

/* Rules that are the same as an earlier one take no room. */
START_TEST(test_same_rules)
{
	for (uint32_t i = 0; i < MANY; i++) {
		rules[i] = rule_for(0xc0000200, 24);
		rules[i].rule_id = i;
	}
	ck_assert_uint_eq(compile(MANY), compile(1));
}
END_TEST

START_TEST(test_limit)
{
	struct agentsh_rules_table table;
	uint32_t nodes;

	for (uint32_t i = 0; i < 1000; i++)
		rules[i] = rule_for(i << 9, 24);
	nodes = compile(1000);
	ck_assert_int_eq(agentsh_rules_compile(rules, 1000, 0, nodes, &table), 0);
	agentsh_rules_table_free(&table);
	for (uint32_t limit = 0; limit < nodes; limit += limit + 5 < nodes ? 5 : 1) {
		ck_assert_int_eq(agentsh_rules_compile(rules, 1000, 0, limit, &table), -ENOSPC);
		ck_assert_ptr_null(table.nodes);
		ck_assert_uint_eq(table.count, 0);
	}
	/* is not read */
	ck_assert_int_eq(
		agentsh_rules_compile(rules, AGENTSH_RULES_MAX + (size_t)1, 0, UINT32_MAX, &table),
		-ENOSPC);
	ck_assert_int_eq(agentsh_rules_compile(rules, SIZE_MAX, 0, UINT32_MAX, &table), -ENOSPC);
}
END_TEST

/* As many as may expire one after another, and one more. */
START_TEST(test_expiring)
{
	struct agentsh_rules_table table;
	struct agentsh_rules_verdict verdict;

	for (uint32_t i = 0; i <= AGENTSH_RULES_CHAIN; i++) {
		rules[i] = rule_for(0xc0000201, 32);
		rules[i].rule_id = i;
		rules[i].expires_ns = 100 + i;
	}
	ck_assert_int_eq(
		agentsh_rules_compile(rules, AGENTSH_RULES_CHAIN + 1, 0, UINT32_MAX, &table),
		-ENOSPC);
	rules[AGENTSH_RULES_CHAIN].expires_ns = 0;
	ck_assert_int_eq(
		agentsh_rules_compile(rules, AGENTSH_RULES_CHAIN + 1, 0, UINT32_MAX, &table), 0);
	for (uint32_t now = 99; now < 100 + AGENTSH_RULES_CHAIN + 2; now++) {
		uint32_t want = now < 100 ? 0 : now - 99;

		ck_assert_int_eq(agentsh_rules_judge(&table, AF_INET, rules[0].addr,
						     AGENTSH_RULE_TCP, 1, now, &verdict),
				 0);
		ck_assert(verdict.matched);
		ck_assert_uint_eq(verdict.rule_id,
				  want < AGENTSH_RULES_CHAIN ? want : AGENTSH_RULES_CHAIN);
	}
	agentsh_rules_table_free(&table);
}
END_TEST

/* A mixed set, for each allocation of which there is no memory in turn. */
START_TEST(test_no_memory)
{
	struct agentsh_rules_table table;
	const char *failed = "";
	unsigned int nth = 0, refused = 0;
	long blocks = fail_blocks();

	for (uint32_t i = 0; i < 3000; i++) {
		rules[i] = rule_for((uint32_t)unit_random(), 32);
		rules[i].first_port = rules[i].last_port = (uint16_t)unit_random();
		rules[i].family = i % 2 ? AF_INET6 : AF_INET;
		rules[i].expires_ns = i % 3 ? 0 : unit_random() | 1;
	}
	if (!fail_has_allocations())
		return; /* a sanitizer or valgrind has the allocator; the plain build fails them */
	while (failed) {
		int err;

		fail_arm(++nth, ENOMEM);
		err = agentsh_rules_compile(rules, 3000, 0, UINT32_MAX, &table);
		fail_disarm(&failed);
		/* qsort() can do without memory */
		refused += err == -ENOMEM;
		ck_assert(!err || (failed && err == -ENOMEM));
		ck_assert_int_eq(!table.nodes, !!err);
		agentsh_rules_table_free(&table);
		ck_assert_int_eq(fail_blocks(), blocks);
	}
	ck_assert_uint_gt(refused, 50);
}
END_TEST

/* ---- memory that programs share ------------------------------------------------- */

static volatile int barriers; /* the compiler takes it that syscall() calls nothing here */

static void count_barriers(const char *name, const char *path, long number, long arg)
{
	(void)path;
	(void)arg;
	barriers += !strcmp(name, "syscall") && number == SYS_membarrier;
}

/* What a program may still read is used again only after a wait for all programs. */
START_TEST(test_resting)
{
	struct agentsh_rules_pool pool = {.count = 11};
	uint32_t first, second, third;
	int watched;

	ck_assert_int_eq(agentsh_rules_pool_init(&pool), 0);
	fail_watch(count_barriers);
	barriers = 0;
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	watched = barriers; /* 0 in a fully static program */
	barriers = 0;
	ck_assert_int_eq(agentsh_rules_pool_take(&pool, 4, &first), 0);
	ck_assert_uint_eq(first, 1); /* 0 means "no rules" */
	ck_assert_int_eq(agentsh_rules_pool_take(&pool, 4, &second), 0);
	ck_assert_int_eq(agentsh_rules_pool_take(&pool, 3, &third), -ENOSPC);
	/* no program has seen it */
	agentsh_rules_pool_give(&pool, first, false);
	ck_assert_int_eq(agentsh_rules_pool_take(&pool, 3, &first), 0);
	ck_assert_uint_eq(first, 1);
	ck_assert_int_eq(barriers, 0);
	/* other nodes are free */
	agentsh_rules_pool_give(&pool, second, true);
	ck_assert_int_eq(agentsh_rules_pool_take(&pool, 2, &third), 0);
	ck_assert_int_eq(barriers, 0);
	agentsh_rules_pool_give(&pool, third, false);
	ck_assert_int_eq(agentsh_rules_pool_take(&pool, 7, &second), 0);
	ck_assert_int_eq(barriers, watched);
	ck_assert_int_eq(agentsh_rules_pool_take(&pool, 1, &third), -ENOSPC);
	agentsh_rules_pool_give(&pool, first, true);
	agentsh_rules_pool_give(&pool, second, true);
	ck_assert_int_eq(agentsh_rules_pool_take(&pool, 10, &first), 0);
	ck_assert_uint_eq(first, 1);
	ck_assert_int_eq(barriers, 2 * watched);
	fail_watch(NULL);
	agentsh_rules_pool_free(&pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits of rules");
	TCase *tc = unit_case(suite, "limits");

	tcase_add_test(tc, test_memory_ipv4);
	tcase_add_test(tc, test_memory_ipv6);
	tcase_add_loop_test(tc, test_nested, 0, 2);
	tcase_add_test(tc, test_same_prefix);
	tcase_add_test(tc, test_same_rules);
	tcase_add_test(tc, test_limit);
	tcase_add_test(tc, test_expiring);
	tcase_add_test(tc, test_no_memory);
	tcase_add_test(tc, test_resting);
	return unit_main(suite);
}
