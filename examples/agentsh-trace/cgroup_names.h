/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of the cgroups of recent events, each resolved once. */
#ifndef CGROUP_NAMES_H
#define CGROUP_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "cgroup.h"

#define CGROUP_NAMES_MAX 128

struct cgroup_name {
	uint64_t id; /* 0: free */
	char *path;  /* NULL: the cgroup was not found */
};

struct cgroup_names {
	int fd; /* of the traced cgroup; -1: none */
	uint64_t id;
	char path[PATH_MAX];
	size_t next; /* the name to replace */
	struct cgroup_name names[CGROUP_NAMES_MAX];
};

void cgroup_names_open(struct cgroup_names *names, const struct cgroup *traced);
void cgroup_names_close(struct cgroup_names *names);

/* NULL: the cgroup is gone, or cannot be found. Valid until the next call. */
const char *cgroup_names_find(struct cgroup_names *names, uint64_t id);

#endif
