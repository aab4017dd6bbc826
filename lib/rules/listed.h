/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that are listed for the rules of one set: the library's copy. */
#ifndef AGENTSH_RULES_LISTED_LIST_H
#define AGENTSH_RULES_LISTED_LIST_H

#include <stdint.h>

#include "rules_table.h"

struct agentsh_rules_address {
	struct agentsh_rules_key key;
	uint64_t expires_ns; /* CLOCK_BOOTTIME */
	uint32_t rule_id;
	uint32_t next; /* number of the next one in the bucket */
};

struct agentsh_rules_list {
	struct agentsh_rules_address *items;
	uint32_t *buckets; /* as many as there is room for items */
	uint32_t count;
	uint32_t room;
};

/* The address of this rule; NULL: it is not listed. */
struct agentsh_rules_address *agentsh_rules_list_find(const struct agentsh_rules_list *list,
						      uint32_t rule_id,
						      const struct agentsh_rules_key *key);
/* Makes room for one address more. Returns 0 or -ENOMEM. */
int agentsh_rules_list_reserve(struct agentsh_rules_list *list);
/* There is room. next is set here. */
void agentsh_rules_list_add(struct agentsh_rules_list *list,
			    const struct agentsh_rules_address *address);
void agentsh_rules_list_remove(struct agentsh_rules_list *list,
			       struct agentsh_rules_address *address);
void agentsh_rules_list_free(struct agentsh_rules_list *list);

#endif
