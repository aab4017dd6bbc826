/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/checks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define GRANT                                                                                      \
	"run as root or grant CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (systemd: "                   \
	"AmbientCapabilities=; containers: --cap-add)"
#define NEWER "run Linux 5.8 or later"
#define CGROUP_BPF "run Linux 5.8 or later with CONFIG_CGROUP_BPF=y"
#define NEWEST "run Linux 6.7 or later with CONFIG_CGROUP_BPF=y"
#define HOOK CGROUP_BPF "; detach programs that were attached without BPF_F_ALLOW_MULTI"

static const struct {
	const char *name;
	uint32_t required;
	int32_t error;	     /* errno value of a machine that lacks it */
	const char *lacking; /* a sentence on what is missing */
	const char *hint;
} table[] = {
	[AGENTSH_EBPF_CHECK_KERNEL] = {"kernel", 0, 0, "the kernel is older than 5.8", NEWER},
	[AGENTSH_EBPF_CHECK_BPF] = {"bpf", 1, EPERM, "bpf(2) is refused",
				    "allow bpf in the container's seccomp profile; the kernel "
				    "needs CONFIG_BPF_SYSCALL=y"},
	[AGENTSH_EBPF_CHECK_USERNS] = {"userns", 1, EPERM,
				       "the capabilities are valid only in a user namespace",
				       "run in the initial user namespace (not rootless)"},
	[AGENTSH_EBPF_CHECK_CAP_BPF] = {"cap_bpf", 1, EPERM, "CAP_BPF is missing", GRANT},
	[AGENTSH_EBPF_CHECK_CAP_NET_ADMIN] = {"cap_net_admin", 1, EPERM, "CAP_NET_ADMIN is missing",
					      GRANT},
	[AGENTSH_EBPF_CHECK_CAP_PERFMON] = {"cap_perfmon", 0, EPERM, "CAP_PERFMON is missing",
					    GRANT},
	[AGENTSH_EBPF_CHECK_LOCKDOWN] = {"lockdown", 0, EPERM,
					 "the kernel is locked down in confidentiality mode",
					 "boot with lockdown=integrity or less"},
	[AGENTSH_EBPF_CHECK_BTF] = {"btf", 0, ENOENT, "/sys/kernel/btf/vmlinux is missing",
				    "run a kernel with CONFIG_DEBUG_INFO_BTF=y and mount sysfs at "
				    "/sys"},
	[AGENTSH_EBPF_CHECK_CGROUP2] =
		{"cgroup2", 1, ENODEV, "no cgroup v2 is mounted",
		 "mount cgroup v2: mount -t cgroup2 none /sys/fs/cgroup/unified "
		 "(containers: mount the host's /sys/fs/cgroup)"},
	[AGENTSH_EBPF_CHECK_RINGBUF] = {"ringbuf", 1, EINVAL, "there is no ring buffer map", NEWER},
	[AGENTSH_EBPF_CHECK_ARRAY_MMAP] = {"array_mmap", 1, EINVAL,
					   "array maps cannot be mapped into memory", NEWER},
	[AGENTSH_EBPF_CHECK_CGROUP_STORAGE] = {"cgroup_storage", 1, EINVAL,
					       "there is no cgroup storage map", CGROUP_BPF},
	[AGENTSH_EBPF_CHECK_CGROUP_LINK] = {"cgroup_link", 1, EINVAL,
					    "programs cannot be linked to cgroups", CGROUP_BPF},
	[AGENTSH_EBPF_CHECK_MEMLOCK] =
		{"memlock", 1, EPERM, "RLIMIT_MEMLOCK is too low for the ring",
		 "raise RLIMIT_MEMLOCK (ulimit -l, systemd: LimitMEMLOCK=infinity), "
		 "grant CAP_SYS_RESOURCE, or lower ring_size"},
	[AGENTSH_EBPF_CHECK_NOFILE] = {"nofile", 1, EMFILE,
				       "RLIMIT_NOFILE leaves too few descriptors",
				       "raise RLIMIT_NOFILE (ulimit -n, systemd: LimitNOFILE=)"},
	[AGENTSH_EBPF_CHECK_JIT] = {"jit", 0, 0, "programs are interpreted, which is slow",
				    "set sysctl net.core.bpf_jit_enable=1"},
	[AGENTSH_EBPF_CHECK_CONNECT4] = {"connect4", 1, EINVAL, "cgroup/connect4 does not work",
					 HOOK},
	[AGENTSH_EBPF_CHECK_CONNECT6] = {"connect6", 1, EINVAL, "cgroup/connect6 does not work",
					 HOOK},
	[AGENTSH_EBPF_CHECK_SENDMSG4] = {"sendmsg4", 0, EINVAL, "cgroup/sendmsg4 does not work",
					 HOOK},
	[AGENTSH_EBPF_CHECK_SENDMSG6] = {"sendmsg6", 0, EINVAL, "cgroup/sendmsg6 does not work",
					 HOOK},
	[AGENTSH_EBPF_CHECK_SOCK_OPS] = {"sock_ops", 0, EINVAL, "sock_ops does not work",
					 "run Linux 5.10 or later with CONFIG_CGROUP_BPF=y"},
	[AGENTSH_EBPF_CHECK_SOCK_RELEASE] = {"sock_release", 0, EINVAL,
					     "cgroup/sock_release does not work",
					     "run Linux 5.10 or later with CONFIG_CGROUP_BPF=y"},
	[AGENTSH_EBPF_CHECK_BIND4] = {"bind4", 0, EINVAL, "cgroup/bind4 does not work", HOOK},
	[AGENTSH_EBPF_CHECK_BIND6] = {"bind6", 0, EINVAL, "cgroup/bind6 does not work", HOOK},
	[AGENTSH_EBPF_CHECK_INET_INGRESS] = {"inet_ingress", 0, EINVAL,
					     "cgroup_skb/ingress does not work", HOOK},
	[AGENTSH_EBPF_CHECK_INET_EGRESS] = {"inet_egress", 0, EINVAL,
					    "cgroup_skb/egress does not work", HOOK},
	[AGENTSH_EBPF_CHECK_CONNECT_UNIX] = {"connect_unix", 0, EINVAL,
					     "cgroup/connect_unix does not work", NEWEST},
	[AGENTSH_EBPF_CHECK_SENDMSG_UNIX] = {"sendmsg_unix", 0, EINVAL,
					     "cgroup/sendmsg_unix does not work", NEWEST},
	[AGENTSH_EBPF_CHECK_SOCK_CREATE] = {"sock_create", 0, EINVAL,
					    "cgroup/sock_create does not work", HOOK},
	[AGENTSH_EBPF_CHECK_SET_RETVAL] = {"set_retval", 0, EINVAL,
					   "programs cannot choose the error of a refused call",
					   "run Linux 6.1 or later"},
};

