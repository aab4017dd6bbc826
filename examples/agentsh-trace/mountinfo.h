/* SPDX-License-Identifier: Apache-2.0 */
/* Where cgroup v2 is mounted and where in it a process is. No I/O. */
#ifndef MOUNTINFO_H
#define MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The directory of a process's own cgroup, from the texts of its
 * /proc/PID/mountinfo and /proc/PID/cgroup: proc_pid_mountinfo(5), cgroups(7).
 * If no mount shows that cgroup (a container may see another part of the tree),
 * the first mount of cgroup v2. False where there is none, or path is too small.
 */
bool mountinfo_own_cgroup(const char *mountinfo, size_t mountinfo_len, const char *cgroup,
			  size_t cgroup_len, char *path, size_t size);

#endif
