/* SPDX-License-Identifier: Apache-2.0 */
/* Formats durations and sizes with one decimal and a unit. No I/O. */
#ifndef UNITS_H
#define UNITS_H

#include <stdint.h>

#include "text.h"

/* "0.1 ms", "1.4 s" */
void units_duration(struct text *t, uint64_t ns);

/* "84 B", "3.2 kB", "1.0 MB": decimal units */
void units_bytes(struct text *t, uint64_t bytes);

#endif
