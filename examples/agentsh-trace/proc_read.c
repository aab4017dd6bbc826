/* SPDX-License-Identifier: Apache-2.0 */
#include "proc_read.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "decimal.h"

#define START_FIELD 22
#define NS_PER_S INT64_C(1000000000)

/* Reads at most size bytes; returns their number, or -1 if nothing can be read. */
static ssize_t read_file(int directory, const char *name, char *bytes, size_t size)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t length = 0;
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	while (length < size && (n = read(fd, bytes + length, size - length)) > 0)
		length += (size_t)n;
	close(fd);
	return n < 0 && !length ? -1 : (ssize_t)length;
}

/* Reads a text of less than size bytes and adds a NUL. */
static bool read_text(int directory, const char *name, char *text, size_t size)
{
	ssize_t n = read_file(directory, name, text, size - 1);

	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

/* Takes a decimal number and returns what follows it; NULL: there is none. */
static const char *take_number(const char *at, int64_t *number)
{
	uint64_t value;
	bool negative;

	while (*at == ' ' || *at == '\t')
		at++;
	negative = *at == '-';
	at += negative;
	if (!decimal_take(&at, &value) || value > INT64_MAX)
		return NULL;
	*number = negative ? -(int64_t)value : (int64_t)value;
	return at;
}

bool proc_parse_start(const char *stat, size_t size, uint64_t *ticks)
{
	/* The second field is the name of the process, which may contain ") R 1 (". */
	const char *at = memrchr(stat, ')', size), *end = stat + size;
	uint64_t value = 0;
	int digits = 0;

	if (!at)
		return false;
	for (int field = 2; field < START_FIELD; field++) {
		at = memchr(at, ' ', (size_t)(end - at));
		if (!at)
			return false;
		at++;
	}
	for (; at < end && *at >= '0' && *at <= '9'; at++, digits++)
		value = value * 10 + (uint64_t)(*at - '0');
	*ticks = value;
	/* A number without a space behind it may have been cut. */
	return digits > 0 && digits < 20 && at < end && *at == ' ';
}

bool proc_parse_offset(const char *offsets, int64_t *offset_ns)
{
	const int64_t max = INT64_MAX / NS_PER_S - 1;
	const char *at = strstr(offsets, "boottime");
	int64_t seconds, ns;

	if (at)
		at = take_number(at + strlen("boottime"), &seconds);
	if (!at || !take_number(at, &ns))
		return false;
	if (seconds > max || seconds < -max || ns < 0 || ns >= NS_PER_S)
		return false;
	*offset_ns = seconds * NS_PER_S + ns;
	return true;
}

bool proc_parse_levels(const char *status, unsigned *levels)
{
	static const char label[] = "\nNSpid:";
	/* The name of the process, in the first line, shows a line feed as "\n". */
	const char *at = strstr(status, label);
	int64_t number;

	if (!at)
		return false;
	at += strlen(label);
	for (*levels = 0; *at == '\t'; (*levels)++) {
		at = take_number(at + 1, &number);
		if (!at)
			return false;
	}
	return *levels > 0 && *at == '\n';
}

bool proc_view_open(struct proc_view *view)
{
	long ticks = sysconf(_SC_CLK_TCK);
	unsigned levels;
	static char text[65536]; /* the groups of this process can be many */
	struct statfs fs;

	view->fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (view->fd < 0)
		return false;
	if (fstatfs(view->fd, &fs) || fs.f_type != PROC_SUPER_MAGIC || ticks <= 0 ||
	    !read_text(view->fd, "self/status", text, sizeof(text)) ||
	    !proc_parse_levels(text, &levels) || levels != 1) {
		close(view->fd);
		return false;
	}
	view->tick_ns = (uint64_t)NS_PER_S / (uint64_t)ticks;
	/* A kernel without time namespaces has no such file. */
	if (!read_text(view->fd, "self/timens_offsets", text, sizeof(text)) ||
	    !proc_parse_offset(text, &view->offset_ns))
		view->offset_ns = 0;
	return true;
}

static bool has_started_at(const struct proc_view *view, int process, uint64_t start_ns)
{
	char stat[2048];
	ssize_t n = read_file(process, "stat", stat, sizeof(stat));
	uint64_t ticks;

	return n > 0 && proc_parse_start(stat, (size_t)n, &ticks) &&
	       ticks == (start_ns + (uint64_t)view->offset_ns) / view->tick_ns;
}

/* The device is not compared, because overlayfs and btrfs show another one. */
static bool executes(int process, uint64_t exe_inode)
{
	struct statx st;

	/* AT_STATX_DONT_SYNC: the program may be on a file system that does not answer. */
	return !statx(process, "exe", AT_STATX_DONT_SYNC, STATX_INO, &st) &&
	       st.stx_ino == exe_inode;
}

static bool read_exe(int process, struct proc_found *found)
{
	ssize_t n = readlinkat(process, "exe", found->bytes, PROC_EXE_MAX);

	if (n <= 0 || n == PROC_EXE_MAX)
		return false;
	found->exe_size = (uint32_t)n;
	return true;
}

static bool read_args(int process, struct proc_found *found)
{
	char args[PROC_ARGS_MAX + 1];
	ssize_t n = read_file(process, "cmdline", args, sizeof(args));

	if (n < 0)
		return false;
	found->args_cut = n > PROC_ARGS_MAX;
	found->args_size = found->args_cut ? PROC_ARGS_MAX : (uint32_t)n;
	memcpy(found->bytes + found->exe_size, args, found->args_size);
	return true;
}

void proc_read(const struct proc_view *view, const struct proc_identity *id,
	       struct proc_found *found)
{
	char name[16];
	int process;

	*found = (struct proc_found){0};
	snprintf(name, sizeof(name), "%" PRIu32, id->pid);
	/* This descriptor stands for the process, not for the number, which may be used again. */
	process = openat(view->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return;
	if (has_started_at(view, process, id->start_ns) && executes(process, id->exe_inode)) {
		found->has_exe = read_exe(process, found);
		found->has_args = found->has_exe && read_args(process, found);
	}
	/* The process may have ended, or have executed another program. */
	if (!has_started_at(view, process, id->start_ns) || !executes(process, id->exe_inode))
		*found = (struct proc_found){0};
	close(process);
}
