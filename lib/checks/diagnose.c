/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the reason of a failed bpf(2) call. EPERM has half a dozen reasons; a reason that
 * the probe knows is given in the probe's words.
 */
#include "checks/diagnose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/programs.h"
#include "base/system.h"
#include "checks/checks.h"
#include "checks/displace.h"
#include "checks/process.h"

static bool not_permitted(int errnum, char *text, size_t size)
{
	struct agentsh_ebpf_capabilities caps;
	struct rlimit limit;

	agentsh_checks_begin(&caps, 0);
	agentsh_probe_process(&caps);
	if (agentsh_checks_reason(&caps)) {
		snprintf(text, size, "%s", caps.reason);
		return true;
	}
	/* before kernel 5.11 charging a map fails with EPERM; EACCES comes from the verifier */
	if (errnum == EPERM && agentsh_kernel_charges_memlock() &&
	    !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY) {
		snprintf(text, size,
			 "RLIMIT_MEMLOCK is %llu bytes, too low for the maps on kernel %.32s; "
			 "raise it, or lower ring_size, max_sessions or udp_dedup_entries",
			 (unsigned long long)limit.rlim_cur, caps.kernel_release);
		return true;
	}
	snprintf(text, size,
		 "refused although this process has the capabilities; see the log of the "
		 "security module");
	return false;
}

static void out_of_descriptors(char *text, size_t size)
{
	struct rlimit limit = {0};

	getrlimit(RLIMIT_NOFILE, &limit);
	snprintf(text, size, "RLIMIT_NOFILE is %llu, too low for the descriptors in use; raise it",
		 (unsigned long long)limit.rlim_cur);
}

bool agentsh_diagnose(int errnum, char *text, size_t size)
{
	char release[64];

	switch (errnum) {
	case EPERM:
	case EACCES:
		return not_permitted(errnum, text, size);
	case ENOSYS:
		snprintf(text, size,
			 "bpf(2) is not available: the kernel lacks CONFIG_BPF_SYSCALL, or a "
			 "seccomp filter hides it");
		return true;
	case EMFILE:
		out_of_descriptors(text, size);
		return true;
	case ENFILE:
		snprintf(text, size, "the system's table of open files is full; raise fs.file-max");
		return true;
	case ENOMEM:
		snprintf(text, size,
			 "out of memory; lower ring_size, max_sessions or udp_dedup_entries, or "
			 "raise the memory limit");
		return true;
	default:
		agentsh_kernel_version(release, sizeof(release));
		snprintf(text, size,
			 "this is kernel %.32s; the programs need 5.8 or later with "
			 "CONFIG_CGROUP_BPF",
			 release);
		return false;
	}
}

const char *agentsh_attach_hint(int cgroup_fd, const struct agentsh_program_desc *desc)
{
	return agentsh_effective_programs(cgroup_fd, desc->attach_type, NULL, 0) == -EPERM
		       ? "grant it, or set AGENTSH_EBPF_ATTACH_DISPLACE"
		       : agentsh_ebpf_check_hint(desc->check);
}

const char *agentsh_attach_refused(int error, int cgroup_fd,
				   const struct agentsh_program_desc *desc)
{
	struct agentsh_ebpf_capabilities caps;
	int ret;

	if (error == E2BIG)
		return "the cgroup already has 64 programs, the kernel's limit";
	if (error != EPERM)
		return NULL;
	ret = agentsh_effective_programs(cgroup_fd, desc->attach_type, NULL, 0);
	if (ret == -EPERM) {
		agentsh_checks_begin(&caps, 0);
		agentsh_probe_process(&caps);
		return agentsh_checks_reason(&caps) ? NULL
						    : "BPF_PROG_QUERY is refused; some kernels "
						      "demand CAP_NET_ADMIN for it";
	}
	/* programs that allow others beside them would not have stopped it */
	if (ret <= 0)
		return NULL;
	return "another program is attached exclusively, here or in a cgroup above it";
}

int agentsh_fail_call(struct agentsh_ebpf_error *err, int code, uint32_t step, const char *what)
{
	char why[sizeof(err->message)];

	agentsh_diagnose(-code, why, sizeof(why));
	return agentsh_fail(err, code, step, "%s: %s: %s", what, strerror(-code), why);
}
