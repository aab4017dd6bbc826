/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules from bytes, compiled and compared with the plain model for destinations from bytes. The
 * first byte is the number of rules, the second the default action, the third a limit of nodes.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "rules_model.h"

#define RULES_AT_MOST 64
#define DESTINATIONS 32

/* Few bytes per rule, so that they meet. */
static struct agentsh_rule read_rule(struct fuzz_input *in)
{
	static const uint8_t families[] = {AF_INET, AF_INET6, 0, 99};
	struct agentsh_rule rule = {.last_port = UINT16_MAX};
	uint8_t kind = fuzz_byte(in);

	rule.family = families[kind & 3];
	rule.protocol = kind >> 2 & 3;
	rule.action = kind >> 4 & 1;
	rule.prefix = fuzz_byte(in);
	fuzz_bytes(in, rule.addr, 4);
	if (kind & 0x20)
		fuzz_bytes(in, rule.addr + 12, 4);
	rule.listed = rule.prefix == 7;
	if (kind & 0x40) {
		rule.first_port = fuzz_byte(in);
		rule.last_port = fuzz_byte(in);
	}
	if (kind & 0x80)
		rule.expires_ns = fuzz_byte(in);
	rule.rule_id = fuzz_byte(in);
	return rule;
}

static uint64_t listed(const struct agentsh_rules_table *table, uint32_t rule_id,
		       const struct agentsh_rules_key *key)
{
	(void)table;
	return model_listed(rule_id, key) ? UINT64_MAX : 0;
}

static void compare(struct fuzz_input *in, const struct agentsh_rules_table *table,
		    const struct agentsh_rule *rules, size_t count, uint8_t action)
{
	uint8_t kind = fuzz_byte(in), now = fuzz_byte(in);
	struct destination to = {
		.family = kind & 1 ? AF_INET6 : AF_INET,
		.protocol = (uint8_t)(1 + (kind >> 1 & 3) % 3),
		.port = fuzz_byte(in),
	};
	struct agentsh_rules_verdict got, want;

	if (kind & 0x80 && count)
		memcpy(to.addr, rules[(kind >> 3 & 15) % count].addr, sizeof(to.addr));
	else
		fuzz_bytes(in, to.addr, sizeof(to.addr));
	FUZZ_CHECK(
		!agentsh_rules_judge(table, to.family, to.addr, to.protocol, to.port, now, &got));
	want = model_judge(rules, count, action, &to, now);
	FUZZ_CHECK(got.denied == want.denied);
	FUZZ_CHECK(got.matched == want.matched);
	FUZZ_CHECK(got.rule_id == want.rule_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct agentsh_rule rules[RULES_AT_MOST];
	size_t count = fuzz_byte(&in) % (RULES_AT_MOST + 1);
	uint8_t action = fuzz_byte(&in) & 1, limit = fuzz_byte(&in);
	struct agentsh_rules_table table;
	struct agentsh_rules_fault fault;
	int err;

	for (size_t i = 0; i < count; i++)
		rules[i] = read_rule(&in);
	err = agentsh_rules_check(rules, count, &fault);
	FUZZ_CHECK(err == (fault.member ? -EINVAL : 0) && (!err || fault.index < count));
	if (err)
		return 0;
	err = agentsh_rules_compile(rules, count, action, limit ? limit : UINT32_MAX, &table);
	FUZZ_CHECK(!err || err == -ENOSPC);
	if (err)
		return 0;
	table.listed = listed;
	for (int i = 0; i < DESTINATIONS; i++)
		compare(&in, &table, rules, count, action);
	agentsh_rules_table_free(&table);
	return 0;
}
