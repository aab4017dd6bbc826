/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that write rules for what many hosts leave open. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "unit.h"

#define HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_RULES)
#define DENY AGENTSH_EBPF_RULE_DENY
#define ALLOWED AGENTSH_EBPF_VERDICT_ALLOWED
#define DENIED AGENTSH_EBPF_VERDICT_DENIED

static struct agentsh_ebpf_tracer *open_tracer(void)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.hooks = HOOKS,
	};

	return unit_open(&options);
}

static int judge_at(const struct agentsh_ebpf_rules *rules, struct agentsh_ebpf_address remote,
		    uint16_t protocol, uint32_t *rule_id)
{
	return agentsh_ebpf_rules_judge(rules, &remote, protocol, rule_id);
}

static struct agentsh_ebpf_rules *deny_others(struct agentsh_ebpf_tracer *tracer,
					      const struct agentsh_ebpf_rule *rules, int count)
{
	const struct agentsh_ebpf_rules_options o = {.size = sizeof(o), .default_action = DENY};
	struct agentsh_ebpf_rules *out;

	ck_assert_int_eq(count, 2);
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, rules, 2, &o, &out, NULL), 0);
	return out;
}

#define PLAIN(at_port, ...)                                                                        \
	{                                                                                          \
		.family = AF_INET, .port = (at_port), .addr = { __VA_ARGS__ }                      \
	}
#define LONG(at_port, ...)                                                                         \
	{                                                                                          \
		.family = AF_INET6, .port = (at_port), .addr = { __VA_ARGS__ }                     \
	}
#define AT4(a, b, c, d, at_port) ((struct agentsh_ebpf_address)PLAIN(at_port, a, b, c, d))
#define AT6(last, at_port) ((struct agentsh_ebpf_address)LONG(at_port, [15] = (last)))
#define MAPPED(a, b, c, d, at_port)                                                                \
	((struct agentsh_ebpf_address)LONG(at_port, [10] = 0xff, [11] = 0xff, a, b, c, d))

