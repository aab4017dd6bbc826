/* SPDX-License-Identifier: Apache-2.0 */
/* Reads clocks in nanoseconds. */
#ifndef AGENTSH_BASE_CLOCK_H
#define AGENTSH_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t agentsh_clock_ns(clockid_t clock);
/*
 * What CLOCK_BOOTTIME of this process has more than that of the initial time namespace, in ns,
 * time_namespaces(7); 0 before kernel 5.6, and if /proc is not readable.
 */
int64_t agentsh_boottime_offset_ns(void);

#endif
