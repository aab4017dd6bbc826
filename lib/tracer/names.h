/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls that add names to a session have in common. */
#ifndef AGENTSH_TRACER_NAMES_H
#define AGENTSH_TRACER_NAMES_H

#include <stdint.h>

struct agentsh_ebpf_session;
struct agentsh_name_node;

/*
 * Returns 0; -EPERM in a forked child; or -EINVAL if the session was detached, or if family is
 * neither AF_INET nor AF_INET6.
 */
int agentsh_names_check_session(const struct agentsh_ebpf_session *handle, uint16_t family);
/*
 * Gives an address a name, and lets go of the caller's reference; or removes its seed if node is
 * NULL. Returns 0; -ENOMEM; or -EINVAL if the session was detached.
 */
int agentsh_names_add(const struct agentsh_ebpf_session *handle, uint16_t family, const void *addr,
		      struct agentsh_name_node *node);

#endif
