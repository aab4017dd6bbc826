/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process is permitted to do, in the order in which the kernel checks it. No map
 * is created and no program is loaded for this.
 */
#include "checks/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/files.h"
#include "base/system.h"
#include "checks/checks.h"

#define AVAILABLE AGENTSH_EBPF_STATUS_AVAILABLE
#define MISSING AGENTSH_EBPF_STATUS_MISSING
#define FORBIDDEN AGENTSH_EBPF_STATUS_FORBIDDEN
#define UNKNOWN AGENTSH_EBPF_STATUS_UNKNOWN

#define USERNS_INITIAL 0xEFFFFFFDU /* PROC_USER_INIT_INO, fixed since kernel 3.8 */
#define CAP_BIT(capability) (1ULL << (capability))
#define BPF_SYSCTL "/proc/sys/kernel/unprivileged_bpf_disabled"

static void probe_kernel(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_KERNEL;

	caps->kernel_version =
		agentsh_kernel_version(caps->kernel_release, sizeof(caps->kernel_release));
	if (caps->kernel_version >= AGENTSH_KERNEL(5, 8))
		agentsh_check_set(caps, check, AVAILABLE, 0, "Linux %s", caps->kernel_release);
	else
		agentsh_check_set(caps, check, UNKNOWN, 0,
				  "Linux %s; the library needs 5.8 or later", caps->kernel_release);
	caps->checks[check].value = caps->kernel_version;
}

/* Whether a seccomp(2) filter is active for this thread. */
static bool has_seccomp_filter(void)
{
	char text[4096];
	const char *line;

	agentsh_read_start("/proc/thread-self/status", text, sizeof(text));
	line = strstr(text, "\nSeccomp:\t");
	return line && line[10] == '2';
}

/*
 * Calls bpf(2) with a command that cannot exist, which gives EINVAL if the call itself is
 * permitted. Older kernels with unprivileged bpf(2) switched off, 5.10 among them, check
 * the capability first and return EPERM.
 */
static void probe_bpf(struct agentsh_ebpf_capabilities *caps, uint64_t effective)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_BPF;
	bool capable = effective & (CAP_BIT(CAP_BPF) | CAP_BIT(CAP_SYS_ADMIN));
	int error = syscall(SYS_bpf, -1, NULL, 0) < 0 ? errno : 0;

	if (error == ENOSYS && (has_seccomp_filter() || !access(BPF_SYSCTL, F_OK)))
		agentsh_check_set(caps, check, FORBIDDEN, error,
				  "bpf(2) is hidden by a seccomp filter (ENOSYS)");
	else if (error == ENOSYS)
		agentsh_check_set(caps, check, MISSING, error,
				  "the kernel has no bpf(2) (CONFIG_BPF_SYSCALL)");
	else if (error != EPERM && error != EACCES)
		agentsh_check_set(caps, check, AVAILABLE, 0, "bpf(2) can be called");
	else if (!capable && !has_seccomp_filter())
		agentsh_check_set(caps, check, UNKNOWN, error, "bpf(2) needs CAP_BPF");
	else
		agentsh_check_set(caps, check, capable ? FORBIDDEN : UNKNOWN, error,
				  "bpf(2) is refused by a seccomp filter or a security module (%s)",
				  error == EPERM ? "EPERM" : "EACCES");
}

/* Capabilities of any user namespace but the initial one permit nothing in bpf(2). */
static void probe_userns(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_USERNS;
	struct stat st;

	if (stat("/proc/self/ns/user", &st))
		agentsh_check_set(caps, check, UNKNOWN, errno, "/proc/self/ns/user: %s",
				  strerror(errno));
	else if ((uint32_t)st.st_ino == USERNS_INITIAL)
		agentsh_check_set(caps, check, AVAILABLE, 0, "in the initial user namespace");
	else
		agentsh_check_set(caps, check, FORBIDDEN, EPERM,
				  "the capabilities are valid only in a user namespace (%u)",
				  (uint32_t)st.st_ino);
}

static void probe_capability(struct agentsh_ebpf_capabilities *caps, uint32_t check,
			     uint64_t effective, int capability, const char *name)
{
	if (effective & CAP_BIT(capability))
		agentsh_check_set(caps, check, AVAILABLE, 0, "%s is effective", name);
	else if (effective & CAP_BIT(CAP_SYS_ADMIN))
		agentsh_check_set(caps, check, AVAILABLE, 0,
				  "CAP_SYS_ADMIN is effective and includes %s", name);
	else
		agentsh_check_set_lacking(caps, check, MISSING);
}

/* Under lockdown a program may not read the kernel's memory; bpf(2) itself works. */
static void probe_lockdown(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_LOCKDOWN;
	char text[128];

	agentsh_read_start("/sys/kernel/security/lockdown", text, sizeof(text));
	if (strstr(text, "[confidentiality]"))
		agentsh_check_set_lacking(caps, check, FORBIDDEN);
	else if (text[0])
		agentsh_check_set(caps, check, AVAILABLE, 0, "not in confidentiality mode");
	else
		agentsh_check_set(caps, check, UNKNOWN, ENOENT,
				  "/sys/kernel/security/lockdown does not exist");
}

static void probe_btf(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_BTF;
	int fd = open(AGENTSH_BTF_PATH, O_RDONLY | O_CLOEXEC);
	uint16_t magic = 0;

	if (fd >= 0) {
		/* containers mount /dev/null over files that they hide */
		if (read(fd, &magic, sizeof(magic)) == sizeof(magic) && magic == BTF_MAGIC)
			agentsh_check_set(caps, check, AVAILABLE, 0, "%s", AGENTSH_BTF_PATH);
		else
			agentsh_check_set(caps, check, MISSING, ENOENT,
					  "%s exists, but does not contain BTF", AGENTSH_BTF_PATH);
		close(fd);
	} else if (errno == ENOENT) {
		agentsh_check_set_lacking(caps, check, MISSING);
	} else {
		agentsh_check_set(caps, check, FORBIDDEN, errno, "%s: %s", AGENTSH_BTF_PATH,
				  strerror(errno));
	}
}

static void probe_jit(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_JIT;
	char text[16];

	/* mode 0600: only root can read it */
	agentsh_read_start("/proc/sys/net/core/bpf_jit_enable", text, sizeof(text));
	if (!text[0])
		agentsh_check_set(caps, check, UNKNOWN, 0,
				  "net.core.bpf_jit_enable is not readable");
	else if (text[0] == '0')
		agentsh_check_set_lacking(caps, check, MISSING);
	else
		agentsh_check_set(caps, check, AVAILABLE, 0, "net.core.bpf_jit_enable is %c",
				  text[0]);
	caps->checks[check].value = text[0] ? (uint64_t)(text[0] - '0') : 0;
}

void agentsh_probe_process(struct agentsh_ebpf_capabilities *caps)
{
	uint64_t effective = agentsh_effective_capabilities();

	probe_kernel(caps);
	probe_bpf(caps, effective);
	probe_userns(caps);
	probe_capability(caps, AGENTSH_EBPF_CHECK_CAP_BPF, effective, CAP_BPF, "CAP_BPF");
	probe_capability(caps, AGENTSH_EBPF_CHECK_CAP_NET_ADMIN, effective, CAP_NET_ADMIN,
			 "CAP_NET_ADMIN");
	probe_capability(caps, AGENTSH_EBPF_CHECK_CAP_PERFMON, effective, CAP_PERFMON,
			 "CAP_PERFMON");
	probe_lockdown(caps);
	probe_btf(caps);
	probe_jit(caps);
}
