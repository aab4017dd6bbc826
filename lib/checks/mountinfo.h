/* SPDX-License-Identifier: Apache-2.0 */
/* Where cgroup v2 is mounted. */
#ifndef AGENTSH_CHECKS_MOUNTINFO_H
#define AGENTSH_CHECKS_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agentsh_mounts {
	uint32_t v2;	      /* visible mounts of cgroup v2 */
	uint32_t hidden;      /* mounts of cgroup v2 that another mount hides */
	bool v1;	      /* a mount of cgroup v1 exists */
	char mount[PATH_MAX]; /* the first visible mount; empty: none, or its path is too long */
	char own[PATH_MAX];   /* directory of this process's cgroup; empty: not visible */
};

/*
 * Parses /proc/self/mountinfo and /proc/self/cgroup. is_cgroup2_mount tells whether cgroup
 * v2 is visible at a path, which another mount may hide; NULL: every mount is visible.
 */
void agentsh_mountinfo_parse(const char *mountinfo, size_t mountinfo_len, const char *cgroup,
			     size_t cgroup_len, bool (*is_cgroup2_mount)(const char *path),
			     struct agentsh_mounts *out);

#endif
