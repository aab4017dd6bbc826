/* SPDX-License-Identifier: Apache-2.0 */
/* Why the kernel refused a call. */
#ifndef AGENTSH_CHECKS_DIAGNOSE_H
#define AGENTSH_CHECKS_DIAGNOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agentsh_ebpf_error;
struct agentsh_program_desc;

/*
 * Writes the reason of a failed bpf(2) call, and its remedy, in one line. errnum is
 * positive. Returns whether the line explains the failure completely.
 */
bool agentsh_diagnose(int errnum, char *text, size_t size);

/* Returns why attaching failed with this positive errno value, or NULL if that is unknown. */
const char *agentsh_attach_refused(int error, int cgroup_fd,
				   const struct agentsh_program_desc *desc);

/* Returns the remedy for what agentsh_attach_refused() says. */
const char *agentsh_attach_hint(int cgroup_fd, const struct agentsh_program_desc *desc);

/* Calls agentsh_fail() for a failed system call: what, the text of errno, reason and remedy. */
int agentsh_fail_call(struct agentsh_ebpf_error *err, int code, uint32_t step, const char *what);

#endif
