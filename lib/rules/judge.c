/* SPDX-License-Identifier: Apache-2.0 */
/* The search of the eBPF programs, in the library's own copy of a set. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "rules/build.h"

#ifndef __always_inline /* musl */
#define __always_inline inline __attribute__((always_inline))
#endif

#define RULES_SET const struct agentsh_rules_table *

static const void *rules_node(const struct agentsh_rules_table *set, uint32_t number)
{
	return number < set->count ? &set->nodes[number] : NULL;
}

static uint64_t rules_listed(const struct agentsh_rules_table *set, uint32_t rule_id,
			     const struct agentsh_rules_key *key, uint64_t past)
{
	return set->listed ? set->listed(set, rule_id, key) : past;
}

static uint64_t rules_now(uint64_t now_ns)
{
	return now_ns;
}

#include "rules_search.h"

int agentsh_rules_judge(const struct agentsh_rules_table *table, uint8_t family,
			const uint8_t addr[16], uint8_t protocol, uint16_t port, uint64_t now_ns,
			struct agentsh_rules_verdict *verdict)
{
	struct agentsh_rules_key key = agentsh_rules_key_of(family, addr);
	struct agentsh_rules_entry entry;
	uint32_t class_and_port;

	*verdict = (struct agentsh_rules_verdict){0};
	if ((family != AF_INET && family != AF_INET6) || protocol < AGENTSH_RULE_TCP ||
	    protocol > AGENTSH_RULE_OTHER)
		return -EINVAL;
	if (protocol == AGENTSH_RULE_OTHER)
		port = 0;
	class_and_port =
		(uint32_t)(protocol - AGENTSH_RULE_TCP) << AGENTSH_RULES_CLASS_SHIFT | port;
	if (rules_find(table, &key, class_and_port, now_ns, &entry))
		return -EINVAL;
	verdict->denied = entry.next & AGENTSH_RULES_DENY;
	verdict->matched = !(entry.next & AGENTSH_RULES_DEFAULT);
	verdict->rule_id = entry.rule_id;
	return 0;
}
