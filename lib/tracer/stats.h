/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the counters of the mapped array. */
#ifndef AGENTSH_TRACER_STATS_H
#define AGENTSH_TRACER_STATS_H

struct agentsh_ebpf_stats;
struct agentsh_slot;

/* Adds the counters of a slot, whichever sessions raised them. */
void agentsh_stats_add(struct agentsh_ebpf_stats *to, const struct agentsh_slot *slot);

#endif
