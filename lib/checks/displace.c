/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel runs the programs of a cgroup and of its ancestors. It leaves out an ancestor's
 * program that was attached with BPF_F_ALLOW_OVERRIDE if a cgroup below has a program of its
 * own (compute_effective_progs() in kernel/bpf/cgroup.c). Programs attached with
 * BPF_F_ALLOW_MULTI, which includes every link, are kept; below an exclusive program the kernel
 * refuses a link.
 */
#include "checks/displace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/low_fds.h"

/* Inode number of the root of cgroup v2, which no cgroup below has (cgroup_init(), kernel 5.5). */
#define HIERARCHY_ROOT 1

/* Returns the number of programs, also if there are more than max, or a negative errno value. */
static int query(int cgroup_fd, uint32_t attach_type, uint32_t query_flags, uint32_t *ids,
		 uint32_t max, uint32_t *attach_flags)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts, .query_flags = query_flags, .prog_ids = ids,
		    .prog_cnt = max);
	int ret = bpf_prog_query_opts(cgroup_fd, attach_type, &opts);

	if (attach_flags)
		*attach_flags = opts.attach_flags;
	return ret && ret != -ENOSPC ? ret : (int)opts.prog_cnt;
}

int agentsh_effective_programs(int cgroup_fd, uint32_t attach_type, uint32_t *ids, uint32_t max)
{
	return query(cgroup_fd, attach_type, BPF_F_QUERY_EFFECTIVE, ids, max, NULL);
}

/* Opens the cgroup above, or returns -1 if this mount or this process does not show it. */
static int open_parent(int cgroup_fd)
{
	/* ".." of the mount's root would lead to a directory that is not an ancestor */
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_NO_XDEV};
	int fd = (int)syscall(SYS_openat2, cgroup_fd, "..", &how, sizeof(how));
	struct stat here, above;

	if (fd < 0)
		return -1;
	if (!fstat(cgroup_fd, &here) && !fstat(fd, &above) && here.st_ino != above.st_ino)
		return fd;
	close(fd); /* ".." of the process's root is the root itself */
	return -1;
}

static bool is_hierarchy_root(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_ino == HIERARCHY_ROOT;
}

/*
 * Finds the nearest visible ancestor with programs. If all ancestors are visible and none has
 * programs any more, their owners have detached them. Returns 0 or a negative errno value.
 */
static int find_above(int cgroup_fd, uint32_t attach_type, struct agentsh_displaced *d)
{
	int fd = open_parent(cgroup_fd), count = 0;

	while (fd >= 0) {
		uint32_t id = 0, flags = 0;
		int next;

		count = query(fd, attach_type, 0, &id, 1, &flags);
		if (count > 0 && flags & BPF_F_ALLOW_OVERRIDE) {
			d->answer = AGENTSH_DISPLACES_PROGRAM;
			d->program_id = id;
		} else if (count > 0 || (!count && is_hierarchy_root(fd))) {
			d->answer = AGENTSH_DISPLACES_NOTHING;
		}
		next = count ? -1 : open_parent(fd);
		close(fd);
		fd = next;
	}
	return count < 0 ? count : 0;
}

int agentsh_displaced_find(int cgroup_fd, uint32_t attach_type, struct agentsh_displaced *d)
{
	struct agentsh_low_fds low;
	int ret = agentsh_effective_programs(cgroup_fd, attach_type, d->before,
					     AGENTSH_EFFECTIVE_MAX);

	d->answer = AGENTSH_DISPLACES_NOTHING;
	d->count = 0;
	if (ret <= 0)
		return ret;
	d->count = ret < AGENTSH_EFFECTIVE_MAX ? (uint32_t)ret : AGENTSH_EFFECTIVE_MAX;
	ret = query(cgroup_fd, attach_type, 0, NULL, 0, NULL);
	if (ret) /* a program of this cgroup has displaced the others already */
		return ret < 0 ? ret : 0;
	d->answer = AGENTSH_DISPLACES_UNKNOWN;
	d->program_id = d->before[0];
	agentsh_low_fds_hold(&low);
	ret = find_above(cgroup_fd, attach_type, d);
	agentsh_low_fds_release(&low);
	return ret;
}

static uint32_t occurrences(uint32_t id, const uint32_t *ids, uint32_t count)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < count; i++)
		found += ids[i] == id;
	return found;
}

int agentsh_displaced_look(int cgroup_fd, uint32_t attach_type, struct agentsh_displaced *d)
{
	uint32_t after[AGENTSH_EFFECTIVE_MAX + 1]; /* the link adds one */
	uint32_t count;
	int ret;

	if (d->answer != AGENTSH_DISPLACES_UNKNOWN)
		return 0;
	ret = agentsh_effective_programs(cgroup_fd, attach_type, after, AGENTSH_EFFECTIVE_MAX + 1);
	if (ret < 0)
		return ret;
	count = ret <= AGENTSH_EFFECTIVE_MAX ? (uint32_t)ret : AGENTSH_EFFECTIVE_MAX + 1;
	d->answer = AGENTSH_DISPLACES_NOTHING;
	for (uint32_t i = 0; i < d->count; i++) {
		if (occurrences(d->before[i], after, count) >=
		    occurrences(d->before[i], d->before, d->count))
			continue;
		d->answer = AGENTSH_DISPLACES_PROGRAM;
		d->program_id = d->before[i];
		break;
	}
	return 0;
}

/* The name needs CAP_SYS_ADMIN (BPF_PROG_GET_FD_BY_ID). */
void agentsh_program_describe(uint32_t program_id, char *text, size_t size)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program_id);

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len))
		info.name[0] = '\0';
	if (fd >= 0)
		close(fd);
	snprintf(text, size, info.name[0] ? "program %u (%.15s)" : "program %u", program_id,
		 info.name);
}