#define CHECKS (sizeof(table) / sizeof(table[0]))

_Static_assert(CHECKS == AGENTSH_CHECK_COUNT, "all checks are in the table");
_Static_assert(CHECKS <= AGENTSH_EBPF_CHECKS_MAX, "all checks fit");

const char *agentsh_ebpf_check_name(uint32_t check)
{
	return check < CHECKS ? table[check].name : "unknown";
}

const char *agentsh_ebpf_check_hint(uint32_t check)
{
	return check < CHECKS ? table[check].hint : "";
}

const char *agentsh_ebpf_status_name(uint32_t status)
{
	static const char *const names[] = {
		[AGENTSH_EBPF_STATUS_UNKNOWN] = "unknown",
		[AGENTSH_EBPF_STATUS_AVAILABLE] = "available",
		[AGENTSH_EBPF_STATUS_MISSING] = "missing",
		[AGENTSH_EBPF_STATUS_FORBIDDEN] = "forbidden",
		[AGENTSH_EBPF_STATUS_SIMULATED] = "simulated",
	};

	return names[status < sizeof(names) / sizeof(names[0]) ? status : 0];
}

void agentsh_checks_begin(struct agentsh_ebpf_capabilities *caps, uint64_t simulate)
{
	*caps = (struct agentsh_ebpf_capabilities){
		.size = sizeof(*caps),
		.simulate_missing = simulate,
		.count = CHECKS,
	};
	for (size_t i = 0; i < CHECKS; i++)
		caps->checks[i].required = table[i].required;
}

void agentsh_check_set(struct agentsh_ebpf_capabilities *caps, uint32_t check, uint32_t status,
		       int error, const char *format, ...)
{
	struct agentsh_ebpf_check *c = &caps->checks[check];
	va_list args;

	memset(c->detail, 0, sizeof(c->detail)); /* leave nothing of an earlier, longer text */
	va_start(args, format);
	vsnprintf(c->detail, sizeof(c->detail), format, args);
	va_end(args);
	agentsh_sanitize_line(c->detail);
	c->status = status;
	c->error = error;
	if (caps->simulate_missing & 1ULL << check) {
		c->status = AGENTSH_EBPF_STATUS_SIMULATED;
		c->error = table[check].error;
		memset(c->detail, 0, sizeof(c->detail));
		snprintf(c->detail, sizeof(c->detail), "%s (simulated)", table[check].lacking);
	}
}

