/* SPDX-License-Identifier: Apache-2.0 */
/* Reads clocks in nanoseconds. */
#ifndef AGENTSH_BASE_CLOCK_H
#define AGENTSH_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t agentsh_clock_ns(clockid_t clock);

#endif
