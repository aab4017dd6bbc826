/* SPDX-License-Identifier: Apache-2.0 */
#include "rules_model.h"

#include <string.h>
#include <sys/socket.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if ((a[i / 8] ^ b[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

/* Compares IPv4 addresses as the IPv6 addresses that stand for them. */
static bool matches_address(const struct agentsh_rule *rule, const struct destination *to)
{
	uint8_t of_rule[16], of_destination[16];
	unsigned bits = rule->prefix;

	if (!rule->family)
		return true;
	memcpy(of_rule, rule->addr, 16);
	memcpy(of_destination, to->addr, 16);
	if (rule->family == AF_INET) {
		memcpy(of_rule, mapped, 12);
		memcpy(of_rule + 12, rule->addr, 4);
		bits += 96;
	}
	if (to->family == AF_INET) {
		memcpy(of_destination, mapped, 12);
		memcpy(of_destination + 12, to->addr, 4);
	}
	if (bits < 96 && !memcmp(of_destination, mapped, 12))
		return false;
	return same_bits(of_rule, of_destination, bits);
}

static bool matches_ports(const struct agentsh_rule *rule, const struct destination *to)
{
	if (rule->protocol != AGENTSH_RULE_ANY && rule->protocol != to->protocol)
		return false;
	if (to->protocol == AGENTSH_RULE_OTHER)
		return !rule->first_port && rule->last_port == UINT16_MAX;
	return rule->first_port <= to->port && to->port <= rule->last_port;
}

struct agentsh_rules_key model_key(const struct destination *to)
{
	struct agentsh_rules_key key = {0, 0};

	if (to->family == AF_INET) {
		key.low = 0xffff;
		for (int i = 0; i < 4; i++)
			key.low = key.low << 8 | to->addr[i];
		return key;
	}
	for (int i = 0; i < 8; i++) {
		key.high = key.high << 8 | to->addr[i];
		key.low = key.low << 8 | to->addr[8 + i];
	}
	return key;
}

bool model_listed(uint32_t rule_id, const struct agentsh_rules_key *key)
{
	return agentsh_rules_mix(agentsh_rules_mix(rule_id, key->high), key->low) & 1;
}

struct agentsh_rules_verdict model_judge(const struct agentsh_rule *rules, size_t count,
					 uint8_t default_action, const struct destination *to,
					 uint64_t now_ns)
{
	struct agentsh_rules_key key = model_key(to);

	for (size_t i = 0; i < count; i++) {
		const struct agentsh_rule *rule = &rules[i];

		if (matches_address(rule, to) && matches_ports(rule, to) &&
		    (!rule->expires_ns || now_ns < rule->expires_ns) &&
		    (!rule->listed || model_listed(rule->rule_id, &key)))
			return (struct agentsh_rules_verdict){
				.denied = rule->action == AGENTSH_RULE_DENY,
				.matched = true,
				.rule_id = rule->rule_id,
			};
	}
	return (struct agentsh_rules_verdict){.denied = default_action == AGENTSH_RULE_DENY};
}
