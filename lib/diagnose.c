/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf(2) says EPERM for half a dozen reasons. This finds the one that holds, by
 * looking at each in the order in which the kernel does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
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

/* The start of a small file, NUL-terminated; empty where it can't be read. */
static void read_start(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

#define USERNS_INITIAL 0xEFFFFFFDU /* PROC_USER_INIT_INO, fixed since 3.8 */

/* Capabilities of another user namespace than the first open nothing in bpf(2). */
static bool in_initial_userns(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) || (uint32_t)st.st_ino == USERNS_INITIAL;
}

bool agentsh_has_capability(int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

/* Both capabilities that loading these programs takes. */
static const char *missing_capability(void)
{
	bool admin = agentsh_has_capability(CAP_SYS_ADMIN);
	bool bpf = admin || agentsh_has_capability(CAP_BPF);
	bool net = admin || agentsh_has_capability(CAP_NET_ADMIN);

	if (!bpf && !net)
		return "CAP_BPF and CAP_NET_ADMIN are";
	if (!bpf)
		return "CAP_BPF is";
	return net ? NULL : "CAP_NET_ADMIN is";
}

/* Whether bpf(2) itself is out of reach: a command that can't exist says EINVAL. */
static bool call_refused(int errnum)
{
	return syscall(SYS_bpf, -1, NULL, 0) < 0 && errno == errnum;
}

static bool before_5_11(struct utsname *name)
{
	unsigned int major = 0, minor = 0;

	if (uname(name))
		strcpy(name->release, "?");
	return sscanf(name->release, "%u.%u", &major, &minor) == 2 &&
	       (major < 5 || (major == 5 && minor < 11));
}

static bool not_permitted(char *text, size_t size)
{
	const char *missing = missing_capability();
	struct utsname name;
	struct rlimit limit;
	char lockdown[128];

	if (missing) {
		snprintf(text, size, "%s missing; run as root or grant CAP_BPF and CAP_NET_ADMIN",
			 missing);
		return true;
	}
	if (!in_initial_userns()) {
		snprintf(text, size,
			 "the capabilities are those of a user namespace, and bpf(2) wants them of "
			 "the "
			 "initial one; run outside it");
		return true;
	}
	if (call_refused(EPERM)) {
		snprintf(text, size,
			 "bpf(2) is refused by a seccomp filter or a security module; allow it "
			 "(in a container: a seccomp profile with bpf)");
		return true;
	}
	read_start("/sys/kernel/security/lockdown", lockdown, sizeof(lockdown));
	if (strstr(lockdown, "[confidentiality]")) {
		snprintf(text, size,
			 "the kernel is locked down (confidentiality); boot with "
			 "lockdown=integrity or less");
		return true;
	}
	/* before 5.11 (97306be45fbe) the charge for a map fails with EPERM */
	if (before_5_11(&name) && !getrlimit(RLIMIT_MEMLOCK, &limit) &&
	    limit.rlim_cur != RLIM_INFINITY) {
		snprintf(text, size,
			 "RLIMIT_MEMLOCK is %llu bytes, too little for the maps on kernel %.32s; "
			 "raise it, "
			 "or lower ring_size, max_sessions or udp_remember",
			 (unsigned long long)limit.rlim_cur, name.release);
		return true;
	}
	snprintf(text, size,
		 "refused although the capabilities are there; see the security module's log");
	return false;
}

static void out_of_descriptors(char *text, size_t size)
{
	struct rlimit limit = {0};

	getrlimit(RLIMIT_NOFILE, &limit);
	snprintf(text, size,
		 "RLIMIT_NOFILE, %llu descriptors, is too low for what is open; raise it",
		 (unsigned long long)limit.rlim_cur);
}

bool agentsh_diagnose(int errnum, char *text, size_t size)
{
	struct utsname name;

	switch (errnum) {
	case EPERM:
	case EACCES:
		return not_permitted(text, size);
	case ENOSYS:
		snprintf(text, size,
			 "bpf(2) is not there: the kernel lacks CONFIG_BPF_SYSCALL, or a seccomp "
			 "filter "
			 "hides it");
		return true;
	case EMFILE:
		out_of_descriptors(text, size);
		return true;
	case ENFILE:
		snprintf(text, size, "the system's table of open files is full; raise fs.file-max");
		return true;
	case ENOMEM:
		snprintf(text, size,
			 "out of memory; lower ring_size, max_sessions or udp_remember, or raise "
			 "the "
			 "memory limit");
		return true;
	default:
		before_5_11(&name);
		snprintf(text, size,
			 "on kernel %.32s; the programs need 5.8 or later with CONFIG_CGROUP_BPF",
			 name.release);
		return false;
	}
}

int agentsh_fail_call(struct agentsh_ebpf_error *err, int code, uint32_t step, const char *what)
{
	char why[192];

	agentsh_diagnose(-code, why, sizeof(why));
	return agentsh_fail(err, code, step, "%s: %s: %s", what, strerror(-code), why);
}
