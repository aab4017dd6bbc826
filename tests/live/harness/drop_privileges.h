/* SPDX-License-Identifier: Apache-2.0 */
/* Takes privileges away from the calling process, which is a worker of the test. */
#ifndef DROP_PRIVILEGES_H
#define DROP_PRIVILEGES_H

#include <stdint.h>

#include <linux/capability.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define PRIVILEGES_BIT(capability) (1ULL << (capability))
#define PRIVILEGES_BPF_AND_NET (PRIVILEGES_BIT(CAP_BPF) | PRIVILEGES_BIT(CAP_NET_ADMIN))

/* Keeps only these permitted capabilities; returns 0, or -1 and errno. */
int privileges_keep(uint64_t caps);
/* Becomes another user with the same permitted capabilities; returns 0, or -1 and errno. */
int privileges_become_nobody(void);

/*
 * Removes the limit of locked memory. Before 5.11 maps count against it, and whoever starts a
 * host without CAP_SYS_RESOURCE has to do this for it; from 5.11 on, maps do not count.
 */
void privileges_memlock_unlimited(void);

#endif
