/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENTSH_TRACER_RULES_CONVERT_H
#define AGENTSH_TRACER_RULES_CONVERT_H

#include "tracer/rules.h"

/*
 * Checks the host's rules, and makes a copy as the compiler takes them, which the caller frees.
 * Sets listed_ids of the set. Returns 0, -EINVAL or -ENOMEM.
 */
int agentsh_rules_convert(const struct agentsh_ebpf_rule *rules, size_t count,
			  struct agentsh_rule **out, struct agentsh_ebpf_rules *set,
			  struct agentsh_ebpf_error *err);

#endif
