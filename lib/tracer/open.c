/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a tracer: checks options and process, creates it, and explains a failure. */
#include <errno.h>
#include <stddef.h>

#include <agentsh/ebpf.h>

#include "base/error.h"
#include "base/low_fds.h"
#include "base/programs.h"
#include "checks/checks.h"
#include "checks/process.h"
#include "tracer/create.h"
#include "tracer/options.h"

/*
 * Runs before libbpf is called: what libbpf finds missing because this process has no
 * permission, it takes for missing in the kernel until the process ends.
 */
static int check_process(const struct agentsh_ebpf_tracer_options *opts,
			 struct agentsh_ebpf_capabilities *caps, struct agentsh_ebpf_error *err)
{
	int ret;

	agentsh_checks_begin(caps, opts->simulate_missing);
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
		caps->checks[agentsh_program_descs[i].check].required =
			(agentsh_program_descs[i].needed_by & opts->required_hooks) != 0;
	agentsh_probe_process(caps);
	agentsh_probe_descriptors(caps);
	agentsh_checks_simulate(caps);
	ret = agentsh_checks_reason(caps);
	if (ret && opts->on_log)
		opts->on_log(opts->log_ctx, AGENTSH_EBPF_LOG_WARN, caps->reason);
	return ret ? agentsh_fail(err, ret, AGENTSH_EBPF_STEP_OBJECT_LOAD, "%s", caps->reason) : 0;
}

/*
 * Replaces the error by the probe's explanation, unless only the verifier can know the
 * reason, or the reason is temporary.
 */
static int explain_open_failure(const struct agentsh_ebpf_tracer_options *opts, int ret,
				struct agentsh_ebpf_error *err)
{
	const uint64_t hooks = ~0ULL << AGENTSH_EBPF_CHECK_CONNECT4;
	struct agentsh_ebpf_capabilities caps = {
		.size = sizeof(caps),
		.simulate_missing = opts->simulate_missing,
	};

	if (ret == -ENOMEM || ret == -EMFILE || ret == -ENFILE)
		return ret;
	if (agentsh_ebpf_capability_probe(&caps) || caps.usable)
		return ret;
	/* open does not need a cgroup v2 mount, so that is not the reason */
	if (agentsh_check_missing(&caps, AGENTSH_EBPF_CHECK_CGROUP2))
		return ret;
	if (ret != -EPERM && !(caps.missing & ~hooks))
		return ret;
	for (uint32_t i = 0; i < caps.count; i++)
		if (caps.checks[i].required && agentsh_check_missing(&caps, i))
			return agentsh_fail(err, -caps.checks[i].error,
					    AGENTSH_EBPF_STEP_OBJECT_LOAD, "%s", caps.reason);
	return ret;
}

static int open_checked(const struct agentsh_ebpf_tracer_options *opts,
			struct agentsh_ebpf_tracer **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_capabilities process;
	int ret = 0;

	if (opts->mode != AGENTSH_EBPF_MODE_SYNTHETIC)
		ret = check_process(opts, &process, err);
	if (ret)
		return ret;
	ret = agentsh_tracer_create(opts, &process, out, err);
	if (ret && opts->mode != AGENTSH_EBPF_MODE_SYNTHETIC)
		return explain_open_failure(opts, ret, err);
	if (!ret && !agentsh_ebpf_tracer_hooks(*out)) {
		agentsh_ebpf_tracer_close(*out);
		*out = NULL;
		ret = agentsh_fail(err, -EOPNOTSUPP, AGENTSH_EBPF_STEP_OBJECT_LOAD,
				   "none of hooks 0x%x works on this kernel; see "
				   "agentsh_ebpf_capability_probe()",
				   opts->hooks);
	}
	return ret;
}

int agentsh_ebpf_tracer_open(const struct agentsh_ebpf_tracer_options *opts,
			     struct agentsh_ebpf_tracer **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer_options checked;
	struct agentsh_low_fds low;
	int ret;

	if (out)
		*out = NULL;
	if (!agentsh_error_begin(err))
		return -EINVAL;
	if (!out)
		return agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "out is NULL");
	ret = agentsh_tracer_options_check(opts, &checked, err);
	if (ret)
		return ret;
	if (checked.mode == AGENTSH_EBPF_MODE_DISABLED)
		return agentsh_fail(err, -ECANCELED, AGENTSH_EBPF_STEP_OPTIONS,
				    "mode is %u (DISABLED): tracing is switched off", checked.mode);
	agentsh_low_fds_hold(&low);
	ret = open_checked(&checked, out, err);
	agentsh_low_fds_release(&low);
	return ret;
}
