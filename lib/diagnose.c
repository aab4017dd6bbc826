/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf(2) says EPERM for half a dozen reasons. This finds the one that holds, in
 * the probe's words where it is one of the probe's.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <bpf/bpf.h>

#include "internal.h"

static bool before_5_11(struct utsname *name)
{
	unsigned int major = 0, minor = 0;

	if (uname(name))
		strcpy(name->release, "?");
	return sscanf(name->release, "%u.%u", &major, &minor) == 2 &&
	       (major < 5 || (major == 5 && minor < 11));
}

bool agentsh_memlock_counts(void)
{
	struct utsname name;

	return before_5_11(&name);
}

static bool not_permitted(int errnum, char *text, size_t size)
{
	struct agentsh_ebpf_capabilities caps;
	struct utsname name;
	struct rlimit limit;

	agentsh_probe_begin(&caps, 0);
	agentsh_probe_process(&caps);
	if (agentsh_probe_reason(&caps)) {
		snprintf(text, size, "%s", caps.reason);
		return true;
	}
	/* before 5.11 (97306be45fbe) the charge for a map fails with EPERM; EACCES is the
	 * verifier's */
	if (errnum == EPERM && before_5_11(&name) && !getrlimit(RLIMIT_MEMLOCK, &limit) &&
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
		return not_permitted(errnum, text, size);
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

const char *agentsh_attach_refused(int error, int cgroup_fd, const struct agentsh_hook *hook)
{
	LIBBPF_OPTS(bpf_prog_query_opts, query, .query_flags = BPF_F_QUERY_EFFECTIVE);

	if (error == E2BIG)
		return "the cgroup has the kernel's 64 programs already";
	if (error != EPERM)
		return NULL;
	/* those that allow others would not have stopped it */
	if (bpf_prog_query_opts(cgroup_fd, hook->attach_type, &query) || !query.prog_cnt)
		return NULL;
	return "another program has it for itself, here or in a cgroup above";
}

int agentsh_fail_call(struct agentsh_ebpf_error *err, int code, uint32_t step, const char *what)
{
	char why[sizeof(err->message)];

	agentsh_diagnose(-code, why, sizeof(why));
	return agentsh_fail(err, code, step, "%s: %s: %s", what, strerror(-code), why);
}
