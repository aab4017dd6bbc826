/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of sessions, for tests that expect no error. */
#ifndef RULES_H
#define RULES_H

#include "live.h"

#define RULES_HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_RULES)
#define ALLOW AGENTSH_EBPF_RULE_ALLOW
#define DENY AGENTSH_EBPF_RULE_DENY

struct agentsh_ebpf_rules *rules_create(struct agentsh_ebpf_tracer *tracer,
					const struct agentsh_ebpf_rule *list, size_t count,
					uint32_t default_action, uint32_t flags);
void rules_set(struct agentsh_ebpf_session *session, struct agentsh_ebpf_rules *rules);

/*
 * Calls connect() to port 9 of an address on a new UDP socket in the worker, which sends no packet.
 * Returns 0 or an errno value.
 */
int rules_connect(struct live_worker *worker, uint32_t ipv4);
/* The same in the calling process. */
int rules_connect_here(uint32_t ipv4);

#endif
