/* SPDX-License-Identifier: Apache-2.0 */
/* A session whose rules judge packets, and what it counts and reports. */
#ifndef RULES_PACKETS_H
#define RULES_PACKETS_H

#include "far_sockets.h"
#include "rules.h"

#define PACKETS_SESSION 17
#define PACKETS_RULE 70001 /* more than 16 bits */
#define PACKETS_HOOKS (RULES_HOOKS | AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS)
#define EGRESS AGENTSH_EBPF_RULES_EGRESS
#define AUDIT AGENTSH_EBPF_RULES_AUDIT

/* The tracers that most tests are repeated with: with and without CAP_PERFMON. */
extern const uint64_t packets_missing[2];

extern struct agentsh_ebpf_tracer *packets_tracer;
extern struct agentsh_ebpf_session *packets_session;
extern struct live_cgroup packets_cgroup;
extern struct far_sockets packets_far;

void packets_open(uint64_t missing, uint32_t more_hooks);
/* Opens a tracer, attaches a session without rules and starts the worker. */
void packets_begin(uint64_t missing);
/* Detaches and closes. */
void packets_end(void);

/* Gives the session a set with EGRESS. */
void packets_default(uint32_t action, uint32_t flags);
void packets_rule(struct agentsh_ebpf_rule rule, uint32_t default_action, uint32_t flags);
/* A rule for exactly this destination; port 0: each port. */
struct agentsh_ebpf_rule packets_rule_for(const struct connection_address *at, uint16_t action,
					  uint8_t protocol);

/* What has happened since the last call of packets_mark(). */
void packets_mark(void);
uint64_t packets_denied(void);
uint64_t packets_would_deny(void);
uint64_t packets_deduplicated(void);
/* The first PACKET_DENIED event to this destination, or NULL; sets the number of all of them. */
const struct agentsh_ebpf_event *packets_event(const struct connection_address *to, size_t *count);
/* Number of all PACKET_DENIED events. */
size_t packets_events(void);

#endif
