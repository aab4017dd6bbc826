/* SPDX-License-Identifier: Apache-2.0 */
/* Prepares an object before it is loaded. */
#ifndef AGENTSH_LOAD_CONFIGURE_H
#define AGENTSH_LOAD_CONFIGURE_H

#include <stdbool.h>
#include <stdint.h>

struct agentsh_ebpf_tracer;
struct bpf_object;

/* How much the programs read of the calling task. */
struct agentsh_variant {
	bool direct;	     /* by plain loads, through bpf_get_current_task_btf() */
	bool task;	     /* struct task_struct at all */
	bool comm;	     /* bpf_get_current_comm() */
	const char *without; /* the event's members that are missing */
};

/*
 * Sets the tracer's sizes and settings, and which programs are loaded: wanted has bit n
 * for row n of agentsh_program_descs.
 */
int agentsh_configure(struct agentsh_ebpf_tracer *tracer, struct bpf_object *obj,
		      const struct agentsh_variant *variant, uint32_t wanted);

#endif
