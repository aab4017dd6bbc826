/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include "progs.h"
#include "util.h"

static int get_info(__u32 id, struct bpf_prog_info *info)
{
	__u32 size = sizeof(*info);
	int fd = bpf_prog_get_fd_by_id(id);
	int err;

	if (fd < 0)
		return fd; /* the program has been unloaded */
	*info = (struct bpf_prog_info){0};
	err = bpf_obj_get_info_by_fd(fd, info, &size);
	close(fd);
	return err;
}

static unsigned count(int type)
{
	struct bpf_prog_info info;
	unsigned n = 0;
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id))
		if (type < 0 || (!get_info(id, &info) && info.type == (__u32)type))
			n++;
	return n;
}

unsigned progs_loaded(void)
{
	return count(-1);
}

unsigned progs_at_sock_addr(void)
{
	return count(BPF_PROG_TYPE_CGROUP_SOCK_ADDR);
}

int progs_timing_on(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0)
		die("bpf_enable_stats: %m");
	return fd;
}

struct prog_time progs_time(int cgroup_fd, enum bpf_attach_type type)
{
	struct prog_time sum = {0, 0};
	__u32 ids[64], n = 64;

	if (bpf_prog_query(cgroup_fd, type, 0, NULL, ids, &n))
		die("bpf_prog_query: %m");
	for (__u32 i = 0; i < n; i++) {
		struct bpf_prog_info info;

		if (get_info(ids[i], &info))
			die("program %u: %m", ids[i]);
		sum.run_ns += info.run_time_ns;
		sum.runs += info.run_cnt;
	}
	return sum;
}
