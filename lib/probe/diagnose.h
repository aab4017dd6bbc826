/* SPDX-License-Identifier: Apache-2.0 */
/* Why the kernel refused a call. */
#ifndef AGENTSH_PROBE_DIAGNOSE_H
#define AGENTSH_PROBE_DIAGNOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agentsh_ebpf_error;
struct agentsh_program_desc;

/*
 * Writes one or two finished sentences on the errno (positive) of a bpf(2) call.
 * Returns whether they explain it completely.
 */
bool agentsh_diagnose(int errnum, char *text, size_t size);

/* Why attaching failed with this errno (positive), or NULL if that cannot be told. */
const char *agentsh_attach_refused(int error, int cgroup_fd,
				   const struct agentsh_program_desc *desc);

/* agentsh_fail() for a system call: what, errno's text, reason and remedy. */
int agentsh_fail_call(struct agentsh_ebpf_error *err, int code, uint32_t step, const char *what);

#endif
