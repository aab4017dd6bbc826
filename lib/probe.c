/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel can, found out by doing it and taking it away again. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "internal.h"

#define AVAILABLE AGENTSH_EBPF_STATUS_AVAILABLE
#define MISSING AGENTSH_EBPF_STATUS_MISSING
#define FORBIDDEN AGENTSH_EBPF_STATUS_FORBIDDEN
#define UNKNOWN AGENTSH_EBPF_STATUS_UNKNOWN

static uint32_t refused_or_missing(int error)
{
	return error == EPERM || error == EACCES ? FORBIDDEN : MISSING;
}

/* ---- cgroup v2 ---------------------------------------------------------- */

/* Half a path would be another directory. */
static void copy_path(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len < size)
		memcpy(to, from, len + 1);
}

static void cgroup2(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_CGROUP2;
	struct agentsh_mounts found;
	int error = -agentsh_mounts_find(&found);

	if (error)
		agentsh_probe_set(caps, check, UNKNOWN, error, "/proc/self/mountinfo: %s",
				  strerror(error));
	else if (!found.v2 && found.hidden)
		agentsh_probe_set(caps, check, MISSING, ENODEV,
				  "no cgroup v2 is mounted that another mount does not hide");
	else if (!found.v2)
		agentsh_probe_set(caps, check, MISSING, ENODEV, "no cgroup v2 is mounted%s",
				  found.v1 ? ", only v1" : "");
	else
		agentsh_probe_set(caps, check, AVAILABLE, 0, "%s at %.48s%s",
				  found.v1 ? "hybrid" : "pure", found.mount,
				  found.own[0] ? "" : "; the own cgroup is outside of it");
	caps->checks[check].value = found.v2;
	if (agentsh_probe_missing(caps, check) || !found.v2)
		return;
	caps->cgroup_mode = found.v1 ? AGENTSH_EBPF_CGROUP_HYBRID : AGENTSH_EBPF_CGROUP_PURE;
	copy_path(caps->cgroup2_path, sizeof(caps->cgroup2_path), found.mount);
	copy_path(caps->cgroup_path, sizeof(caps->cgroup_path), found.own);
}

/* ---- descriptors -------------------------------------------------------- */

static uint64_t open_descriptors(void)
{
	struct stat st;
	int lowest;

	if (!stat("/proc/self/fd", &st) && st.st_size > 0) /* kernel 6.2: their number */
		return (uint64_t)st.st_size;
	/* those below the lowest free one are taken; what is above it is rare */
	lowest = eventfd(0, EFD_CLOEXEC);
	if (lowest < 0)
		return 0;
	close(lowest);
	return (uint64_t)lowest;
}

/* As many as a load takes at its peak are opened; then those are counted that it leaves. */
void agentsh_probe_nofile(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_NOFILE;
	int error = -agentsh_check_descriptors();
	struct rlimit limit = {0};
	uint64_t taken, sessions;

	getrlimit(RLIMIT_NOFILE, &limit);
	taken = open_descriptors() + AGENTSH_DESCRIPTORS_KEPT;
	sessions = limit.rlim_cur > taken ? (limit.rlim_cur - taken) / AGENTSH_PROGRAMS : 0;
	if (!error)
		agentsh_probe_set(caps, check, AVAILABLE, 0,
				  "RLIMIT_NOFILE is %llu: room for %llu sessions",
				  (unsigned long long)limit.rlim_cur,
				  (unsigned long long)sessions);
	else
		agentsh_probe_set(caps, check, FORBIDDEN, error,
				  "RLIMIT_NOFILE, %llu, leaves too few descriptors (%s)",
				  (unsigned long long)limit.rlim_cur, strerror(error));
	caps->checks[check].value = limit.rlim_cur;
	if (!agentsh_probe_missing(caps, check))
		caps->max_sessions = sessions > UINT32_MAX ? UINT32_MAX : (uint32_t)sessions;
}

/* ---- maps --------------------------------------------------------------- */

/* The first of these that is missing, or -1: what comes after can't be tried. */
static int first_missing(const struct agentsh_ebpf_capabilities *caps, uint64_t checks)
{
	for (int i = 0; i < AGENTSH_CHECKS; i++)
		if (checks & 1ULL << i && agentsh_probe_missing(caps, (uint32_t)i))
			return i;
	return -1;
}

static void not_tried(struct agentsh_ebpf_capabilities *caps, uint32_t check, int because)
{
	agentsh_probe_set(caps, check, UNKNOWN, 0, "not tried without %s",
			  agentsh_ebpf_capability_name((uint32_t)because));
}

