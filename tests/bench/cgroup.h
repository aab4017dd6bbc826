/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups below the cgroup of run.sh, which removes its cgroup with everything in it, however
 * this program ends.
 */
#ifndef BENCH_CGROUP_H
#define BENCH_CGROUP_H

#include <stdint.h>

struct cgroup {
	char path[512];
	int fd;
	uint64_t id; /* inode number of the directory */
};

/* Makes parent/name-number; parent comes from the command line. */
void cgroup_make(struct cgroup *cg, const char *parent, const char *name, unsigned number);
/* Opens an existing cgroup. */
void cgroup_open(struct cgroup *cg, const char *path);
/* Dies if processes stay in the cgroup: they would disturb the next measurement. */
void cgroup_remove(struct cgroup *cg);

/* Moves the calling process into the cgroup. */
void cgroup_enter(const struct cgroup *cg);

#endif
