/* SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <inttypes.h>
#include <stddef.h>

/* Rounds half up, without overflow for any value. */
static uint64_t tenths(uint64_t value, uint64_t unit)
{
	uint64_t tenth = unit / 10;

	return value / tenth + (value % tenth >= tenth / 2);
}

static void append(struct text *t, uint64_t n, const char *unit)
{
	text_format(t, "%" PRIu64 ".%u %s", n / 10, (unsigned)(n % 10), unit);
}

void units_duration(struct text *t, uint64_t ns)
{
	uint64_t ms = tenths(ns, 1000000);

	if (ms < 10000)
		append(t, ms, "ms");
	else
		append(t, tenths(ns, 1000000000), "s");
}

void units_bytes(struct text *t, uint64_t bytes)
{
	static const char *const names[] = {"kB", "MB", "GB", "TB"};
	const size_t last = sizeof(names) / sizeof(*names) - 1;
	uint64_t unit = 1000;
	size_t i = 0;

	if (bytes < 1000) {
		text_format(t, "%" PRIu64 " B", bytes);
		return;
	}
	/* 999,950 bytes are 1.0 MB, not 1000.0 kB */
	for (; i < last && tenths(bytes, unit) >= 10000; i++)
		unit *= 1000;
	append(t, tenths(bytes, unit), names[i]);
}
