/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the host, as it gives them. */
#ifndef AGENTSH_RULES_RULE_H
#define AGENTSH_RULES_RULE_H

#include <stddef.h>
#include <stdint.h>

#define AGENTSH_RULES_MAX 0x1ffff /* in one set */

enum agentsh_rule_protocol {
	AGENTSH_RULE_ANY = 0,
	AGENTSH_RULE_TCP = 1, /* and MPTCP */
	AGENTSH_RULE_UDP = 2, /* and UDP-Lite */
	AGENTSH_RULE_OTHER = 3,
};

enum agentsh_rule_action {
	AGENTSH_RULE_ALLOW = 0,
	AGENTSH_RULE_DENY = 1,
};

/*
 * The first rule of a set that matches a destination decides, as in packet filters. A host that
 * wants another precedence, such as that of the most specific prefix, sorts its rules.
 */
struct agentsh_rule {
	/*
	 * Network order; IPv4 in the first four bytes. Bits behind the prefix are ignored. An IPv6
	 * prefix within ::ffff:0:0/96 is one of IPv4; a shorter IPv6 prefix matches no IPv4
	 * address.
	 */
	uint8_t addr[16];
	uint8_t family; /* AF_INET, AF_INET6, or 0: every address, with a prefix of 0 bits */
	uint8_t prefix; /* length in bits */
	uint8_t protocol;
	uint8_t action;
	uint8_t listed; /* 1: matches only those addresses that are listed for its id; else 0 */
	/*
	 * Host order. Protocols without ports match only a rule for all ports, 0 to 65535; so does
	 * AGENTSH_RULE_OTHER, which requires these ports.
	 */
	uint16_t first_port;
	uint16_t last_port;
	uint32_t rule_id;    /* of the host; comes back in the verdict */
	uint64_t expires_ns; /* CLOCK_BOOTTIME, from when on the rule does not match; 0: never */
};

/* What is wrong with a set of rules. */
struct agentsh_rules_fault {
	size_t index;	    /* of the rule */
	const char *member; /* of struct agentsh_rule; NULL: nothing is wrong */
};

/* Returns 0, or -EINVAL and sets the fault. */
int agentsh_rules_check(const struct agentsh_rule *rules, size_t count,
			struct agentsh_rules_fault *fault);

#endif
