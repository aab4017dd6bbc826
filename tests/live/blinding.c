/* SPDX-License-Identifier: Apache-2.0 */
#include "blinding.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host_limits.h"
#include "kernel.h"

#define STATE_BYTES 256 /* more than a session state has */
#define MAPS_OF_PROGRAM 32

struct live_cgroup blinding_above, blinding_cgroup;
struct agentsh_ebpf_tracer *blinding_tracer;
struct agentsh_ebpf_session *blinding_session;

void blinding_begin(void)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = BLINDING_HOOKS,
		.check_interval_ms = BLINDING_INTERVAL_MS,
	};

	live_cgroup_make(&blinding_above, NULL);
	live_cgroup_make(&blinding_cgroup, &blinding_above);
	blinding_tracer = live_open(&options);
	blinding_session = live_attach(blinding_tracer, &blinding_cgroup, 7);
}

void blinding_end(void)
{
	ck_assert_int_eq(agentsh_ebpf_session_detach(blinding_session), 0);
	live_close(blinding_tracer);
}

struct agentsh_ebpf_session_check blinding_check(void)
{
	struct agentsh_ebpf_session_check out = {.size = sizeof(out)};
	int ret = agentsh_ebpf_session_check(blinding_session, &out);

	LIVE_CHECK(!ret, "check: %d", ret);
	return out;
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int open_id(int command, uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id; /* prog_id, map_id and link_id share one place */
	return bpf(command, &attr);
}

/* A descriptor of the cgroup's only link of this attach type. */
static int open_link(const struct live_cgroup *cgroup, uint32_t attach_type)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	while (!bpf(BPF_LINK_GET_NEXT_ID, &attr)) {
		int fd = open_id(BPF_LINK_GET_FD_BY_ID, attr.next_id);
		struct bpf_link_info info;

		memset(&info, 0, sizeof(info));
		if (fd >= 0 && kernel_info_of(fd, &info, sizeof(info)) &&
		    info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == cgroup->id &&
		    info.cgroup.attach_type == attach_type)
			return fd;
		if (fd >= 0)
			close(fd);
		attr.start_id = attr.next_id;
	}
	LIVE_FAIL("no link of attach type %u: %s", attach_type, strerror(errno));
}

/* A descriptor of the only program attached to the cgroup itself. */
static int open_program(const struct live_cgroup *cgroup, uint32_t attach_type)
{
	union bpf_attr attr;
	uint32_t id = 0;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup->fd;
	attr.query.attach_type = attach_type;
	attr.query.prog_ids = (uintptr_t)&id;
	attr.query.prog_cnt = 1;
	LIVE_CHECK(!bpf(BPF_PROG_QUERY, &attr), "BPF_PROG_QUERY: %s", strerror(errno));
	fd = open_id(BPF_PROG_GET_FD_BY_ID, id);
	LIVE_CHECK(fd >= 0, "program %u: %s", id, strerror(errno));
	return fd;
}

void blinding_detach_link(const struct live_cgroup *cgroup, uint32_t attach_type)
{
	int link = open_link(cgroup, attach_type);
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_detach.link_fd = (uint32_t)link;
	LIVE_CHECK(!bpf(BPF_LINK_DETACH, &attr), "BPF_LINK_DETACH: %s", strerror(errno));
	close(link);
}

/* A program that does nothing; it was attached to a cgroup that is gone again. */
static int other_program(uint32_t attach_type)
{
	struct live_cgroup other;
	int program;

	live_cgroup_make(&other, NULL);
	program = host_attach_other(other.fd, attach_type, BPF_F_ALLOW_MULTI);
	LIVE_CHECK(program >= 0, "another program: %s", strerror(errno));
	live_cgroup_remove(&other);
	return program;
}

bool blinding_update_link(const struct live_cgroup *cgroup, uint32_t attach_type)
{
	int link = open_link(cgroup, attach_type), program = other_program(attach_type);
	union bpf_attr attr;
	bool done;

	memset(&attr, 0, sizeof(attr));
	attr.link_update.link_fd = (uint32_t)link;
	attr.link_update.new_prog_fd = (uint32_t)program;
	done = !bpf(BPF_LINK_UPDATE, &attr);
	LIVE_CHECK(done || errno == EINVAL, "BPF_LINK_UPDATE: %s", strerror(errno));
	close(link);
	close(program);
	return done;
}

static int open_state_map(const struct live_cgroup *cgroup, uint32_t attach_type)
{
	int program = open_program(cgroup, attach_type);
	uint32_t ids[MAPS_OF_PROGRAM];
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	info.nr_map_ids = MAPS_OF_PROGRAM;
	info.map_ids = (uintptr_t)ids;
	LIVE_CHECK(kernel_info_of(program, &info, sizeof(info)), "program: %s", strerror(errno));
	close(program);
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		int map = open_id(BPF_MAP_GET_FD_BY_ID, ids[i]);
		struct bpf_map_info map_info;

		memset(&map_info, 0, sizeof(map_info));
		if (map >= 0 && kernel_info_of(map, &map_info, sizeof(map_info)) &&
		    map_info.type == BPF_MAP_TYPE_CGROUP_STORAGE &&
		    map_info.value_size <= STATE_BYTES)
			return map;
		if (map >= 0)
			close(map);
	}
	LIVE_FAIL("no cgroup storage");
}

void blinding_clear_state(const struct live_cgroup *cgroup, uint32_t attach_type)
{
	const struct bpf_cgroup_storage_key key = {cgroup->id, attach_type};
	const unsigned char zero[STATE_BYTES] = {0};
	int map = open_state_map(cgroup, attach_type);
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)zero;
	LIVE_CHECK(!bpf(BPF_MAP_UPDATE_ELEM, &attr), "BPF_MAP_UPDATE_ELEM: %s", strerror(errno));
	close(map);
}

bool blinding_detach_program(const struct live_cgroup *cgroup, uint32_t attach_type)
{
	int program = open_program(cgroup, attach_type), other = other_program(attach_type);
	union bpf_attr attr;
	bool done;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup->fd;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = attach_type;
	done = !bpf(BPF_PROG_DETACH, &attr);
	attr.attach_bpf_fd = (uint32_t)other;
	attr.attach_flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE;
	attr.replace_bpf_fd = (uint32_t)program;
	done |= !bpf(BPF_PROG_ATTACH, &attr);
	close(program);
	close(other);
	return done;
}
