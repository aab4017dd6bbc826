/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENTSH_CHECKS_MEMLOCK_H
#define AGENTSH_CHECKS_MEMLOCK_H

/*
 * If the kernel charges maps to RLIMIT_MEMLOCK, raises that limit: to no limit if this
 * process may, else to the hard limit.
 */
void agentsh_memlock_raise(void);

#endif
