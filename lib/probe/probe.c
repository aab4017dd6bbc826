/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the checks of what this machine can trace. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/low_fds.h"
#include "base/result.h"
#include "checks/cgroup_path.h"
#include "checks/checks.h"
#include "checks/process.h"
#include "probe/kernel.h"

#define AVAILABLE AGENTSH_EBPF_STATUS_AVAILABLE
#define MISSING AGENTSH_EBPF_STATUS_MISSING
#define UNKNOWN AGENTSH_EBPF_STATUS_UNKNOWN

/* Copies a path only if it fits: half a path is another directory. */
static void copy_path(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len < size)
		memcpy(to, from, len + 1);
}

static void probe_cgroup2(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_CGROUP2;
	struct agentsh_mounts found;
	int error = -agentsh_mounts_find(&found);

	if (error)
		agentsh_check_set(caps, check, UNKNOWN, error, "/proc/self/mountinfo: %s",
				  strerror(error));
	else if (!found.v2 && found.hidden)
		agentsh_check_set(caps, check, MISSING, ENODEV,
				  "no cgroup v2 is mounted visibly; another mount hides it");
	else if (!found.v2)
		agentsh_check_set(caps, check, MISSING, ENODEV, "no cgroup v2 is mounted%s",
				  found.v1 ? ", only v1" : "");
	else
		agentsh_check_set(caps, check, AVAILABLE, 0, "%s at %.48s%s",
				  found.v1 ? "hybrid" : "pure", found.mount,
				  found.own[0] ? "" : "; this process's own cgroup is outside it");
	caps->checks[check].value = found.v2;
	if (agentsh_check_missing(caps, check) || !found.v2)
		return;
	caps->cgroup_mode = found.v1 ? AGENTSH_EBPF_CGROUP_HYBRID : AGENTSH_EBPF_CGROUP_PURE;
	copy_path(caps->cgroup2_path, sizeof(caps->cgroup2_path), found.mount);
	copy_path(caps->cgroup_path, sizeof(caps->cgroup_path), found.own);
}

int agentsh_ebpf_capability_probe(struct agentsh_ebpf_capabilities *out)
{
	struct agentsh_ebpf_capabilities caps;
	struct agentsh_low_fds low;
	uint64_t simulate = 0;

	if (!out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	if (out->size >= offsetof(struct agentsh_ebpf_capabilities, available))
		simulate = out->simulate_missing;
	if (simulate >> AGENTSH_CHECK_COUNT)
		return -EINVAL;
	agentsh_low_fds_hold(&low);
	agentsh_checks_begin(&caps, simulate);
	agentsh_probe_process(&caps);
	probe_cgroup2(&caps);
	agentsh_probe_descriptors(&caps);
	agentsh_probe_maps(&caps);
	agentsh_probe_hooks(&caps);
	agentsh_checks_summarize(&caps);
	agentsh_low_fds_release(&low);
	agentsh_copy_result(out, &caps, sizeof(caps));
	return 0;
}
