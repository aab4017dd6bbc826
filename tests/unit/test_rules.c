/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of rules: what each kind of rule matches, and what is refused. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "rules/build.h"
#include "unit.h"

enum { ANY = AGENTSH_RULE_ANY, TCP, UDP, OTHER };
enum { ALLOW = AGENTSH_RULE_ALLOW, DENY = AGENTSH_RULE_DENY };
enum { NOW = 1000, PORTS = UINT16_MAX };

/* A rule as text: "" is every address. */
struct text_rule {
	const char *addr;
	uint8_t prefix, protocol, action;
	uint16_t first_port, last_port;
	uint64_t expires_ns;
};

#define RULES_PER_CASE 10

static uint8_t parse(const char *text, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (!*text)
		return 0;
	if (inet_pton(AF_INET, text, addr) == 1)
		return AF_INET;
	ck_assert_int_eq(inet_pton(AF_INET6, text, addr), 1);
	return AF_INET6;
}

/* The id of a rule is its place, from 1 on. */
static size_t make_rules(const struct text_rule *texts, struct agentsh_rule *rules)
{
	size_t n = 0;

	for (; n < RULES_PER_CASE && texts[n].addr; n++) {
		rules[n] = (struct agentsh_rule){
			.prefix = texts[n].prefix,
			.protocol = texts[n].protocol,
			.action = texts[n].action,
			.first_port = texts[n].first_port,
			.last_port = texts[n].last_port,
			.expires_ns = texts[n].expires_ns,
			.rule_id = (uint32_t)n + 1,
		};
		rules[n].family = parse(texts[n].addr, rules[n].addr);
	}
	return n;
}

/* Asserts which rule holds; 0: none. */
static void expect_rule(const struct agentsh_rules_table *table, const char *to, uint8_t protocol,
			uint16_t port, uint32_t rule, bool denied, int number)
{
	struct agentsh_rules_verdict got;
	uint8_t addr[16], family = parse(to, addr);

	ck_assert_int_eq(agentsh_rules_judge(table, family, addr, protocol, port, NOW, &got), 0);
	if (got.matched != !!rule || got.rule_id != rule || got.denied != denied)
		ck_abort_msg("case %d, %s, protocol %u, port %u: rule %u, denied %d", number, to,
			     protocol, port, got.rule_id, got.denied);
}

