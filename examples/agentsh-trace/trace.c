/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "blind.h"
#include "clock.h"
#include "event_types.h"
#include "warn.h"

#define SOCKETS_MAX 65536
/* Room for the progress of 30,000 sockets, which the detach reports at once. */
#define RING_SIZE (8 << 20)

/* Fills why; always returns false. */
static bool __attribute__((format(printf, 4, 5)))
explain(struct unavailable *why, const char *step, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->reason, sizeof(why->reason), format, args);
	va_end(args);
	why->step = step;
	why->code = code;
	why->fatal = false;
	return false;
}

static bool explain_library(struct unavailable *why, const struct agentsh_ebpf_error *err)
{
	return explain(why, agentsh_ebpf_step_name(err->step), err->code, "%s", err->message);
}

/* names: hooks for names. */
static bool open_tracer(struct trace *trace, const struct options *options, uint32_t names,
			struct unavailable *why)
{
	const uint32_t hooks =
		event_types_hooks(options->event_types) | names | options->rules_hooks;
	struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.hooks = hooks,
		.required_hooks =
			event_types_required_hooks(options->event_types) | options->rules_hooks,
		.flags = options->udp_no_dedup ? AGENTSH_EBPF_OPEN_UDP_NO_DEDUP : 0,
		.simulate_missing = options->simulate_missing,
		.ring_size = RING_SIZE,
		.ring_quota = 100, /* the only session of this tracer may fill the ring */
		.max_sockets = SOCKETS_MAX,
		.check_interval_ms = 1000,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	if (event_types_have(options->event_types, AGENTSH_EBPF_EVENT_DNS_QUERY) ||
	    event_types_have(options->event_types, AGENTSH_EBPF_EVENT_DNS_ANSWER))
		opts.flags |= AGENTSH_EBPF_OPEN_DNS_EVENTS;
	/* A process connects as soon as it has an answer, so the answer must be read at once. */
	if (options->rules_hooks & AGENTSH_EBPF_HOOK_DNS)
		opts.flags |= AGENTSH_EBPF_OPEN_DNS_EVENTS | AGENTSH_EBPF_OPEN_NO_MODERATION;
	if (hooks & AGENTSH_EBPF_HOOK_DNS)
		memcpy(opts.dns_ports, options->dns_ports, sizeof(opts.dns_ports));
	if (agentsh_ebpf_tracer_open(&opts, &trace->tracer, &err))
		return explain_library(why, &err);
	if (event_types_without(options->event_types, agentsh_ebpf_tracer_hooks(trace->tracer)) ==
	    options->event_types)
		return explain(why, "load", -EOPNOTSUPP,
			       "none of the chosen events can be shown here; "
			       "agentsh-trace --probe says why");
	return true;
}

static bool create_rules(struct trace *trace, const struct options *options,
			 struct unavailable *why)
{
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	int ret = options->rules_hooks ? rules_create(&trace->rules, trace->tracer, &err) : 0;

	/* The message of the library is about its options. */
	if (ret == -ENOSPC && options->rules_hooks & AGENTSH_EBPF_HOOK_DNS)
		return explain(why, agentsh_ebpf_step_name(err.step), ret,
			       "at most 8 rules with a host can match one destination");
	if (ret == -EOPNOTSUPP && options->rules_flags & AGENTSH_EBPF_RULES_REFUSE)
		return explain(why, agentsh_ebpf_step_name(err.step), ret,
			       "--refuse needs Linux 6.1 or later");
	return !ret || explain_library(why, &err);
}

bool trace_open_cgroup(struct trace *trace, const struct options *options, struct unavailable *why)
{
	const char *parent = options->cgroup_parent;
	char own[PATH_MAX];
	int ret;

	if (options->cgroup) {
		ret = cgroup_open(&trace->cgroup, options->cgroup);
		return !ret || explain(why, "cgroup_open", ret, "opening the cgroup %s: %s",
				       options->cgroup, strerror(-ret));
	}
	if (!parent) {
		ret = agentsh_ebpf_cgroup_path(own, sizeof(own));
		if (ret)
			return explain(why, "cgroup_find", ret,
				       "finding the cgroup v2 mount: %s; mount one, or name a "
				       "directory in it with --cgroup-parent",
				       strerror(-ret));
		parent = own;
	}
	ret = cgroup_create(&trace->cgroup, parent);
	if (!ret)
		return true;
	explain(why, "cgroup_create", ret, "making a cgroup below %s: %s", parent,
		ret == -EBADF ? "it is not a directory of cgroup v2" : strerror(-ret));
	why->fatal = options->cgroup_parent != NULL;
	return false;
}

