/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "decimal.h"

#define NAMES_TRIED 1000   /* killed runs may have left directories with the first names */
#define REMOVALS_TRIED 100 /* 10 ms apart, because processes take a moment to end */

int cgroup_open(struct cgroup *c, const char *path)
{
	struct stat st;

	*c = (struct cgroup){.fd = -1, .parent_fd = -1};
	if ((size_t)snprintf(c->path, sizeof(c->path), "%s", path) >= sizeof(c->path))
		return -ENAMETOOLONG;
	c->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->fd < 0 || fstat(c->fd, &st)) {
		int error = errno;

		cgroup_close(c);
		return -error;
	}
	c->id = st.st_ino;
	return 0;
}

/* Returns a descriptor or a negative errno value. */
static int open_parent(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return -errno;
	if (!fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC)
		return fd;
	close(fd);
	return -EBADF;
}

int cgroup_create(struct cgroup *c, const char *parent)
{
	char path[PATH_MAX];
	int parent_fd, ret;

	*c = (struct cgroup){.fd = -1, .parent_fd = -1};
	parent_fd = open_parent(parent);
	if (parent_fd < 0)
		return parent_fd;
	for (int i = 0; i < NAMES_TRIED; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/agentsh-trace.%d.%d", parent, getpid(),
				     i) >= sizeof(path)) {
			ret = -ENAMETOOLONG;
			break;
		}
		ret = mkdir(path, 0755) ? -errno : 0;
		if (ret != -EEXIST)
			break;
	}
	if (!ret) {
		ret = cgroup_open(c, path);
		if (ret)
			rmdir(path);
	}
	if (ret)
		close(parent_fd);
	else
		c->parent_fd = parent_fd;
	return ret;
}

int cgroup_add_process(int cgroup_fd, pid_t pid)
{
	int fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || dprintf(fd, "%d", pid) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

/* The state of cgroup_remove(): nftw(3) passes no context to its callback. */
static struct {
	int parent_fd;
	unsigned moved;
	unsigned kept;
} removal;

/* Counts only a process that is still alive. */
static void move_out(pid_t pid)
{
	int ret = cgroup_add_process(removal.parent_fd, pid);

	if (!ret)
		removal.moved++;
	else if (ret != -ESRCH)
		removal.kept++;
}

static void move_processes(const char *directory)
{
	char path[PATH_MAX + sizeof("/cgroup.procs")], line[32];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		const char *at = line;
		uint64_t pid;

		/* 0: a process that our PID namespace cannot name; writing 0 would move us */
		if (decimal_take(&at, &pid) && pid > 0)
			move_out((pid_t)pid);
	}
	fclose(file);
}

/* Empties a cgroup, and removes it unless it is the one at the top. */
static int empty_cgroup(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	if (type == FTW_DP) {
		move_processes(path);
		if (ftw->level)
			rmdir(path);
	}
	return 0;
}

struct cgroup_rest cgroup_remove(struct cgroup *c)
{
	const struct timespec moment = {.tv_nsec = 10000000};
	struct cgroup_rest rest = {0};

	removal.parent_fd = c->parent_fd;
	for (int i = 0; i < REMOVALS_TRIED; i++) {
		rest.error = rmdir(c->path) && errno != ENOENT ? -errno : 0;
		if (rest.error != -EBUSY)
			break;
		removal.moved = removal.kept = 0;
		nftw(c->path, empty_cgroup, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		rest.moved += removal.moved;
		if (i)
			nanosleep(&moment, NULL);
	}
	if (rest.error)
		rest.kept = removal.kept;
	cgroup_close(c);
	return rest;
}

void cgroup_close(struct cgroup *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->parent_fd >= 0)
		close(c->parent_fd);
	c->fd = c->parent_fd = -1;
}
