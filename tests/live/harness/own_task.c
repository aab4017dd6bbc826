/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "live.h"
#include "own_task.h"

static int read_numbers(uint32_t *to, const char *text)
{
	int count = 0;
	char *end;

	for (; count < OWN_TASK_LEVELS; count++, text = end) {
		unsigned long number = strtoul(text, &end, 10);

		if (end == text)
			break;
		to[count] = (uint32_t)number;
	}
	return count;
}

static void read_status(struct own_task *own)
{
	FILE *file = fopen("/proc/thread-self/status", "re");
	char line[256];
	int levels = 0;

	LIVE_CHECK(file, "/proc/thread-self/status: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "PPid:", 5))
			own->ppid = (uint32_t)strtoul(line + 5, NULL, 10);
		else if (!strncmp(line, "NStgid:", 7))
			levels = read_numbers(own->tgid, line + 7);
		else if (!strncmp(line, "NSpid:", 6))
			own->levels = read_numbers(own->pid, line + 6);
	}
	fclose(file);
	LIVE_CHECK(own->levels > 0 && own->levels == levels,
		   "no NSpid in /proc/thread-self/status");
}

static size_t read_file(const char *path, char *to, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t n;

	LIVE_CHECK(file, "%s: %s", path, strerror(errno));
	n = fread(to, 1, size - 1, file);
	fclose(file);
	to[n] = '\0';
	return n;
}

static uint64_t read_start_ticks(void)
{
	unsigned long long ticks = 0;
	char text[1024];

	read_file("/proc/self/stat", text, sizeof(text));
	/* the name may contain anything, so count from its closing bracket, before field 3 */
	LIVE_CHECK(strrchr(text, ')') &&
			   sscanf(strrchr(text, ')') + 1,
				  " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				  "%*s %*s %*s %*s %llu",
				  &ticks) == 1,
		   "no start time in: %s", text);
	return ticks;
}

/* The file ends with a newline, which the name may contain, too. */
static void read_process_comm(struct own_task *own)
{
	char text[64];
	size_t n = read_file("/proc/self/comm", text, sizeof(text));

	LIVE_CHECK(n > 0 && text[n - 1] == '\n' && n <= sizeof(own->process_comm),
		   "/proc/self/comm has %zu bytes", n);
	memcpy(own->process_comm, text, n - 1);
}

struct own_task own_task_read(void)
{
	struct own_task own;
	struct stat st;

	memset(&own, 0, sizeof(own));
	read_status(&own);
	own.start_ticks = read_start_ticks();
	read_process_comm(&own);
	/* not of /proc/self, which has no program after the first thread has ended */
	LIVE_CHECK(!stat("/proc/thread-self/exe", &st), "/proc/thread-self/exe: %s",
		   strerror(errno));
	own.exe_inode = st.st_ino;
	own.exe_device = (uint32_t)st.st_dev;
	return own;
}
