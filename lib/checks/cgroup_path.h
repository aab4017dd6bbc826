/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup v2 mounts of this process. */
#ifndef AGENTSH_CHECKS_CGROUP_PATH_H
#define AGENTSH_CHECKS_CGROUP_PATH_H

#include "checks/mountinfo.h"

/* Returns 0, or the negative errno value of reading /proc/self/mountinfo. */
int agentsh_mounts_find(struct agentsh_mounts *out);

#endif
