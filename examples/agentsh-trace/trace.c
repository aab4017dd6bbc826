/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "complain.h"
#include "kinds.h"

static bool __attribute__((format(printf, 4, 5)))
unavailable(struct unavailable *why, const char *step, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->reason, sizeof(why->reason), format, args);
	va_end(args);
	why->step = step;
	why->code = code;
	return false;
}

static bool library_failed(struct unavailable *why, const struct agentsh_ebpf_error *err)
{
	return unavailable(why, agentsh_ebpf_step_name(err->step), err->code, "%s", err->message);
}

static bool open_tracer(struct trace *trace, const struct options *options, struct unavailable *why)
{
	struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.hooks = kinds_hooks(options->kinds),
		.required_hooks = kinds_required_hooks(options->kinds),
		.flags = options->udp_no_dedup ? AGENTSH_EBPF_OPEN_UDP_NO_DEDUP : 0,
		.simulate_missing = options->simulate_missing,
		.ring_quota = 100, /* there is no other session to be kept from its share */
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	int ret = agentsh_ebpf_tracer_open(&opts, &trace->tracer, &err);

	/* one that was built without; what is missing is said by view_attached() */
	if (ret == -EOPNOTSUPP && err.step == AGENTSH_EBPF_STEP_OPTIONS &&
	    opts.hooks & ~(uint32_t)AGENTSH_EBPF_HOOK_UDP) {
		opts.hooks &= ~(uint32_t)AGENTSH_EBPF_HOOK_UDP;
		ret = agentsh_ebpf_tracer_open(&opts, &trace->tracer, &err);
	}
	if (ret)
		return library_failed(why, &err);
	if (kinds_without(options->kinds, agentsh_ebpf_tracer_hooks(trace->tracer)) ==
	    options->kinds)
		return unavailable(why, "load", -EOPNOTSUPP,
				   "none of the chosen events can be shown here; "
				   "agentsh-trace --probe says why");
	return true;
}

static bool open_cgroup(struct trace *trace, const struct options *options, struct unavailable *why)
{
	const char *parent = options->cgroup_parent;
	char own[PATH_MAX];
	int ret;

	if (options->cgroup) {
		ret = cgroup_open(&trace->cgroup, options->cgroup);
		return !ret || unavailable(why, "cgroup_open", ret, "opening the cgroup %s: %s",
					   options->cgroup, strerror(-ret));
	}
	if (!parent) {
		ret = agentsh_ebpf_cgroup_path(own, sizeof(own));
		if (ret)
			return unavailable(why, "cgroup_find", ret,
					   "finding the cgroup v2 mount: %s; mount one, or name a "
					   "directory in it with --cgroup-parent",
					   strerror(-ret));
		parent = own;
	}
	ret = cgroup_create(&trace->cgroup, parent);
	return !ret || unavailable(why, "cgroup_create", ret, "making a cgroup below %s: %s",
				   parent, strerror(-ret));
}

static bool attach(struct trace *trace, const struct options *options, struct unavailable *why)
{
	const struct agentsh_ebpf_session_options opts = {
		.size = sizeof(opts),
		.session_id = options->session_id,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	trace->start_ns = clock_realtime_ns();
	return !agentsh_ebpf_session_attach(trace->tracer, trace->cgroup.fd, &opts, &trace->session,
					    &err) ||
	       library_failed(why, &err);
}

void trace_init(struct trace *trace)
{
	*trace = (struct trace){.cgroup = {.fd = -1, .parent_fd = -1}};
}

bool trace_start(struct trace *trace, const struct options *options, struct unavailable *why)
{
	if (open_tracer(trace, options, why) && open_cgroup(trace, options, why) &&
	    attach(trace, options, why))
		return true;
	trace_close(trace);
	return false;
}

static void remove_own_cgroup(struct cgroup *cgroup)
{
	struct cgroup_rest rest = cgroup_remove(cgroup);

	if (rest.moved)
		complain("processes that COMMAND left behind run on, untraced (%u)", rest.moved);
	if (rest.error)
		complain("cannot remove the cgroup %s: %s", cgroup->path, strerror(-rest.error));
}

void trace_detach(struct trace *trace)
{
	if (trace->session)
		agentsh_ebpf_session_detach(trace->session);
	trace->session = NULL;
	if (trace->cgroup.parent_fd >= 0)
		remove_own_cgroup(&trace->cgroup);
	cgroup_close(&trace->cgroup);
}

void trace_stats(const struct trace *trace, struct agentsh_ebpf_stats *stats)
{
	*stats = (struct agentsh_ebpf_stats){.size = sizeof(*stats)};
	agentsh_ebpf_tracer_stats(trace->tracer, stats);
}

void trace_close(struct trace *trace)
{
	trace_detach(trace);
	agentsh_ebpf_tracer_close(trace->tracer);
	trace->tracer = NULL;
}
