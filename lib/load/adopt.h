/* SPDX-License-Identifier: Apache-2.0 */
/* Takes over what a loaded object holds. */
#ifndef AGENTSH_LOAD_ADOPT_H
#define AGENTSH_LOAD_ADOPT_H

#include <stdint.h>

struct agentsh_ebpf_tracer;
struct bpf_object;

/*
 * Copies the descriptors and maps the memory that the tracer goes on using. *step is
 * set to the AGENTSH_EBPF_STEP_ that is under way.
 */
int agentsh_adopt(struct agentsh_ebpf_tracer *tracer, struct bpf_object *obj, uint32_t *step);

#endif
