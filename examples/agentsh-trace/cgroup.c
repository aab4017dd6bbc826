/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <agentsh/ebpf.h>

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

int cgroup_create(struct cgroup *c, const char *parent)
{
	char path[PATH_MAX];
	int parent_fd, ret;

	*c = (struct cgroup){.fd = -1, .parent_fd = -1};
	parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0)
		return -errno;
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
	int own_fd; /* our cgroup, the fallback: a parent with controllers enabled for its
		       children accepts no processes */
	unsigned moved;
} removal;

static int open_own_cgroup(void)
{
	char path[PATH_MAX];

	if (agentsh_ebpf_cgroup_path(path, sizeof(path)))
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool move_out(pid_t pid)
{
	return !cgroup_add_process(removal.parent_fd, pid) ||
	       !cgroup_add_process(removal.own_fd, pid);
}

/* Counts in removal.moved only processes that are still alive. */
static void move_processes(const char *directory)
{
	char path[PATH_MAX + sizeof("/cgroup.procs")];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fscanf(file, "%d", &pid) == 1)
		/* 0: a process that our PID namespace cannot name; writing 0 would move us */
		if (pid > 0 && move_out(pid))
			removal.moved++;
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
	removal.own_fd = -1;
	for (int i = 0; i < REMOVALS_TRIED; i++) {
		rest.error = rmdir(c->path) && errno != ENOENT ? -errno : 0;
		if (rest.error != -EBUSY)
			break;
		if (removal.own_fd < 0)
			removal.own_fd = open_own_cgroup();
		removal.moved = 0;
		nftw(c->path, empty_cgroup, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		rest.moved += removal.moved;
		if (i)
			nanosleep(&moment, NULL);
	}
	if (removal.own_fd >= 0)
		close(removal.own_fd);
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
