/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "util.h"

void die(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void *xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size);

	if (!p)
		die("out of memory");
	return p;
}

static cpu_set_t unpinned;

void pin(int cpu)
{
	cpu_set_t set;

	if (!CPU_COUNT(&unpinned) && sched_getaffinity(0, sizeof(unpinned), &unpinned))
		die("sched_getaffinity: %m");
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity to CPU %d: %m", cpu);
}

void unpin(void)
{
	if (sched_setaffinity(0, sizeof(unpinned), &unpinned))
		die("sched_setaffinity: %m");
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t percentile(uint32_t *values, size_t n, double percent)
{
	size_t at;

	if (!n)
		return 0;
	qsort(values, n, sizeof(*values), compare);
	at = (size_t)(percent / 100 * (double)n);
	return values[at < n ? at : n - 1];
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return (values[(n - 1) / 2] + values[n / 2]) / 2;
}
