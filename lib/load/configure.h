/* SPDX-License-Identifier: Apache-2.0 */
/* Prepares an object before it is loaded. */
#ifndef AGENTSH_LOAD_CONFIGURE_H
#define AGENTSH_LOAD_CONFIGURE_H

#include <stdbool.h>
#include <stdint.h>

struct agentsh_ebpf_tracer_options;
struct agentsh_programs;
struct agentsh_ring;
struct bpf_object;

/* How much of the calling task the programs read. */
struct agentsh_variant {
	bool kfuncs;	     /* calls kfuncs, if the kernel has them */
	bool direct;	     /* plain loads, through bpf_get_current_task_btf() */
	bool task;	     /* any read of struct task_struct */
	bool comm;	     /* bpf_get_current_comm() */
	const char *without; /* the members that events lack */
};

/*
 * Sets the tracer's sizes and settings in the object, and which programs are loaded: bit n
 * of wanted stands for agentsh_program_descs[n].
 */
int agentsh_configure(struct agentsh_programs *programs, const struct agentsh_ring *ring,
		      const struct agentsh_ebpf_tracer_options *opts, struct bpf_object *obj,
		      const struct agentsh_variant *variant, uint32_t wanted);

/* Number of nodes in the map of the rules, from options with RULES. */
uint32_t agentsh_rules_nodes(const struct agentsh_ebpf_tracer_options *opts);

#endif
