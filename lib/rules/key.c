/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>

#include "rules/build.h"

static uint64_t load64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

struct agentsh_rules_key agentsh_rules_key_of(uint8_t family, const uint8_t addr[16])
{
	if (family == AF_INET)
		return (struct agentsh_rules_key){
			.low = (uint64_t)AGENTSH_RULES_IPV4 << 32 | load64(addr) >> 32,
		};
	return (struct agentsh_rules_key){load64(addr), load64(addr + 8)};
}

bool agentsh_rules_is_ipv4(const struct agentsh_rules_key *key)
{
	return !key->high && key->low >> 32 == AGENTSH_RULES_IPV4;
}
