/* SPDX-License-Identifier: Apache-2.0 */
/* The plain meaning of a set of rules, with which the compiled one is compared. */
#ifndef RULES_MODEL_H
#define RULES_MODEL_H

#include "rules/build.h"

struct destination {
	uint8_t family;
	uint8_t addr[16];
	uint8_t protocol;
	uint16_t port;
};

/* The address in the form of the compiled set. */
struct agentsh_rules_key model_key(const struct destination *to);
/* Whether the address counts as listed for a rule with this id: it is so for every other address.
 */
bool model_listed(uint32_t rule_id, const struct agentsh_rules_key *key);

/* Tries one rule after another until one matches. */
struct agentsh_rules_verdict model_judge(const struct agentsh_rule *rules, size_t count,
					 uint8_t default_action, const struct destination *to,
					 uint64_t now_ns);

#endif
