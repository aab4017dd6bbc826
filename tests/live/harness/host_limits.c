/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host_limits.h"
#include "live.h"

static int get_caps(struct __user_cap_header_struct *header, struct __user_cap_data_struct *data)
{
	memset(header, 0, sizeof(*header));
	header->version = _LINUX_CAPABILITY_VERSION_3;
	return (int)syscall(SYS_capget, header, data);
}

int host_keep_caps(uint64_t caps)
{
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];

	if (get_caps(&header, data))
		return -1;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(caps >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return (int)syscall(SYS_capset, &header, data);
}

int host_switch_caps(int on)
{
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];

	if (get_caps(&header, data))
		return -1;
	for (int i = 0; i < 2; i++)
		data[i].effective = on ? data[i].permitted : 0;
	return (int)syscall(SYS_capset, &header, data);
}

int host_nobody(void)
{
	return prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
			       setresuid(65534, 65534, 65534)
		       ? -1
		       : host_switch_caps(1);
}

static int filter(struct sock_filter *code, size_t count)
{
	struct sock_fprog program = {.len = (unsigned short)count, .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
			       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
		       ? -1
		       : 0;
}

int host_refuse_bpf(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return filter(code, LIVE_COUNT(code));
}

int host_refuse_bpf_command(int command, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)command, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return filter(code, LIVE_COUNT(code));
}

int host_own_mounts(void)
{
	return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ? -1 : 0;
}

int host_hide(const char *path)
{
	return host_own_mounts() || mount("none", path, "tmpfs", 0, NULL) ? -1 : 0;
}

int host_hide_file(const char *path)
{
	return host_own_mounts() || mount("/dev/null", path, NULL, MS_BIND, NULL) ? -1 : 0;
}

int host_userns_unmapped(void)
{
	return unshare(CLONE_NEWUSER);
}

int host_userns(void)
{
	int fd, ret = unshare(CLONE_NEWUSER);

	if (ret)
		return ret;
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	ret = fd < 0 || write(fd, "0 0 1", 5) != 5 ? -1 : 0;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* First fills all unused numbers below the highest open one, so that left is exact. */
int host_descriptors(unsigned int left)
{
	struct rlimit limit;
	int top = 0, fd;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -1;
	for (fd = 0; fd < (int)limit.rlim_cur && fd < 65536; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			top = fd;
	while ((fd = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0 && fd < top)
		;
	if (fd < 0)
		return -1;
	close(fd);
	limit.rlim_cur = (rlim_t)fd + left;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

static uint32_t program_type(uint32_t attach_type)
{
	switch (attach_type) {
	case BPF_CGROUP_SOCK_OPS:
		return BPF_PROG_TYPE_SOCK_OPS;
	case BPF_CGROUP_INET_SOCK_RELEASE:
		return BPF_PROG_TYPE_CGROUP_SOCK;
	case BPF_CGROUP_INET_INGRESS:
	case BPF_CGROUP_INET_EGRESS:
		return BPF_PROG_TYPE_CGROUP_SKB;
	default:
		return BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
	}
}

int host_attach_program(int cgroup_fd, uint32_t attach_type, uint32_t flags,
			const struct bpf_insn *code, size_t count)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = program_type(attach_type);
	attr.expected_attach_type = attach_type == BPF_CGROUP_SOCK_OPS ? 0 : attach_type;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = (uint32_t)count;
	attr.license = (uintptr_t) "GPL";
	memcpy(attr.prog_name, HOST_FIREWALL, sizeof(HOST_FIREWALL));
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		return -1;
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)fd;
	attr.attach_type = attach_type;
	attr.attach_flags = flags;
	if (!syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)))
		return fd;
	close(fd);
	return -1;
}

int host_attach_firewall(int cgroup_fd, uint32_t attach_type, uint32_t flags, int verdict)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return host_attach_program(cgroup_fd, attach_type, flags, code, LIVE_COUNT(code));
}

int host_attach_other(int cgroup_fd, uint32_t attach_type, uint32_t flags)
{
	return host_attach_firewall(cgroup_fd, attach_type, flags, 1);
}

bool host_reads_no_programs(int cgroup_fd)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup_fd;
	attr.query.attach_type = BPF_CGROUP_INET4_CONNECT;
	attr.query.query_flags = BPF_F_QUERY_EFFECTIVE;
	return syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) && errno == EPERM;
}

int host_little_memlock(void)
{
	const struct rlimit little = {4096, 4096};

	return setrlimit(RLIMIT_MEMLOCK, &little);
}

void host_memlock_unlimited(void)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

	LIVE_CHECK(!setrlimit(RLIMIT_MEMLOCK, &none) || errno == EPERM, "setrlimit: %s",
		   strerror(errno));
}
