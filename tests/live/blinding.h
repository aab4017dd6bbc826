/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session, and what another program with privileges can do to its eBPF programs with bpf(2).
 */
#ifndef BLINDING_H
#define BLINDING_H

#include <stdint.h>

#include "live.h"

#define BLINDING_INTERVAL_MS 100
#define BLINDING_HOOKS                                                                             \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE)

extern struct live_cgroup blinding_above, blinding_cgroup;
extern struct agentsh_ebpf_tracer *blinding_tracer;
extern struct agentsh_ebpf_session *blinding_session;

/* Opens a tracer with this interval and these hooks, and attaches session 7 to the cgroup. */
void blinding_begin(void);
void blinding_end(void);
/* agentsh_ebpf_session_check() of the session, which must return 0. */
struct agentsh_ebpf_session_check blinding_check(void);

/* Detaches the link of this attach type, as "bpftool link detach" does. */
void blinding_detach_link(const struct live_cgroup *cgroup, uint32_t attach_type);
/*
 * Puts a program that does nothing into the link of this attach type. Returns false if the kernel
 * refuses this, as 7.2 does (EINVAL).
 */
bool blinding_update_link(const struct live_cgroup *cgroup, uint32_t attach_type);
/* Sets the session state of this attach type to zero. */
void blinding_clear_state(const struct live_cgroup *cgroup, uint32_t attach_type);
/*
 * Tries to detach the session's program as a program without a link, and to replace it. Returns
 * whether one of both succeeded.
 */
bool blinding_detach_program(const struct live_cgroup *cgroup, uint32_t attach_type);

#endif