START_TEST(loopback)
{
	struct agentsh_ebpf_tracer *tracer = open_tracer();
	struct agentsh_ebpf_rule rules[3];
	struct agentsh_ebpf_rules *set;
	uint32_t rule_id = 0;

	memset(rules, 0xa5, sizeof(rules));
	ck_assert_int_eq(agentsh_ebpf_rules_loopback(NULL, 1), -EFAULT);
	set = deny_others(tracer, rules, agentsh_ebpf_rules_loopback(rules, 77));
	/* no more than two are written */
	for (size_t i = 0; i < sizeof(rules[2]); i++)
		ck_assert_uint_eq(((const unsigned char *)&rules[2])[i], 0xa5);
	ck_assert_int_eq(judge_at(set, AT4(127, 0, 0, 1, 443), IPPROTO_TCP, &rule_id), ALLOWED);
	ck_assert_uint_eq(rule_id, 77);
	ck_assert_int_eq(judge_at(set, AT4(127, 0, 0, 0, 0), IPPROTO_ICMP, NULL), ALLOWED);
	ck_assert_int_eq(judge_at(set, AT4(127, 255, 255, 255, 1), IPPROTO_UDP, NULL), ALLOWED);
	ck_assert_int_eq(judge_at(set, MAPPED(127, 3, 3, 3, 9), IPPROTO_TCP, NULL), ALLOWED);
	ck_assert_int_eq(judge_at(set, AT6(1, 65535), IPPROTO_UDP, &rule_id), ALLOWED);
	ck_assert_uint_eq(rule_id, 77);
	ck_assert_int_eq(judge_at(set, AT4(126, 255, 255, 255, 443), IPPROTO_TCP, NULL), DENIED);
	ck_assert_int_eq(judge_at(set, AT4(128, 0, 0, 0, 443), IPPROTO_TCP, NULL), DENIED);
	ck_assert_int_eq(judge_at(set, AT4(0, 0, 0, 0, 443), IPPROTO_TCP, NULL), DENIED);
	ck_assert_int_eq(judge_at(set, AT6(0, 443), IPPROTO_TCP, NULL), DENIED);
	ck_assert_int_eq(judge_at(set, AT6(2, 443), IPPROTO_TCP, NULL), DENIED);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(resolver_arguments)
{
	struct agentsh_ebpf_rule rules[2], before[2];
	const struct agentsh_ebpf_address good = AT4(192, 0, 2, 53, 0);
	struct agentsh_ebpf_address bad = good;

	memset(rules, 0xa5, sizeof(rules));
	memcpy(before, rules, sizeof(rules));
	ck_assert_int_eq(agentsh_ebpf_rules_resolver(NULL, &good, 1), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_rules_resolver(rules, NULL, 1), -EFAULT);
	bad.family = 0;
	ck_assert_int_eq(agentsh_ebpf_rules_resolver(rules, &bad, 1), -EINVAL);
	bad.family = AF_UNIX;
	ck_assert_int_eq(agentsh_ebpf_rules_resolver(rules, &bad, 1), -EINVAL);
	bad = good;
	bad.ttl_s = 1;
	ck_assert_int_eq(agentsh_ebpf_rules_resolver(rules, &bad, 1), -EINVAL);
	ck_assert_mem_eq(rules, before, sizeof(rules));
}
END_TEST

static const struct {
	struct agentsh_ebpf_address resolver, other_form;
	uint16_t port; /* the only one that is open */
} resolver_cases[] = {
	{PLAIN(0, 192, 0, 2, 53), LONG(0, [10] = 0xff, [11] = 0xff, 192, 0, 2, 53), 53},
	{PLAIN(5353, 192, 0, 2, 53), LONG(0, [10] = 0xff, [11] = 0xff, 192, 0, 2, 53), 5353},
	{LONG(0, [10] = 0xff, [11] = 0xff, 192, 0, 2, 53), PLAIN(0, 192, 0, 2, 53), 53},
	{LONG(0, [15] = 9), LONG(0, [15] = 9), 53},
	{LONG(65535, [15] = 9), LONG(0, [15] = 9), 65535},
};

START_TEST(resolver_rules)
{
	struct agentsh_ebpf_tracer *tracer = open_tracer();
	struct agentsh_ebpf_address to[2] = {resolver_cases[_i].resolver,
					     resolver_cases[_i].other_form};
	const uint16_t port = resolver_cases[_i].port;
	struct agentsh_ebpf_rule rules[2];
	struct agentsh_ebpf_rules *set =
		deny_others(tracer, rules,
			    agentsh_ebpf_rules_resolver(rules, &resolver_cases[_i].resolver, 88));

	for (size_t i = 0; i < 2; i++) {
		struct agentsh_ebpf_address neighbour = to[i];
		uint32_t rule_id = 0;

		to[i].port = neighbour.port = port;
		ck_assert_int_eq(judge_at(set, to[i], IPPROTO_UDP, &rule_id), ALLOWED);
		ck_assert_uint_eq(rule_id, 88);
		ck_assert_int_eq(judge_at(set, to[i], IPPROTO_TCP, &rule_id), ALLOWED);
		ck_assert_uint_eq(rule_id, 88);
		ck_assert_int_eq(judge_at(set, to[i], IPPROTO_SCTP, NULL), DENIED);
		neighbour.addr[neighbour.family == AF_INET ? 3 : 15] ^= 1;
		ck_assert_int_eq(judge_at(set, neighbour, IPPROTO_UDP, NULL), DENIED);
		to[i].port = (uint16_t)(port - 1);
		ck_assert_int_eq(judge_at(set, to[i], IPPROTO_UDP, NULL), DENIED);
		to[i].port = (uint16_t)(port + 1); /* or 0 */
		ck_assert_int_eq(judge_at(set, to[i], IPPROTO_TCP, NULL), DENIED);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Nothing is open by itself, and an earlier rule that denies wins. */
START_TEST(in_a_set)
{
	struct agentsh_ebpf_tracer *tracer = open_tracer();
	const struct agentsh_ebpf_rules_options o = {.size = sizeof(o), .default_action = DENY};
	const struct agentsh_ebpf_address resolver = AT4(127, 0, 0, 53, 0);
	struct agentsh_ebpf_rule rules[5] = {
		{.family = AF_INET, .prefix_len = 32, .addr = {127, 0, 0, 9}, .action = DENY}};
	struct agentsh_ebpf_rules *set;

	ck_assert_int_eq(agentsh_ebpf_rules_resolver(rules + 1, &resolver, 2), 2);
	ck_assert_int_eq(agentsh_ebpf_rules_loopback(rules + 3, 3), 2);
	for (size_t count = 0; count <= 5; count++) {
		uint32_t rule_id = 0;
		int open = count >= 2 ? ALLOWED : DENIED;

		ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, rules, count, &o, &set, NULL),
				 0);
		ck_assert_int_eq(judge_at(set, AT4(127, 0, 0, 53, 53), IPPROTO_UDP, &rule_id),
				 open);
		ck_assert_uint_eq(rule_id, count >= 2 ? 2 : 0);
		ck_assert_int_eq(judge_at(set, AT4(127, 0, 0, 1, 53), IPPROTO_UDP, NULL),
				 count >= 4 ? ALLOWED : DENIED);
		ck_assert_int_eq(judge_at(set, AT6(1, 53), IPPROTO_UDP, NULL),
				 count >= 5 ? ALLOWED : DENIED);
		ck_assert_int_eq(judge_at(set, AT4(127, 0, 0, 9, 53), IPPROTO_UDP, NULL), DENIED);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules of many hosts");
	TCase *tc = unit_case(suite, "helpers");

	tcase_add_test(tc, loopback);
	tcase_add_test(tc, resolver_arguments);
	tcase_add_loop_test(tc, resolver_rules, 0, (int)UNIT_COUNT(resolver_cases));
	tcase_add_test(tc, in_a_set);
	return unit_main(suite);
}
