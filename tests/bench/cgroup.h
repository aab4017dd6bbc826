/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups below the one that run.sh makes and removes, with all that is in it,
 * however this program ends.
 */
#ifndef BENCH_CGROUP_H
#define BENCH_CGROUP_H

#include <stdint.h>

struct cgroup {
	char path[512];
	int fd;
	uint64_t id; /* inode number of the directory */
};

/* name is a number below one parent; parent from the command line. */
void cgroup_make(struct cgroup *cg, const char *parent, const char *name, unsigned number);
/* One that is there. */
void cgroup_look(struct cgroup *cg, const char *path);
void cgroup_remove(struct cgroup *cg);

/* Moves the calling process. */
void cgroup_enter(const struct cgroup *cg);

#endif
