/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>

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

static double resident(void)
{
	FILE *in = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	if (!in)
		die("/proc/self/status: %m");
	while (fgets(line, sizeof(line), in))
		if (sscanf(line, "VmRSS: %lu kB", &kib) == 1)
			break;
	fclose(in);
	return (double)kib * 1024;
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
	};
}
