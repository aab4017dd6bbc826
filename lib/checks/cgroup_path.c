/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/cgroup_path.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include <agentsh/ebpf.h>

#include "base/files.h"

/* If the path cannot be examined, the mount table is believed. */
static bool is_cgroup2_mount(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs))
		return errno != ENOENT && errno != ENOTDIR;
	return fs.f_type == CGROUP2_SUPER_MAGIC;
}

int agentsh_mounts_find(struct agentsh_mounts *out)
{
	size_t mounts_len = 0, own_len = 0;
	char *mounts = agentsh_read_all("/proc/self/mountinfo", &mounts_len), *own;

	memset(out, 0, sizeof(*out));
	if (!mounts)
		return -errno;
	own = agentsh_read_all("/proc/self/cgroup", &own_len);
	agentsh_mountinfo_parse(mounts, mounts_len, own ? own : "", own ? own_len : 0,
				is_cgroup2_mount, out);
	free(own);
	free(mounts);
	return 0;
}

int agentsh_ebpf_cgroup_path(char *path, size_t size)
{
	struct agentsh_mounts found;
	const char *best;
	size_t len;
	int ret;

	if (!path)
		return -EFAULT;
	ret = agentsh_mounts_find(&found);
	if (ret)
		return ret;
	best = found.own[0] ? found.own : found.mount;
	if (!best[0])
		return found.v2 ? -ENAMETOOLONG : -ENODEV;
	len = strlen(best);
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(path, best, len + 1);
	return 0;
}
