/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process may do, in the order in which the kernel asks: no map is
 * made and no program loaded for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "internal.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define AVAILABLE AGENTSH_EBPF_STATUS_AVAILABLE
#define MISSING AGENTSH_EBPF_STATUS_MISSING
#define FORBIDDEN AGENTSH_EBPF_STATUS_FORBIDDEN
#define UNKNOWN AGENTSH_EBPF_STATUS_UNKNOWN

#define VERSION(major, minor) ((major) << 16 | (minor) << 8)
#define USERNS_INITIAL 0xEFFFFFFDU /* PROC_USER_INIT_INO, fixed since 3.8 */
#define BPF_SYSCTL "/proc/sys/kernel/unprivileged_bpf_disabled"

bool agentsh_has_capability(int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

uint32_t agentsh_kernel_version(char *release, size_t size)
{
	unsigned int major = 0, minor = 0, patch = 0;
	struct utsname name;

	if (uname(&name))
		strcpy(name.release, "?");
	snprintf(release, size, "%.*s", (int)size - 1, name.release);
	if (sscanf(name.release, "%u.%u.%u", &major, &minor, &patch) < 2)
		return 0;
	return VERSION(major & 0xff, minor & 0xff) | (patch > 0xff ? 0xff : patch);
}

static void kernel(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_KERNEL;

	caps->kernel_version =
		agentsh_kernel_version(caps->kernel_release, sizeof(caps->kernel_release));
	if (caps->kernel_version >= VERSION(5, 8))
		agentsh_probe_set(caps, check, AVAILABLE, 0, "Linux %s", caps->kernel_release);
	else
		agentsh_probe_set(caps, check, UNKNOWN, 0,
				  "Linux %s; 5.8 is the oldest known to work",
				  caps->kernel_release);
	caps->checks[check].value = caps->kernel_version;
}

/* Whether a filter of system calls is active for this thread, seccomp(2). */
static bool filtered(void)
{
	char text[4096];
	const char *line;

	agentsh_read_start("/proc/thread-self/status", text, sizeof(text));
	line = strstr(text, "\nSeccomp:\t");
	return line && line[10] == '2';
}

/*
 * A command that can't exist gives EINVAL where the call itself is allowed.
 * Older kernels with unprivileged bpf(2) switched off, 5.10 among them, look at
 * the capability first and say EPERM.
 */
static void bpf_call(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_BPF;
	bool capable = agentsh_has_capability(CAP_BPF) || agentsh_has_capability(CAP_SYS_ADMIN);
	int error = syscall(SYS_bpf, -1, NULL, 0) < 0 ? errno : 0;

	if (error == ENOSYS && (filtered() || !access(BPF_SYSCTL, F_OK)))
		agentsh_probe_set(caps, check, FORBIDDEN, error,
				  "bpf(2) is hidden by a seccomp filter (ENOSYS)");
	else if (error == ENOSYS)
		agentsh_probe_set(caps, check, MISSING, error,
				  "the kernel has no bpf(2) (CONFIG_BPF_SYSCALL)");
	else if (error != EPERM && error != EACCES)
		agentsh_probe_set(caps, check, AVAILABLE, 0, "bpf(2) answers");
	else if (!capable && !filtered())
		agentsh_probe_set(caps, check, UNKNOWN, error,
				  "bpf(2) is for those with CAP_BPF only");
	else
		agentsh_probe_set(caps, check, capable ? FORBIDDEN : UNKNOWN, error,
				  "bpf(2) is refused by a seccomp filter or a security module (%s)",
				  error == EPERM ? "EPERM" : "EACCES");
}

/* Capabilities of another user namespace than the first open nothing in bpf(2). */
static void userns(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_USERNS;
	struct stat st;

	if (stat("/proc/self/ns/user", &st))
		agentsh_probe_set(caps, check, UNKNOWN, errno, "/proc/self/ns/user: %s",
				  strerror(errno));
	else if ((uint32_t)st.st_ino == USERNS_INITIAL)
		agentsh_probe_set(caps, check, AVAILABLE, 0, "in the initial user namespace");
	else
		agentsh_probe_set(caps, check, FORBIDDEN, EPERM,
				  "the capabilities are those of a user namespace (%u)",
				  (uint32_t)st.st_ino);
}

static void capability(struct agentsh_ebpf_capabilities *caps, uint32_t check, int capability,
		       const char *name)
{
	if (agentsh_has_capability(capability))
		agentsh_probe_set(caps, check, AVAILABLE, 0, "%s is effective", name);
	else if (agentsh_has_capability(CAP_SYS_ADMIN))
		agentsh_probe_set(caps, check, AVAILABLE, 0, "CAP_SYS_ADMIN stands for %s", name);
	else
		agentsh_probe_lacks(caps, check, MISSING);
}

/* Locked down, a program may not read the kernel's memory; bpf(2) itself works. */
static void lockdown(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_LOCKDOWN;
	char text[128];

	agentsh_read_start("/sys/kernel/security/lockdown", text, sizeof(text));
	if (strstr(text, "[confidentiality]"))
		agentsh_probe_lacks(caps, check, FORBIDDEN);
	else if (text[0])
		agentsh_probe_set(caps, check, AVAILABLE, 0, "not to confidentiality");
	else
		agentsh_probe_set(caps, check, UNKNOWN, ENOENT,
				  "/sys/kernel/security/lockdown is not there");
}

static void btf(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_BTF;

	int fd = open(AGENTSH_BTF_PATH, O_RDONLY | O_CLOEXEC);
	uint16_t magic = 0;

	if (fd >= 0) {
		/* containers put /dev/null over what shall not be seen */
		if (read(fd, &magic, sizeof(magic)) == sizeof(magic) && magic == BTF_MAGIC)
			agentsh_probe_set(caps, check, AVAILABLE, 0, "%s", AGENTSH_BTF_PATH);
		else
			agentsh_probe_set(caps, check, MISSING, ENOENT,
					  "%s is there, but not what it should be",
					  AGENTSH_BTF_PATH);
		close(fd);
	} else if (errno == ENOENT) {
		agentsh_probe_lacks(caps, check, MISSING);
	} else {
		agentsh_probe_set(caps, check, FORBIDDEN, errno, "%s: %s", AGENTSH_BTF_PATH,
				  strerror(errno));
	}
}

static void jit(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_JIT;
	char text[16];

	/* mode 0600: others than root cannot tell */
	agentsh_read_start("/proc/sys/net/core/bpf_jit_enable", text, sizeof(text));
	if (!text[0])
		agentsh_probe_set(caps, check, UNKNOWN, 0,
				  "net.core.bpf_jit_enable is not readable");
	else if (text[0] == '0')
		agentsh_probe_lacks(caps, check, MISSING);
	else
		agentsh_probe_set(caps, check, AVAILABLE, 0, "net.core.bpf_jit_enable is %c",
				  text[0]);
	caps->checks[check].value = text[0] ? (uint64_t)(text[0] - '0') : 0;
}

void agentsh_probe_process(struct agentsh_ebpf_capabilities *caps)
{
	kernel(caps);
	bpf_call(caps);
	userns(caps);
	capability(caps, AGENTSH_EBPF_CHECK_CAP_BPF, CAP_BPF, "CAP_BPF");
	capability(caps, AGENTSH_EBPF_CHECK_CAP_NET_ADMIN, CAP_NET_ADMIN, "CAP_NET_ADMIN");
	capability(caps, AGENTSH_EBPF_CHECK_CAP_PERFMON, CAP_PERFMON, "CAP_PERFMON");
	lockdown(caps);
	btf(caps);
	jit(caps);
}
