/* SPDX-License-Identifier: Apache-2.0 */
/* Takes over the descriptors and maps of a loaded object. */
#ifndef AGENTSH_LOAD_ADOPT_H
#define AGENTSH_LOAD_ADOPT_H

#include <stdint.h>

struct agentsh_ebpf_tracer_options;
struct agentsh_programs;
struct agentsh_ring;
struct bpf_object;

/*
 * Copies the descriptors and maps the memory that the tracer keeps using. *step is set to
 * the AGENTSH_EBPF_STEP_ value of the current step.
 */
int agentsh_adopt(struct agentsh_programs *programs, struct agentsh_ring *ring,
		  const struct agentsh_ebpf_tracer_options *opts, struct bpf_object *obj,
		  uint32_t *step);

#endif