static const struct {
	struct text_rule rules[RULES_PER_CASE];
	struct {
		const char *addr;
		uint8_t protocol;
		uint16_t port;
		uint32_t rule; /* 0: none, the default decides */
	} destinations[12];
} cases[] = {
	/* no rule */
	{{{0}}, {{"192.0.2.1", TCP, 1, 0}, {"2001:db8::1", UDP, 2, 0}}},
	/* the first rule that matches decides, whatever is more specific */
	{{{"10.0.0.0", 8, ANY, DENY, 0, PORTS, 0}, {"10.1.0.0", 16, ANY, ALLOW, 0, PORTS, 0}},
	 {{"10.1.2.3", TCP, 1, 1}, {"10.0.0.0", TCP, 1, 1}, {"11.0.0.0", TCP, 1, 0}}},
	{{{"10.1.0.0", 16, ANY, ALLOW, 0, PORTS, 0}, {"10.0.0.0", 8, ANY, DENY, 0, PORTS, 0}},
	 {{"10.1.0.0", TCP, 1, 1},
	  {"10.1.255.255", TCP, 1, 1},
	  {"10.2.0.0", TCP, 1, 2},
	  {"10.0.255.255", UDP, 1, 2},
	  {"9.255.255.255", UDP, 1, 0},
	  {"10.255.255.255", OTHER, 0, 2}}},
	/* the ends of the address spaces */
	{{{"255.255.255.255", 32, ANY, DENY, 0, PORTS, 0},
	  {"0.0.0.0", 32, ANY, DENY, 0, PORTS, 0},
	  {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128, ANY, DENY, 0, PORTS, 0},
	  {"::", 128, ANY, DENY, 0, PORTS, 0}},
	 {{"255.255.255.255", TCP, 1, 1},
	  {"255.255.255.254", TCP, 1, 0},
	  {"0.0.0.0", TCP, 1, 2},
	  {"0.0.0.1", TCP, 1, 0},
	  {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", TCP, 1, 3},
	  {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", TCP, 1, 0},
	  {"::", TCP, 1, 4},
	  {"::1", TCP, 1, 0}}},
	/* every address */
	{{{"", 0, TCP, DENY, 443, 443, 0}},
	 {{"0.0.0.0", TCP, 443, 1},
	  {"255.255.255.255", TCP, 443, 1},
	  {"::", TCP, 443, 1},
	  {"ffff::", TCP, 443, 1},
	  {"::ffff:1.2.3.4", TCP, 443, 1},
	  {"::ffff:1.2.3.4", UDP, 443, 0},
	  {"::", TCP, 442, 0}}},
	/* IPv4 in IPv6, both in rules and in destinations */
	{{{"::ffff:192.0.2.0", 120, ANY, DENY, 0, PORTS, 0}},
	 {{"192.0.2.255", TCP, 1, 1},
	  {"::ffff:192.0.2.0", TCP, 1, 1},
	  {"::ffff:192.0.3.0", TCP, 1, 0},
	  {"::192.0.2.1", TCP, 1, 0}}},
	{{{"192.0.2.0", 24, ANY, DENY, 0, PORTS, 0}}, {{"::ffff:192.0.2.9", UDP, 1, 1}}},
	{{{"::ffff:0.0.0.0", 96, ANY, DENY, 0, PORTS, 0}},
	 {{"8.8.8.8", TCP, 1, 1}, {"::fffe:8.8.8.8", TCP, 1, 0}, {"::1:0:0:0", TCP, 1, 0}}},
	/* a shorter IPv6 prefix is no rule for IPv4 */
	{{{"::", 0, ANY, DENY, 0, PORTS, 0}},
	 {{"::ffff:8.8.8.8", TCP, 1, 0}, {"8.8.8.8", TCP, 1, 0}, {"::fffe:8.8.8.8", TCP, 1, 1}}},
	{{{"0.0.0.0", 0, ANY, DENY, 0, PORTS, 0}}, {{"8.8.8.8", TCP, 1, 1}, {"::1", TCP, 1, 0}}},
	/* bits behind the prefix do not matter */
	{{{"10.1.2.3", 8, ANY, DENY, 0, PORTS, 0}, {"2001:db8::7", 32, ANY, DENY, 0, PORTS, 0}},
	 {{"10.0.0.0", TCP, 1, 1},
	  {"2001:db8::", TCP, 1, 2},
	  {"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", TCP, 1, 2},
	  {"2001:db9::", TCP, 1, 0}}},
	/* prefixes on either side of the middle of an IPv6 address */
	{{{"2001:db8:0:1::", 64, ANY, DENY, 0, PORTS, 0},
	  {"2001:db8:0:2::", 63, ANY, DENY, 0, PORTS, 0},
	  {"2001:db8:0:4:8000::", 65, ANY, DENY, 0, PORTS, 0}},
	 {{"2001:db8:0:1:ffff:ffff:ffff:ffff", TCP, 1, 1},
	  {"2001:db8:0:2::", TCP, 1, 2},
	  {"2001:db8:0:3:ffff:ffff:ffff:ffff", TCP, 1, 2},
	  {"2001:db8:0:4:7fff:ffff:ffff:ffff", TCP, 1, 0},
	  {"2001:db8:0:4:8000::", TCP, 1, 3},
	  {"2001:db8:0:5::", TCP, 1, 0}}},
	/* ports and protocols */
	{{{"10.0.0.0", 8, TCP, DENY, 80, 90, 0},
	  {"10.0.0.0", 8, ANY, DENY, 85, 100, 0},
	  {"10.0.0.0", 8, UDP, DENY, 0, 0, 0},
	  {"10.0.0.0", 8, ANY, DENY, 65535, 65535, 0},
	  {"10.0.0.0", 8, OTHER, DENY, 0, PORTS, 0}},
	 {{"10.0.0.1", TCP, 79, 0},
	  {"10.0.0.1", TCP, 80, 1},
	  {"10.0.0.1", TCP, 90, 1},
	  {"10.0.0.1", TCP, 91, 2},
	  {"10.0.0.1", UDP, 85, 2},
	  {"10.0.0.1", UDP, 84, 0},
	  {"10.0.0.1", UDP, 0, 3},
	  {"10.0.0.1", TCP, 0, 0},
	  {"10.0.0.1", TCP, 65535, 4},
	  {"10.0.0.1", UDP, 65535, 4},
	  {"10.0.0.1", OTHER, 0, 5},
	  {"10.0.0.1", OTHER, 90, 5}}},
	/* a rule for some ports matches no protocol without ports */
	{{{"10.0.0.0", 8, ANY, DENY, 0, 65534, 0}, {"10.0.0.0", 8, ANY, DENY, 0, PORTS, 0}},
	 {{"10.0.0.1", OTHER, 0, 2}, {"10.0.0.1", TCP, 0, 1}, {"10.0.0.1", TCP, 65535, 2}}},
	/* expiry: at the time itself a rule does not match any more */
	{{{"10.0.0.0", 8, ANY, DENY, 0, PORTS, NOW - 1},
	  {"10.0.0.0", 8, TCP, DENY, 0, PORTS, NOW},
	  {"10.0.0.0", 8, TCP, DENY, 80, 80, NOW + 1},
	  {"10.0.0.0", 9, ANY, DENY, 0, PORTS, 0},
	  {"10.0.0.0", 8, ANY, DENY, 0, PORTS, 1}},
	 {{"10.0.0.1", TCP, 80, 3},
	  {"10.0.0.1", TCP, 81, 4},
	  {"10.0.0.1", UDP, 80, 4},
	  {"10.128.0.1", UDP, 80, 0},
	  {"10.128.0.1", TCP, 80, 3}}},
};

static void expect_destinations(int number, const struct agentsh_rule *rules, size_t count,
				uint8_t default_action)
{
	struct agentsh_rules_table table;

	ck_assert_int_eq(agentsh_rules_compile(rules, count, default_action, UINT32_MAX, &table),
			 0);
	for (size_t i = 0; i < UNIT_COUNT(cases[number].destinations); i++) {
		uint32_t rule = cases[number].destinations[i].rule;
		uint8_t action = rule ? rules[rule - 1].action : default_action;

		if (!cases[number].destinations[i].addr)
			break;
		expect_rule(&table, cases[number].destinations[i].addr,
			    cases[number].destinations[i].protocol,
			    cases[number].destinations[i].port, rule, action == DENY, number);
	}
	agentsh_rules_table_free(&table);
}

START_TEST(test_case)
{
	struct agentsh_rule rules[RULES_PER_CASE];
	struct agentsh_rules_fault fault;
	size_t count = make_rules(cases[_i].rules, rules);

	ck_assert_int_eq(agentsh_rules_check(rules, count, &fault), 0);
	ck_assert_ptr_null(fault.member);
	expect_destinations(_i, rules, count, ALLOW);
	expect_destinations(_i, rules, count, DENY);
}
END_TEST

START_TEST(test_check)
{
	static const struct {
		struct agentsh_rule rule;
		const char *member;
	} wrong[] = {
		{{.family = 1, .last_port = PORTS}, "family"},
		{{.family = 255, .last_port = PORTS}, "family"},
		{{.family = AF_INET, .prefix = 33, .last_port = PORTS}, "prefix_len"},
		{{.family = AF_INET6, .prefix = 129, .last_port = PORTS}, "prefix_len"},
		{{.family = 0, .prefix = 1, .last_port = PORTS}, "prefix_len"},
		{{.protocol = OTHER + 1, .last_port = PORTS}, "protocol"},
		{{.action = DENY + 1, .last_port = PORTS}, "action"},
		{{.listed = 2, .last_port = PORTS}, "listed"},
		{{.first_port = 2, .last_port = 1}, "last_port"},
		{{.protocol = OTHER, .first_port = 1, .last_port = PORTS}, "first_port"},
		{{.protocol = OTHER, .last_port = 1}, "last_port"},
	};
	struct agentsh_rules_fault fault;

	for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
		struct agentsh_rule rules[3] = {
			{.last_port = PORTS}, {.family = AF_INET6, .prefix = 128}, wrong[i].rule};

		ck_assert_int_eq(agentsh_rules_check(rules, 3, &fault), -EINVAL);
		ck_assert_uint_eq(fault.index, 2);
		ck_assert_str_eq(fault.member, wrong[i].member);
		ck_assert_int_eq(agentsh_rules_check(rules, 2, &fault), 0);
		ck_assert_ptr_null(fault.member);
	}
}
END_TEST

START_TEST(test_judge_refuses)
{
	struct agentsh_rules_table table, empty = {0};
	struct agentsh_rules_verdict verdict;
	uint8_t addr[16] = {0};

	ck_assert_int_eq(agentsh_rules_compile(NULL, 0, ALLOW, 8, &table), 0);
	ck_assert_int_eq(agentsh_rules_judge(&table, 0, addr, TCP, 1, 0, &verdict), -EINVAL);
	ck_assert_int_eq(agentsh_rules_judge(&table, AF_INET, addr, ANY, 1, 0, &verdict), -EINVAL);
	ck_assert_int_eq(agentsh_rules_judge(&table, AF_INET, addr, OTHER + 1, 1, 0, &verdict),
			 -EINVAL);
	ck_assert_int_eq(agentsh_rules_judge(&empty, AF_INET, addr, TCP, 1, 0, &verdict), -EINVAL);
	agentsh_rules_table_free(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules");
	TCase *tc = unit_case(suite, "rules");

	tcase_add_loop_test(tc, test_case, 0, UNIT_COUNT(cases));
	tcase_add_test(tc, test_check);
	tcase_add_test(tc, test_judge_refuses);
	return unit_main(suite);
}
