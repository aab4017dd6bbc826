/* SPDX-License-Identifier: Apache-2.0 */
/* Creates each kind of map that a tracer needs, and removes it again. */
#include "probe/kernel.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/system.h"
#include "checks/checks.h"
#include "checks/memlock.h"
#include "session_state.h"
#include "tracer/options.h"

#define AVAILABLE AGENTSH_EBPF_STATUS_AVAILABLE
#define FORBIDDEN AGENTSH_EBPF_STATUS_FORBIDDEN

static void map_result(struct agentsh_ebpf_capabilities *caps, uint32_t check, int fd,
		       const char *what)
{
	if (fd >= 0)
		agentsh_check_set(caps, check, AVAILABLE, 0, "%s can be created", what);
	else
		agentsh_check_set(caps, check, agentsh_check_status_of(-fd), -fd,
				  "%s cannot be created: %s", what, strerror(-fd));
}

static int create_ring(uint32_t bytes)
{
	return bpf_map_create(BPF_MAP_TYPE_RINGBUF, "agentsh_probe", 0, 0, bytes, NULL);
}

static int create_small_ring(void)
{
	return create_ring((uint32_t)sysconf(_SC_PAGESIZE));
}

static int create_mapped_array(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "agentsh_probe", sizeof(uint32_t),
				sizeof(struct agentsh_slot), 1, &opts);
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *at;

	if (fd < 0)
		return fd;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		int error = errno;

		close(fd);
		return -error;
	}
	munmap(at, size);
	return fd;
}

static int create_storage(void)
{
	return bpf_map_create(BPF_MAP_TYPE_CGROUP_STORAGE, "agentsh_probe",
			      sizeof(struct bpf_cgroup_storage_key),
			      sizeof(struct agentsh_session_state), 0, NULL);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void agentsh_probe_memlock(struct agentsh_ebpf_capabilities *caps, int error, uint32_t bytes)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_MEMLOCK;
	struct rlimit limit = {0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (error)
		agentsh_check_set(
			caps, check, FORBIDDEN, error,
			"RLIMIT_MEMLOCK is %llu bytes, too low for a ring of %u bytes (%s)",
			(unsigned long long)limit.rlim_cur, bytes, strerror(error));
	else
		agentsh_check_set(caps, check, AVAILABLE, 0, "a ring of %u bytes can be created",
				  bytes);
	caps->checks[check].value = limit.rlim_cur;
}

bool agentsh_memlock_refuses(int error)
{
	struct rlimit limit = {0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	return error == EPERM && agentsh_kernel_charges_memlock() &&
	       limit.rlim_cur != RLIM_INFINITY;
}

/* Creates each kind of map, until RLIMIT_MEMLOCK refuses one; later kinds are not tried then. */
static int probe_map_kinds(struct agentsh_ebpf_capabilities *caps)
{
	static const struct {
		uint32_t check;
		int (*create)(void);
		const char *what;
	} kinds[] = {
		{AGENTSH_EBPF_CHECK_RINGBUF, create_small_ring, "a ring buffer"},
		{AGENTSH_EBPF_CHECK_ARRAY_MMAP, create_mapped_array, "a mapped array"},
		{AGENTSH_EBPF_CHECK_CGROUP_STORAGE, create_storage, "a cgroup storage map"},
	};
	bool refused = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd = refused ? -1 : kinds[i].create();

		close_if_open(fd);
		refused = refused || agentsh_memlock_refuses(-fd);
		if (refused)
			agentsh_check_not_tried(caps, kinds[i].check, AGENTSH_EBPF_CHECK_MEMLOCK);
		else
			map_result(caps, kinds[i].check, fd, kinds[i].what);
	}
	return refused ? EPERM : 0;
}

void agentsh_probe_maps(struct agentsh_ebpf_capabilities *caps)
{
	static const uint32_t checks[] = {AGENTSH_EBPF_CHECK_RINGBUF, AGENTSH_EBPF_CHECK_ARRAY_MMAP,
					  AGENTSH_EBPF_CHECK_CGROUP_STORAGE,
					  AGENTSH_EBPF_CHECK_CGROUP_LINK,
					  AGENTSH_EBPF_CHECK_MEMLOCK};
	int because = agentsh_checks_first_missing(caps, AGENTSH_CHECKS_FOR_CALL), fd, refused;

	if (because >= 0) {
		for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
			agentsh_check_not_tried(caps, checks[i], (uint32_t)because);
		return;
	}
	agentsh_memlock_raise(); /* as agentsh_ebpf_tracer_open() does */
	refused = probe_map_kinds(caps);
	if (agentsh_check_missing(caps, AGENTSH_EBPF_CHECK_RINGBUF)) {
		agentsh_check_not_tried(caps, AGENTSH_EBPF_CHECK_MEMLOCK,
					AGENTSH_EBPF_CHECK_RINGBUF);
	} else {
		fd = refused ? -refused : create_ring(AGENTSH_RING_SIZE_DEFAULT);
		close_if_open(fd);
		agentsh_probe_memlock(caps, fd < 0 ? -fd : 0, AGENTSH_RING_SIZE_DEFAULT);
	}
	/* the kernel checks the command before its descriptors, so EBADF means that it exists */
	fd = bpf_link_create(-1, -1, BPF_CGROUP_INET4_CONNECT, NULL);
	if (fd == -EBADF)
		agentsh_check_set(caps, AGENTSH_EBPF_CHECK_CGROUP_LINK, AVAILABLE, 0,
				  "programs can be linked to cgroups");
	else
		agentsh_check_set(caps, AGENTSH_EBPF_CHECK_CGROUP_LINK,
				  agentsh_check_status_of(-fd), -fd, "BPF_LINK_CREATE: %s",
				  strerror(-fd));
}
