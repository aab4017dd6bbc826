/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "live.h"

#define MAPS_OF_PROGRAM 32
#define WAIT_STEP_NS 5000000
#define WAIT_STEPS 4000

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* The next id, or 0 at the end of the list. */
static uint32_t next_id(int command, uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.start_id = id;
	if (!bpf(command, &attr))
		return attr.next_id;
	LIVE_CHECK(errno == ENOENT, "bpf(%d): %s", command, strerror(errno));
	return 0;
}

/* Returns -1 if the object is gone meanwhile. */
static int open_id(int command, uint32_t id)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id; /* prog_id, map_id and link_id share one place */
	fd = bpf(command, &attr);
	LIVE_CHECK(fd >= 0 || errno == ENOENT || errno == EAGAIN, "bpf(%d): %s", command,
		   strerror(errno));
	return fd;
}

bool kernel_info_of(int fd, void *info, size_t size)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = (uint32_t)size;
	attr.info.info = (uintptr_t)info;
	return !bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

static uint32_t map_entries(uint32_t id)
{
	int fd = open_id(BPF_MAP_GET_FD_BY_ID, id);
	struct bpf_map_info info;

	memset(&info, 0, sizeof(info));
	if (fd >= 0) {
		LIVE_CHECK(kernel_info_of(fd, &info, sizeof(info)), "map info: %s",
			   strerror(errno));
		close(fd);
	}
	return strncmp(info.name, "agentsh", 7) ? 0 : info.max_entries;
}

size_t kernel_maps_named(const char *name)
{
	size_t count = 0;

	for (uint32_t id = 0; (id = next_id(BPF_MAP_GET_NEXT_ID, id));) {
		int fd = open_id(BPF_MAP_GET_FD_BY_ID, id);
		struct bpf_map_info info;

		memset(&info, 0, sizeof(info));
		if (fd < 0)
			continue;
		count += kernel_info_of(fd, &info, sizeof(info)) && !strcmp(info.name, name);
		close(fd);
	}
	return count;
}

static bool has(const uint32_t *list, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == id)
			return true;
	return false;
}

static void add(uint32_t *list, size_t *count, uint32_t id)
{
	if (has(list, *count, id))
		return;
	LIVE_CHECK(*count < KERNEL_IDS_MAX, "more than %d", KERNEL_IDS_MAX);
	list[(*count)++] = id;
}

static void add_program(struct kernel_ids *ids, uint32_t id, uint32_t marker)
{
	uint32_t maps[MAPS_OF_PROGRAM];
	struct bpf_prog_info info;
	bool ours = false, known;
	int fd = open_id(BPF_PROG_GET_FD_BY_ID, id);

	if (fd < 0)
		return;
	memset(&info, 0, sizeof(info));
	info.nr_map_ids = MAPS_OF_PROGRAM;
	info.map_ids = (uintptr_t)maps;
	known = kernel_info_of(fd, &info, sizeof(info));
	close(fd);
	if (!known || strncmp(info.name, "agentsh", 7))
		return;
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_OF_PROGRAM; i++)
		ours |= map_entries(maps[i]) == marker;
	if (!ours)
		return;
	add(ids->program, &ids->programs, id);
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_OF_PROGRAM; i++)
		add(ids->map, &ids->maps, maps[i]);
}

static void add_link(struct kernel_ids *ids, uint32_t id)
{
	int fd = open_id(BPF_LINK_GET_FD_BY_ID, id);
	struct bpf_link_info info;

	if (fd < 0)
		return;
	memset(&info, 0, sizeof(info));
	if (kernel_info_of(fd, &info, sizeof(info)) &&
	    has(ids->program, ids->programs, info.prog_id))
		add(ids->link, &ids->links, id);
	close(fd);
}

uint32_t kernel_new_marker(void)
{
	static uint32_t calls;

	/* 16 numbers per process, so that two simultaneous runs hardly ever collide */
	return 1000 + ((uint32_t)getpid() * 16 + calls++) % 64000;
}

void kernel_ids(uint32_t marker, struct kernel_ids *ids)
{
	memset(ids, 0, sizeof(*ids));
	for (uint32_t id = 0; (id = next_id(BPF_PROG_GET_NEXT_ID, id));)
		add_program(ids, id, marker);
	/* maps that no program holds any more */
	for (uint32_t id = 0; (id = next_id(BPF_MAP_GET_NEXT_ID, id));)
		if (map_entries(id) == marker)
			add(ids->map, &ids->maps, id);
	for (uint32_t id = 0; (id = next_id(BPF_LINK_GET_NEXT_ID, id));)
		add_link(ids, id);
}

static bool any_left(int command, const uint32_t *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int fd = open_id(command, list[i]);

		if (fd >= 0) {
			close(fd);
			return true;
		}
	}
	return false;
}

static void wait_step(void)
{
	const struct timespec step = {.tv_nsec = WAIT_STEP_NS};

	nanosleep(&step, NULL);
}

