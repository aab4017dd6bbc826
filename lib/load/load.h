/* SPDX-License-Identifier: Apache-2.0 */
/* Loads programs and maps into the kernel. */
#ifndef AGENTSH_LOAD_LOAD_H
#define AGENTSH_LOAD_LOAD_H

struct agentsh_ebpf_capabilities;
struct agentsh_ebpf_error;
struct agentsh_ebpf_tracer_options;
struct agentsh_programs;
struct agentsh_ring;

/* Loads the programs. process is the result of agentsh_probe_process(). */
int agentsh_load(struct agentsh_programs *programs, struct agentsh_ring *ring,
		 const struct agentsh_ebpf_tracer_options *opts,
		 const struct agentsh_ebpf_capabilities *process, struct agentsh_ebpf_error *err);
void agentsh_unload(struct agentsh_programs *programs);

#endif
