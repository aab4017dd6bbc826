/* SPDX-License-Identifier: Apache-2.0 */
/* The current time. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

uint64_t clock_realtime_ns(void); /* Unix time */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

#endif