bool kernel_gone(const struct kernel_ids *ids)
{
	for (int i = 0; i < WAIT_STEPS; i++) {
		if (!any_left(BPF_LINK_GET_FD_BY_ID, ids->link, ids->links) &&
		    !any_left(BPF_PROG_GET_FD_BY_ID, ids->program, ids->programs) &&
		    !any_left(BPF_MAP_GET_FD_BY_ID, ids->map, ids->maps))
			return true;
		wait_step();
	}
	return false;
}

bool kernel_links_become(uint32_t marker, size_t count)
{
	static struct kernel_ids ids;

	for (int i = 0; i < WAIT_STEPS; i++) {
		kernel_ids(marker, &ids);
		if (ids.links == count)
			return true;
		wait_step();
	}
	return false;
}

unsigned int kernel_attached(int cgroup_fd)
{
	static const uint32_t types[] = {
		BPF_CGROUP_INET4_CONNECT,
		BPF_CGROUP_INET6_CONNECT,
		BPF_CGROUP_UDP4_SENDMSG,
		BPF_CGROUP_UDP6_SENDMSG,
	};
	unsigned int count = 0;

	for (size_t i = 0; i < LIVE_COUNT(types); i++) {
		union bpf_attr attr;

		memset(&attr, 0, sizeof(attr));
		attr.query.target_fd = (uint32_t)cgroup_fd;
		attr.query.attach_type = types[i];
		LIVE_CHECK(!bpf(BPF_PROG_QUERY, &attr), "BPF_PROG_QUERY: %s", strerror(errno));
		count += attr.query.prog_cnt;
	}
	return count;
}

size_t kernel_effective(int cgroup_fd, uint32_t attach_type, uint32_t ids[KERNEL_IDS_MAX])
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup_fd;
	attr.query.attach_type = attach_type;
	attr.query.query_flags = BPF_F_QUERY_EFFECTIVE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = KERNEL_IDS_MAX;
	LIVE_CHECK(!bpf(BPF_PROG_QUERY, &attr), "BPF_PROG_QUERY: %s", strerror(errno));
	return attr.query.prog_cnt;
}

uint32_t kernel_program_id(int program_fd)
{
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	LIVE_CHECK(kernel_info_of(program_fd, &info, sizeof(info)), "program info: %s",
		   strerror(errno));
	return info.id;
}

const char *kernel_hides_tasks(void)
{
	int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	char lockdown[128] = "";

	if (fd >= 0) {
		ssize_t n = read(fd, lockdown, sizeof(lockdown) - 1);

		lockdown[n > 0 ? n : 0] = '\0';
		close(fd);
	}
	if (strstr(lockdown, "[confidentiality]"))
		return "the kernel is locked down";
	return access("/sys/kernel/btf/vmlinux", R_OK) ? "the kernel has no BTF" : NULL;
}

static bool is_since(unsigned int major, unsigned int minor)
{
	unsigned int this_major = 0, this_minor = 0;
	struct utsname name;

	LIVE_CHECK(!uname(&name) && sscanf(name.release, "%u.%u", &this_major, &this_minor) == 2,
		   "uname: %s", strerror(errno));
	return this_major > major || (this_major == major && this_minor >= minor);
}

bool kernel_hooks_unix(void)
{
	return is_since(6, 7);
}

bool kernel_may_split_on_loopback(void)
{
	return !is_since(6, 1);
}

bool kernel_counts_memlock(void)
{
	union bpf_attr attr;
	struct rlimit limit;
	int fd;

	LIVE_CHECK(!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur < 1U << 30,
		   "there is no limit");
	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = 4096;
	attr.max_entries = (uint32_t)(limit.rlim_cur / 4096 + 1);
	fd = bpf(BPF_MAP_CREATE, &attr);
	LIVE_CHECK(fd >= 0 || errno == EPERM, "BPF_MAP_CREATE: %s", strerror(errno));
	if (fd < 0)
		return true;
	close(fd);
	return false;
}

int kernel_refuse_at(int cgroup_fd, uint32_t attach_type)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr;
	int prog, link;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
	attr.expected_attach_type = attach_type;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = LIVE_COUNT(code);
	attr.license = (uintptr_t) "";
	prog = bpf(BPF_PROG_LOAD, &attr);
	LIVE_CHECK(prog >= 0, "BPF_PROG_LOAD: %s", strerror(errno));

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)prog;
	attr.link_create.target_fd = (uint32_t)cgroup_fd;
	attr.link_create.attach_type = attach_type;
	link = bpf(BPF_LINK_CREATE, &attr);
	LIVE_CHECK(link >= 0, "BPF_LINK_CREATE: %s", strerror(errno));
	close(prog);
	return link;
}

bool kernel_lists(const char *protocol)
{
	FILE *file = fopen("/proc/net/protocols", "re");
	char line[256], name[64];
	bool found = false;

	LIVE_CHECK(file, "/proc/net/protocols: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		found |= sscanf(line, "%63s", name) == 1 && !strcmp(name, protocol);
	fclose(file);
	return found;
}
