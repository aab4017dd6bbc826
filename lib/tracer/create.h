/* SPDX-License-Identifier: Apache-2.0 */
/* Creates a tracer from checked options. */
#ifndef AGENTSH_TRACER_CREATE_H
#define AGENTSH_TRACER_CREATE_H

struct agentsh_ebpf_capabilities;
struct agentsh_ebpf_error;
struct agentsh_ebpf_tracer;
struct agentsh_ebpf_tracer_options;

/*
 * Loads the programs, or opens the synthetic ring, without checking the options or the
 * machine. process is the result of agentsh_probe_process(); it is not used in synthetic
 * mode.
 */
int agentsh_tracer_create(const struct agentsh_ebpf_tracer_options *opts,
			  const struct agentsh_ebpf_capabilities *process,
			  struct agentsh_ebpf_tracer **out, struct agentsh_ebpf_error *err);

#endif
