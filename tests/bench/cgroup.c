/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "util.h"

void cgroup_make(struct cgroup *cg, const char *parent, const char *name, unsigned number)
{
	char path[sizeof(cg->path)];
	int n = snprintf(path, sizeof(path), "%s/%s-%u", parent, name, number);

	if (n < 0 || (size_t)n >= sizeof(path))
		die("cgroup path too long");
	if (mkdir(path, 0755) && errno != EEXIST)
		die("mkdir %s: %m", path);
	cgroup_open(cg, path);
}

void cgroup_open(struct cgroup *cg, const char *path)
{
	struct stat st;

	snprintf(cg->path, sizeof(cg->path), "%s", path);
	cg->fd = open(cg->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cg->fd < 0 || fstat(cg->fd, &st))
		die("open %s: %m", cg->path);
	cg->id = st.st_ino;
}

void cgroup_remove(struct cgroup *cg)
{
	close(cg->fd);
	/* a process that has ended may count for a moment longer */
	for (int i = 0; rmdir(cg->path); i++) {
		if (errno != EBUSY || i == 400)
			die("rmdir %s: %m", cg->path);
		usleep(5000);
	}
}

void cgroup_enter(const struct cgroup *cg)
{
	int fd = openat(cg->fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		die("cannot enter %s: %m", cg->path);
	close(fd);
}
