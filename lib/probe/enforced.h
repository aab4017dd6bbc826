/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths to the network rules can close. */
#ifndef AGENTSH_PROBE_ENFORCED_H
#define AGENTSH_PROBE_ENFORCED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Mask of AGENTSH_EBPF_COVERAGE_ bits for a tracer with these hooks and a set with these flags.
 * ping_hooked: the kernel runs the connect hook for ping sockets.
 */
uint64_t agentsh_enforced(uint32_t hooks, uint32_t rules_flags, bool ping_hooked);

#endif
