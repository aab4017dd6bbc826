/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>

#include "rules/rule.h"

/* The member with a wrong value; NULL: none. */
static const char *wrong_member(const struct agentsh_rule *rule)
{
	unsigned bits = rule->family == AF_INET6 ? 128 : rule->family == AF_INET ? 32 : 0;

	if (rule->family && !bits)
		return "family";
	if (rule->prefix > bits)
		return "prefix_len";
	if (rule->protocol > AGENTSH_RULE_OTHER)
		return "protocol";
	if (rule->action > AGENTSH_RULE_DENY)
		return "action";
	if (rule->listed > 1)
		return "listed";
	if (rule->protocol == AGENTSH_RULE_OTHER && rule->first_port)
		return "first_port";
	if (rule->last_port < rule->first_port ||
	    (rule->protocol == AGENTSH_RULE_OTHER && rule->last_port != UINT16_MAX))
		return "last_port";
	return NULL;
}

int agentsh_rules_check(const struct agentsh_rule *rules, size_t count,
			struct agentsh_rules_fault *fault)
{
	*fault = (struct agentsh_rules_fault){0};
	for (size_t i = 0; i < count; i++) {
		fault->member = wrong_member(&rules[i]);
		if (fault->member) {
			fault->index = i;
			return -EINVAL;
		}
	}
	return 0;
}
