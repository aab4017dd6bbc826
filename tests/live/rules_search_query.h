/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What test_rules_search.c asks, and what rules_search.bpf.c answers. */
#ifndef RULES_SEARCH_QUERY_H
#define RULES_SEARCH_QUERY_H

#include <linux/types.h>

struct rules_query {
	__u64 first_node; /* of the set */
	__u64 high, low;  /* address */
	__u64 class_and_port;
	__u64 now_ns;
};

struct rules_answer {
	__u32 found;
	__u32 rule_id;
	__u32 flags; /* AGENTSH_RULES_DENY, AGENTSH_RULES_DEFAULT */
};

#endif
