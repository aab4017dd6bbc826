/* SPDX-License-Identifier: Apache-2.0 */
/* Taking rights away from the calling process, which is a worker of the test. */
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

/* Of the permitted capabilities only these; 0 or -1 and errno. */
int privileges_keep(uint64_t caps);
/* Another user, with the capabilities; 0 or -1 and errno. */
int privileges_become_nobody(void);

/* Before 5.11 hosts with few rights need it from whoever starts them; later it is no matter. */
void privileges_memlock_unlimited(void);

#endif
