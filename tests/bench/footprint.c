/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <linux/membarrier.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "footprint.h"
#include "progs.h"
#include "util.h"

static double entries(const char *path)
{
	DIR *dir = opendir(path);
	double n = -2; /* . and .. */

	if (!dir)
		die("%s: %m", path);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The sum, in bytes, of the lines that begin with one of these names. */
static double kib_lines(const char *path, const char *const *names)
{
	FILE *in = fopen(path, "re");
	double sum = 0;
	char line[256];

	if (!in)
		die("%s: %m", path);
	while (fgets(line, sizeof(line), in)) {
		size_t length = strcspn(line, ":");

		for (const char *const *name = names; *name; name++)
			if (strlen(*name) == length && !strncmp(line, *name, length))
				sum += strtod(line + length + 1, NULL) * 1024;
	}
	fclose(in);
	return sum;
}

static double resident(void)
{
	static const char *const names[] = {"VmRSS", NULL};

	return kib_lines("/proc/self/status", names);
}

/* Waits for a grace period, because memory that the kernel frees later would look like a gain. */
static double kernel(void)
{
	static const char *const names[] = {"Slab", "Percpu", "VmallocUsed", NULL};

	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	return kib_lines("/proc/meminfo", names);
}

struct footprint footprint_now(void)
{
	struct mallinfo2 heap = mallinfo2();

	return (struct footprint){
		.heap = (double)heap.uordblks + (double)heap.hblkhd,
		.resident = resident(),
		.fds = entries("/proc/self/fd"),
		.threads = entries("/proc/self/task"),
		.programs = progs_loaded(),
		.kernel = kernel(),
	};
}
