/* SPDX-License-Identifier: Apache-2.0 */
/* Counters out of the mapped array. */
#ifndef AGENTSH_TRACER_STATS_H
#define AGENTSH_TRACER_STATS_H

struct agentsh_ebpf_stats;
struct agentsh_slot;

/* Adds what a slot has counted, for whichever sessions. */
void agentsh_stats_add(struct agentsh_ebpf_stats *to, const struct agentsh_slot *slot);

#endif
