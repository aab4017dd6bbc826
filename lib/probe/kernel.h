/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel supports, found out by trying. */
#ifndef AGENTSH_PROBE_KERNEL_H
#define AGENTSH_PROBE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

struct agentsh_ebpf_capabilities;

/* Creates each kind of map: RINGBUF, ARRAY_MMAP, CGROUP_STORAGE, CGROUP_LINK, MEMLOCK. */
void agentsh_probe_maps(struct agentsh_ebpf_capabilities *caps);
/* Records MEMLOCK: the result of creating a ring of this size. error is positive or 0. */
void agentsh_probe_memlock(struct agentsh_ebpf_capabilities *caps, int error, uint32_t bytes);
/* Whether RLIMIT_MEMLOCK may be the reason why a call failed with this positive errno value. */
bool agentsh_memlock_refuses(int error);
/* Loads each program and attaches it for a moment: the checks from CONNECT4 on. */
void agentsh_probe_hooks(struct agentsh_ebpf_capabilities *caps);

#endif
