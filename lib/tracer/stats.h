/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the counters of the mapped array. */
#ifndef AGENTSH_TRACER_STATS_H
#define AGENTSH_TRACER_STATS_H

#include <stdint.h>

struct agentsh_ebpf_stats;
struct agentsh_ring;

/* Adds the counters of a slot, whichever sessions raised them. */
void agentsh_stats_add(struct agentsh_ebpf_stats *to, const struct agentsh_ring *ring,
		       uint32_t number);

#endif