static void map_result(struct agentsh_ebpf_capabilities *caps, uint32_t check, int fd,
		       const char *what)
{
	if (fd >= 0)
		agentsh_probe_set(caps, check, AVAILABLE, 0, "%s can be made", what);
	else
		agentsh_probe_set(caps, check, refused_or_missing(-fd), -fd,
				  "%s cannot be made: %s", what, strerror(-fd));
}

static int ring_make(uint32_t bytes)
{
	return bpf_map_create(BPF_MAP_TYPE_RINGBUF, "agentsh_probe", 0, 0, bytes, NULL);
}

static int small_ring_make(void)
{
	return ring_make((uint32_t)sysconf(_SC_PAGESIZE));
}

static int mapped_array_make(void)
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

static int storage_make(void)
{
	return bpf_map_create(BPF_MAP_TYPE_CGROUP_STORAGE, "agentsh_probe",
			      sizeof(struct bpf_cgroup_storage_key), sizeof(struct agentsh_tag), 0,
			      NULL);
}

static void close_made(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void memlock(struct agentsh_ebpf_capabilities *caps, int error, uint32_t bytes)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_MEMLOCK;
	struct rlimit limit = {0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (error)
		agentsh_probe_set(caps, check, FORBIDDEN, error,
				  "RLIMIT_MEMLOCK is %llu bytes, too little for a ring of %u (%s)",
				  (unsigned long long)limit.rlim_cur, bytes, strerror(error));
	else
		agentsh_probe_set(caps, check, AVAILABLE, 0, "a ring of %u bytes can be made",
				  bytes);
	caps->checks[check].value = limit.rlim_cur;
}

static bool memlock_refuses(int error)
{
	struct rlimit limit = {0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	return error == EPERM && agentsh_memlock_counts() && limit.rlim_cur != RLIM_INFINITY;
}

/* Each kind of map, until the limit is met; then that is why. */
static int map_kinds(struct agentsh_ebpf_capabilities *caps)
{
	static const struct {
		uint32_t check;
		int (*make)(void);
		const char *what;
	} kinds[] = {
		{AGENTSH_EBPF_CHECK_RINGBUF, small_ring_make, "a ring buffer"},
		{AGENTSH_EBPF_CHECK_ARRAY_MMAP, mapped_array_make, "a mapped array"},
		{AGENTSH_EBPF_CHECK_CGROUP_STORAGE, storage_make, "a cgroup storage map"},
	};
	bool refused = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd = refused ? -1 : kinds[i].make();

		close_made(fd);
		refused = refused || memlock_refuses(-fd);
		if (refused)
			not_tried(caps, kinds[i].check, AGENTSH_EBPF_CHECK_MEMLOCK);
		else
			map_result(caps, kinds[i].check, fd, kinds[i].what);
	}
	return refused ? EPERM : 0;
}

static void maps(struct agentsh_ebpf_capabilities *caps)
{
	static const uint32_t checks[] = {
		AGENTSH_EBPF_CHECK_RINGBUF, AGENTSH_EBPF_CHECK_ARRAY_MMAP,
		AGENTSH_EBPF_CHECK_CGROUP_STORAGE, AGENTSH_EBPF_CHECK_CGROUP_LINK,
		AGENTSH_EBPF_CHECK_MEMLOCK};
	int because = first_missing(caps, AGENTSH_CHECKS_CALL), fd, refused;

	if (because >= 0) {
		for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
			not_tried(caps, checks[i], because);
		return;
	}
	agentsh_memlock_raise(); /* as an open does */
	refused = map_kinds(caps);
	if (agentsh_probe_missing(caps, AGENTSH_EBPF_CHECK_RINGBUF)) {
		not_tried(caps, AGENTSH_EBPF_CHECK_MEMLOCK, AGENTSH_EBPF_CHECK_RINGBUF);
	} else {
		fd = refused ? -refused : ring_make(AGENTSH_RING_SIZE_DEFAULT);
		close_made(fd);
		memlock(caps, fd < 0 ? -fd : 0, AGENTSH_RING_SIZE_DEFAULT);
	}
	/* the command is looked at before its descriptors */
	fd = bpf_link_create(-1, -1, BPF_CGROUP_INET4_CONNECT, NULL);
	if (fd == -EBADF)
		agentsh_probe_set(caps, AGENTSH_EBPF_CHECK_CGROUP_LINK, AVAILABLE, 0,
				  "programs can be linked");
	else
		agentsh_probe_set(caps, AGENTSH_EBPF_CHECK_CGROUP_LINK, refused_or_missing(-fd),
				  -fd, "BPF_LINK_CREATE: %s", strerror(-fd));
}

/* ---- hooks -------------------------------------------------------------- */

static void hook_result(struct agentsh_ebpf_capabilities *caps, const struct agentsh_hook *hook,
			int error, const char *failed, const char *why)
{
	if (error)
		agentsh_probe_set(caps, hook->check, refused_or_missing(error), error, "%s: %s: %s",
				  hook->cgroup_hook, failed, why ? why : strerror(error));
	else
		agentsh_probe_set(caps, hook->check, AVAILABLE, 0, "%s %s", hook->cgroup_hook,
				  caps->load_only ? "loads; not tried to attach" :
						    "loads and attaches");
}

/* For a moment, to the caller's own cgroup: the tag is zero, so it reports nothing. */
static int attach_once(const struct agentsh_program *program, int cgroup_fd)
{
	int link = bpf_link_create(program->fd, cgroup_fd, program->hook->attach_type, NULL);

	if (link < 0)
		return -link;
	bpf_link_detach(link);
	close(link);
	return 0;
}

static void attach_each(struct agentsh_ebpf_capabilities *caps, const struct agentsh_ebpf_tracer *t)
{
	int cgroup_fd = caps->cgroup_path[0] ? open(caps->cgroup_path,
						    O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
					       -1;

	caps->load_only = cgroup_fd < 0;
	for (uint32_t i = 0; i < t->program_count; i++) {
		const struct agentsh_hook *hook = t->programs[i].hook;
		int error = cgroup_fd < 0 ? 0 : attach_once(&t->programs[i], cgroup_fd);

		hook_result(caps, hook, error, "attaching",
			    error ? agentsh_attach_refused(error, cgroup_fd, hook) : NULL);
	}
	if (cgroup_fd >= 0)
		close(cgroup_fd);
}

static void load_all(struct agentsh_ebpf_capabilities *caps)
{
	const struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.hooks = agentsh_hooks_built(),
		.ring_size = (uint32_t)sysconf(_SC_PAGESIZE),
		.ring_share = 100,
		.max_sessions = 1,
		.udp_remember = 16,
		.simulate_missing = caps->simulate_missing,
	};
	struct agentsh_ebpf_tracer *t;
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	int ret = agentsh_tracer_make(&opts, &t, &err);

	for (int i = 0; i < AGENTSH_PROGRAMS; i++) {
		const struct agentsh_hook *hook = &agentsh_hooks[i];
		int error = ret ? -ret : t->load_errors[i];

		if (!(hook->wanted_by & opts.hooks))
			agentsh_probe_set(caps, hook->check, UNKNOWN, 0,
					  "this library was built without it");
		else if (error)
			hook_result(caps, hook, error, "loading", NULL);
		else /* its partner's failure keeps it from being attached */
			agentsh_probe_set(caps, hook->check, AVAILABLE, 0, "%s loads",
					  hook->cgroup_hook);
	}
	if (memlock_refuses(-ret)) {
		memlock(caps, EPERM, AGENTSH_RING_SIZE_DEFAULT);
		for (int i = 0; i < AGENTSH_PROGRAMS; i++)
			not_tried(caps, agentsh_hooks[i].check, AGENTSH_EBPF_CHECK_MEMLOCK);
	}
	if (ret)
		return;
	attach_each(caps, t);
	agentsh_ebpf_tracer_close(t);
}

static void hooks(struct agentsh_ebpf_capabilities *caps)
{
	int because = first_missing(caps, AGENTSH_CHECKS_LOAD);

	if (because < 0)
		load_all(caps);
	caps->hooks = agentsh_hooks_built();
	for (int i = 0; i < AGENTSH_PROGRAMS; i++) {
		const struct agentsh_hook *hook = &agentsh_hooks[i];

		if (because >= 0)
			not_tried(caps, hook->check, because);
		if (caps->checks[hook->check].status != AVAILABLE)
			caps->hooks &= ~hook->needed_by;
	}
}

int agentsh_ebpf_capability_probe(struct agentsh_ebpf_capabilities *out)
{
	struct agentsh_ebpf_capabilities caps;
	uint64_t simulate = 0;

	if (!out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	if (out->size >= offsetof(struct agentsh_ebpf_capabilities, available))
		simulate = out->simulate_missing;
	if (simulate >> AGENTSH_CHECKS)
		return -EINVAL;
	agentsh_probe_begin(&caps, simulate);
	agentsh_probe_process(&caps);
	cgroup2(&caps);
	agentsh_probe_nofile(&caps);
	maps(&caps);
	hooks(&caps);
	agentsh_probe_sum(&caps);
	agentsh_sized_give(out, &caps, sizeof(caps));
	return 0;
}
