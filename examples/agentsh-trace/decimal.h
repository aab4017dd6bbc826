/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads decimal numbers. strtoull(3) and sscanf(3) are not used: with glibc 2.38 or later they
 * become symbols that older versions lack, so a command built there would not start here.
 */
#ifndef DECIMAL_H
#define DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the digits at *at and moves *at behind them; false: there are none, or too many. */
static inline bool decimal_take(const char **at, uint64_t *value)
{
	const char *p = *at;
	uint64_t sum = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (sum > (UINT64_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	if (p == *at)
		return false;
	*at = p;
	*value = sum;
	return true;
}

#endif