static bool attach(struct trace *trace, const struct options *options, struct unavailable *why)
{
	struct agentsh_ebpf_session_options opts = {
		.size = sizeof(opts),
		.session_id = options->session_id,
		.max_sockets = SOCKETS_MAX, /* all of the table, for the same reason */
		.flags = options->displace ? AGENTSH_EBPF_ATTACH_DISPLACE : 0,
		.rules = trace->rules.set,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	int ret;

	memcpy(opts.trusted_resolvers, options->resolvers, sizeof(opts.trusted_resolvers));
	trace->start_ns = clock_realtime_ns();
	ret = agentsh_ebpf_session_attach(trace->tracer, trace->cgroup.fd, &opts, &trace->session,
					  &err);
	if (ret == -EBUSY) /* the message names the option of the library */
		return explain(why, agentsh_ebpf_step_name(err.step), ret, "%s (--displace)",
			       err.message);
	return !ret || explain_library(why, &err);
}

void trace_init(struct trace *trace)
{
	*trace = (struct trace){.cgroup = {.fd = -1, .parent_fd = -1}};
}

static void close_tracer(struct trace *trace)
{
	agentsh_ebpf_tracer_close(trace->tracer);
	trace->tracer = NULL;
	trace->rules.set = NULL; /* the tracer has freed it */
}

static bool open_and_attach(struct trace *trace, const struct options *options, uint32_t names,
			    struct unavailable *why)
{
	return open_tracer(trace, options, names, why) && create_rules(trace, options, why) &&
	       (trace->cgroup.fd >= 0 || trace_open_cgroup(trace, options, why)) &&
	       attach(trace, options, why);
}

bool trace_start(struct trace *trace, const struct options *options, struct unavailable *why)
{
	/* First, because without this cgroup COMMAND does not run, traced or not. */
	if (options->cgroup_parent && !trace_open_cgroup(trace, options, why))
		return false;
	if (open_and_attach(trace, options, options->names_hooks, why))
		return true;
	/* The programs for names must not make a trace fail that works without them. */
	if (!(options->names_hooks & ~event_types_hooks(options->event_types)) || why->fatal)
		return false;
	close_tracer(trace);
	return open_and_attach(trace, options, 0, why);
}

/* hooks: those that still work */
static void warn_of_rules(const struct options *options, uint32_t hooks)
{
	if (!(hooks & AGENTSH_EBPF_HOOK_RULES))
		warn_user("the rules are no longer enforced");
	if (options->rules_hooks & ~hooks & AGENTSH_EBPF_HOOK_EGRESS)
		warn_user("--egress has no effect any more");
	if (options->rules_hooks & ~hooks & AGENTSH_EBPF_HOOK_SOCK_CREATE)
		warn_user("--strict-sockets has no effect any more");
}

void trace_warn_blind(const struct trace *trace)
{
	struct agentsh_ebpf_session_check check = {.size = sizeof(check)};
	char names[128] = "none";
	int length = 0;

	if (!trace->session || agentsh_ebpf_session_check(trace->session, &check) || !check.error)
		return;
	for (uint32_t hook = 1; hook; hook <<= 1)
		if (check.hooks & hook)
			length += snprintf(names + length, sizeof(names) - (size_t)length, "%s%s",
					   length ? ", " : "", agentsh_ebpf_hook_name(hook));
	warn_user("the trace is incomplete from now on: %s; hooks that still work: %s",
		  blind_reason(check.error), names);
	if (trace->rules.set)
		warn_of_rules(trace->rules.options, check.hooks);
}

static void remove_created_cgroup(struct cgroup *cgroup, bool traced)
{
	struct cgroup_rest rest = cgroup_remove(cgroup);
	unsigned running = rest.moved + rest.kept;

	if (running)
		warn_user("%u process%s started by COMMAND %s still running%s", running,
			  running == 1 ? "" : "es", running == 1 ? "is" : "are",
			  traced ? ", no longer traced" : "");
	if (rest.kept)
		warn_user("the cgroup %s stays, because the cgroup above it accepts no processes",
			  cgroup->path);
	else if (rest.error)
		warn_user("cannot remove the cgroup %s: %s", cgroup->path, strerror(-rest.error));
}

void trace_detach(struct trace *trace)
{
	if (trace->session)
		agentsh_ebpf_session_detach(trace->session);
	trace->session = NULL;
	if (trace->cgroup.parent_fd >= 0)
		remove_created_cgroup(&trace->cgroup, trace->tracer != NULL);
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
	close_tracer(trace);
	rules_close(&trace->rules);
}
