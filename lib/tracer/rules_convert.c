/* SPDX-License-Identifier: Apache-2.0 */
/* From the host's rules to the compiler's. */
#include "tracer/rules_convert.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool convert_protocol(uint8_t from, uint8_t *to)
{
	switch (from) {
	case 0:
		*to = AGENTSH_RULE_ANY;
		return true;
	case IPPROTO_TCP:
		*to = AGENTSH_RULE_TCP;
		return true;
	case IPPROTO_UDP:
		*to = AGENTSH_RULE_UDP;
		return true;
	case AGENTSH_EBPF_RULE_OTHER_PROTOCOLS:
		*to = AGENTSH_RULE_OTHER;
		return true;
	default:
		return false;
	}
}

/* Returns the name of a member that has a wrong value; NULL: none. */
static const char *convert(const struct agentsh_ebpf_rule *from, struct agentsh_rule *to)
{
	*to = (struct agentsh_rule){
		.family = (uint8_t)from->family,
		.prefix = from->prefix_len,
		.action = from->action == AGENTSH_EBPF_RULE_DENY ? AGENTSH_RULE_DENY
								 : AGENTSH_RULE_ALLOW,
		.listed = from->flags & AGENTSH_EBPF_RULE_LISTED,
		.first_port = from->first_port,
		.last_port = from->last_port,
		.rule_id = from->rule_id,
		.expires_ns = from->expires_boottime_ns,
	};
	memcpy(to->addr, from->addr, sizeof(to->addr));
	if (!to->last_port)
		to->last_port = to->first_port ? to->first_port : UINT16_MAX;
	if (to->family != from->family)
		return "family";
	if (!convert_protocol(from->protocol, &to->protocol))
		return "protocol";
	if (from->action != AGENTSH_EBPF_RULE_ALLOW && from->action != AGENTSH_EBPF_RULE_DENY)
		return "action";
	if (from->flags & ~AGENTSH_EBPF_RULE_LISTED)
		return "flags";
	if (from->reserved)
		return "reserved";
	if (from->protocol == AGENTSH_EBPF_RULE_OTHER_PROTOCOLS && from->last_port)
		return "last_port";
	return NULL;
}

static int wrong(size_t index, const char *member, struct agentsh_ebpf_error *err)
{
	return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_RULES,
			    "rules[%zu].%s is not valid; see struct agentsh_ebpf_rule", index,
			    member);
}

int agentsh_rules_convert(const struct agentsh_ebpf_rule *rules, size_t count,
			  struct agentsh_rule **out, struct agentsh_ebpf_rules *set,
			  struct agentsh_ebpf_error *err)
{
	struct agentsh_rules_fault fault;
	size_t listed = 0;

	if (count > AGENTSH_RULES_MAX)
		return agentsh_fail(err, -ENOSPC, AGENTSH_EBPF_STEP_RULES,
				    "%zu rules are too many; a set can have %d", count,
				    AGENTSH_RULES_MAX);
	for (size_t i = 0; i < count; i++)
		listed += rules[i].flags & AGENTSH_EBPF_RULE_LISTED;
	*out = malloc((count ? count : 1) * sizeof(**out));
	set->listed_ids = malloc((listed ? listed : 1) * sizeof(*set->listed_ids));
	if (!*out || !set->listed_ids) {
		free(*out);
		return agentsh_fail(err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for %zu rules", count);
	}
	fault = (struct agentsh_rules_fault){0};
	for (size_t i = 0; i < count && !fault.member; i++) {
		fault.index = i;
		fault.member = convert(&rules[i], &(*out)[i]);
		if (rules[i].flags & AGENTSH_EBPF_RULE_LISTED)
			set->listed_ids[set->listed_ids_count++] = rules[i].rule_id;
	}
	if (fault.member || agentsh_rules_check(*out, count, &fault)) {
		free(*out);
		return wrong(fault.index, fault.member, err);
	}
	return 0;
}
