/* SPDX-License-Identifier: Apache-2.0 */
/* What this process is allowed to do. */
#ifndef AGENTSH_PROBE_PROCESS_H
#define AGENTSH_PROBE_PROCESS_H

struct agentsh_ebpf_capabilities;

/* Fills the checks that take neither a map nor a program. */
void agentsh_probe_process(struct agentsh_ebpf_capabilities *caps);
/* Whether there are descriptors for a load and a session: AGENTSH_EBPF_CHECK_NOFILE. */
void agentsh_probe_descriptors(struct agentsh_ebpf_capabilities *caps);

#endif
