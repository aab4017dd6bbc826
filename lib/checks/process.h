/* SPDX-License-Identifier: Apache-2.0 */
/* What this process is permitted to do. */
#ifndef AGENTSH_CHECKS_PROCESS_H
#define AGENTSH_CHECKS_PROCESS_H

struct agentsh_ebpf_capabilities;

/* Fills the checks that need neither a map nor a program. */
void agentsh_probe_process(struct agentsh_ebpf_capabilities *caps);
/* Fills AGENTSH_EBPF_CHECK_NOFILE: whether a load and a session have enough descriptors. */
void agentsh_probe_descriptors(struct agentsh_ebpf_capabilities *caps);

#endif
