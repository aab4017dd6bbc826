/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The key of the table of the addresses that are listed for a rule. */
#ifndef AGENTSH_RULES_LISTED_H
#define AGENTSH_RULES_LISTED_H

#include <linux/types.h>

struct agentsh_rules_listed {
	__u32 set; /* the number of its first node */
	__u32 rule_id;
	__u64 high, low; /* as in struct agentsh_rules_key */
};

#endif
