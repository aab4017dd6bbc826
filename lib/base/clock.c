/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdbool.h>
#include <string.h>

#include "base/files.h"

uint64_t agentsh_clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Takes a decimal number, which may be negative: see take_number() in system.c. */
static const char *take_signed(const char *at, int64_t *number)
{
	bool negative;

	while (*at == ' ')
		at++;
	negative = *at == '-';
	at += negative;
	for (*number = 0; *at >= '0' && *at <= '9'; at++)
		*number = *number * 10 + (*at - '0');
	if (negative)
		*number = -*number;
	return at;
}

int64_t agentsh_boottime_offset_ns(void)
{
	static const char name[] = "boottime";
	int64_t seconds, ns;
	char text[256];
	const char *at;

	agentsh_read_start("/proc/self/timens_offsets", text, sizeof(text));
	at = strstr(text, name);
	if (!at)
		return 0;
	at = take_signed(at + sizeof(name) - 1, &seconds);
	take_signed(at, &ns);
	return seconds * 1000000000 + ns;
}
