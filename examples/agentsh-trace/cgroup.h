/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup v2 directories: making, filling and removing them. */
#ifndef CGROUP_H
#define CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup {
	int fd;	       /* -1: none */
	int parent_fd; /* of one that we made; else -1 */
	uint64_t id;
	char path[PATH_MAX];
};

/* What cgroup_remove() found. */
struct cgroup_rest {
	unsigned moved; /* processes that went on outside */
	int error;	/* 0, or the negative errno value of what is still there */
};

/* All return 0 or a negative errno value. */
int cgroup_open(struct cgroup *c, const char *path);
int cgroup_create(struct cgroup *c, const char *parent);
int cgroup_add_process(int cgroup_fd, pid_t pid);

/* Removes one that we made and all below it; their processes go to its parent, or to our own. */
struct cgroup_rest cgroup_remove(struct cgroup *c);
void cgroup_close(struct cgroup *c);

#endif
