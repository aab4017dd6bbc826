/* SPDX-License-Identifier: Apache-2.0 */
/* Creates, fills and removes cgroup v2 directories. */
#ifndef CGROUP_H
#define CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup {
	int fd;	       /* -1: none */
	int parent_fd; /* -1 unless cgroup_create() made the cgroup */
	uint64_t id;
	char path[PATH_MAX];
};

/* The result of cgroup_remove(). */
struct cgroup_rest {
	unsigned moved; /* processes moved out of the cgroup, still running */
	unsigned kept;	/* running processes that the parent does not accept */
	int error;	/* 0, or a negative errno value if the directory could not be removed */
};

/* These return 0 or a negative errno value. */
int cgroup_open(struct cgroup *c, const char *path);
int cgroup_create(struct cgroup *c, const char *parent); /* -EBADF: parent is no cgroup v2 */
int cgroup_add_process(int cgroup_fd, pid_t pid);

/*
 * Removes a cgroup made by cgroup_create() and all cgroups below it. Their processes are
 * moved to its parent. If the parent accepts none, the cgroup stays, so that the limits of
 * the parent keep applying to them.
 */
struct cgroup_rest cgroup_remove(struct cgroup *c);
void cgroup_close(struct cgroup *c);

#endif
