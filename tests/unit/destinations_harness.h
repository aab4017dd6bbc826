/* SPDX-License-Identifier: Apache-2.0 */
/* The summary by destination of agentsh-trace, for tests that drive it by events. */
#ifndef DESTINATIONS_HARNESS_H
#define DESTINATIONS_HARNESS_H

#include "destinations.h"
#include "unit.h"

#define SUMMARY_HOOKS                                                                              \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |         \
	 AGENTSH_EBPF_HOOK_TRAFFIC)

extern struct destinations destinations;

/* What summary_end() has sorted. */
extern const struct destination_row *summary_rows[DESTINATIONS_MAX + 1];
extern size_t summary_count;

void summary_begin(uint32_t hooks);
void summary_end(void);
/* An event of a process named "process" about 192.0.2.1. */
struct agentsh_ebpf_event summary_event(uint32_t kind, uint16_t protocol, uint64_t cookie,
					uint16_t port);
void summary_check_row(size_t i, uint16_t port, uint64_t connections, uint64_t failed,
		       uint64_t sent, uint64_t received);

#endif