void agentsh_check_set_lacking(struct agentsh_ebpf_capabilities *caps, uint32_t check,
			       uint32_t status)
{
	agentsh_check_set(caps, check, status, table[check].error, "%s", table[check].lacking);
}

void agentsh_checks_simulate(struct agentsh_ebpf_capabilities *caps)
{
	for (uint32_t i = 0; i < CHECKS; i++)
		if (caps->simulate_missing & 1ULL << i)
			agentsh_check_set_lacking(caps, i, AGENTSH_EBPF_STATUS_SIMULATED);
}

bool agentsh_check_missing(const struct agentsh_ebpf_capabilities *caps, uint32_t check)
{
	return caps->checks[check].status >= AGENTSH_EBPF_STATUS_MISSING;
}

int agentsh_checks_first_missing(const struct agentsh_ebpf_capabilities *caps, uint64_t checks)
{
	for (int i = 0; i < AGENTSH_CHECK_COUNT; i++)
		if (checks & 1ULL << i && agentsh_check_missing(caps, (uint32_t)i))
			return i;
	return -1;
}

void agentsh_check_not_tried(struct agentsh_ebpf_capabilities *caps, uint32_t check,
			     uint32_t because)
{
	agentsh_check_set(caps, check, AGENTSH_EBPF_STATUS_UNKNOWN, 0,
			  "not tried, because %s is missing", agentsh_ebpf_check_name(because));
}

uint32_t agentsh_check_status_of(int error)
{
	return error == EPERM || error == EACCES ? AGENTSH_EBPF_STATUS_FORBIDDEN
						 : AGENTSH_EBPF_STATUS_MISSING;
}

/*
 * Lists the missing required checks, each with its detail, as many as leave space for the
 * remedy of the first.
 */
int agentsh_checks_reason(struct agentsh_ebpf_capabilities *caps)
{
	size_t at = 0, space = sizeof(caps->reason);
	const char *hint = "";
	int error = 0;

	memset(caps->reason, 0, space);
	for (uint32_t i = 0; i < CHECKS; i++) {
		const struct agentsh_ebpf_check *c = &caps->checks[i];

		if (!c->required || !agentsh_check_missing(caps, i))
			continue;
		if (!error) {
			hint = table[i].hint;
			error = c->error;
			space -= strlen(hint);
		}
		if (at + strlen(c->detail) + 2 < space)
			at += (size_t)snprintf(caps->reason + at, space - at, "%s; ", c->detail);
	}
	snprintf(caps->reason + at, sizeof(caps->reason) - at, "%s", hint);
	return -error;
}

void agentsh_checks_summarize(struct agentsh_ebpf_capabilities *caps)
{
	for (uint32_t i = 0; i < CHECKS; i++) {
		if (caps->checks[i].status == AGENTSH_EBPF_STATUS_AVAILABLE)
			caps->available |= 1ULL << i;
		else if (agentsh_check_missing(caps, i))
			caps->missing |= 1ULL << i;
	}
	agentsh_checks_reason(caps);
	caps->usable = !caps->reason[0];
}

/* ---- names to a mask ---------------------------------------------------- */

static int unknown_name(const char *name, size_t len, struct agentsh_ebpf_error *err)
{
	char known[sizeof(err->message)];
	size_t at = 0;

	for (size_t i = 0; i < CHECKS && at < sizeof(known); i++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", i ? "," : "",
				       table[i].name);
	return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS, "'%.*s' is not one of %s",
			    len > 16 ? 16 : (int)len, name, known);
}

int agentsh_ebpf_checks_parse(const char *names, uint64_t *mask, struct agentsh_ebpf_error *err)
{
	uint64_t found = 0;

	if (!agentsh_error_begin(err))
		return -EINVAL;
	if (!names || !mask)
		return agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "%s is NULL",
				    names ? "mask" : "names");
	while (*names) {
		size_t len = strcspn(names, ","), i = 0;

		while (i < CHECKS &&
		       (strlen(table[i].name) != len || strncmp(names, table[i].name, len)))
			i++;
		if (len && i == CHECKS)
			return unknown_name(names, len, err);
		if (len)
			found |= 1ULL << i;
		names += len + (names[len] == ',');
	}
	*mask = found;
	return 0;
}
