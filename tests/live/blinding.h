/* SPDX-License-Identifier: Apache-2.0 */
/* What another program with privileges can do to the programs of a session, with bpf(2). */
#ifndef BLINDING_H
#define BLINDING_H

#include <stdint.h>

#include "live.h"

/* Detaches the link of this attach type, as "bpftool link detach" does. */
void blinding_detach_link(const struct live_cgroup *cgroup, uint32_t attach_type);
/* Puts a program that does nothing into the link of this attach type. */
void blinding_update_link(const struct live_cgroup *cgroup, uint32_t attach_type);
/* Sets the session state of this attach type to zero. */
void blinding_clear_state(const struct live_cgroup *cgroup, uint32_t attach_type);
/*
 * Tries to detach the session's program as a program without a link, and to replace it. Returns
 * whether one of both succeeded.
 */
bool blinding_detach_program(const struct live_cgroup *cgroup, uint32_t attach_type);

#endif
