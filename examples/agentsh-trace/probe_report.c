/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_report.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "warn.h"
#include "event_types.h"
#include "text.h"

#define REPORT_MAX (64 * 1024)
#define LINE_WIDTH 78

struct report {
	struct agentsh_ebpf_capabilities caps;
	struct agentsh_ebpf_coverage coverage; /* count 0: no tracer could be opened */
};

static const char *cgroup_mode(const struct agentsh_ebpf_capabilities *caps)
{
	static const char *const names[] = {
		[AGENTSH_EBPF_CGROUP_NONE] = "none",
		[AGENTSH_EBPF_CGROUP_PURE] = "pure",
		[AGENTSH_EBPF_CGROUP_HYBRID] = "hybrid",
	};

	return names[caps->cgroup_mode];
}

static bool is_missing(const struct agentsh_ebpf_capabilities *caps, uint32_t check)
{
	return caps->missing & UINT64_C(1) << check;
}

/* ---- JSON --------------------------------------------------------------- */

static void json_string(struct text *t, const char *name, const char *value)
{
	text_format(t, "\"%s\":", name);
	text_json(t, value, strlen(value));
}

static void json_check(struct text *t, const struct agentsh_ebpf_check *c, uint32_t check)
{
	text_format(t, "%s{\"name\":\"%s\",\"status\":\"%s\",\"required\":%s,\"error\":%" PRId32,
		    check ? "," : "", agentsh_ebpf_check_name(check),
		    agentsh_ebpf_status_name(c->status), c->required ? "true" : "false", c->error);
	text_format(t, ",\"value\":%" PRIu64 ",", c->value);
	json_string(t, "detail", c->detail);
	text_string(t, ",");
	json_string(t, "hint", agentsh_ebpf_check_hint(check));
	text_string(t, "}");
}

static void json_paths(struct text *t, const char *name, uint64_t paths, uint32_t count)
{
	const char *comma = "";

	text_format(t, "\"%s\":[", name);
	for (uint32_t i = 0; i < count; i++) {
		if (!(paths >> i & 1))
			continue;
		text_format(t, "%s\"%s\"", comma, agentsh_ebpf_coverage_name(i));
		comma = ",";
	}
	text_string(t, "]");
}

static void json_report(struct text *t, const struct report *r)
{
	const struct agentsh_ebpf_capabilities *caps = &r->caps;

	text_format(t, "{\"type\":\"ebpf_probe\",\"usable\":%s,", caps->usable ? "true" : "false");
	json_string(t, "reason", caps->reason);
	text_string(t, ",");
	json_string(t, "kernel", caps->kernel_release);
	text_format(t, ",\"version\":\"%s\",\"cgroup_mode\":\"%s\",", agentsh_ebpf_version(),
		    cgroup_mode(caps));
	json_string(t, "cgroup2_path", caps->cgroup2_path);
	text_string(t, ",");
	json_string(t, "cgroup_path", caps->cgroup_path);
	text_format(t, ",\"max_sessions\":%" PRIu32 ",\"load_only\":%s,\"checks\":[",
		    caps->max_sessions, caps->load_only ? "true" : "false");
	for (uint32_t i = 0; i < caps->count; i++)
		json_check(t, &caps->checks[i], i);
	text_string(t, "],\"coverage\":{");
	json_paths(t, "seen", r->coverage.seen, r->coverage.count);
	text_string(t, ",");
	json_paths(t, "implied", r->coverage.implied, r->coverage.count);
	text_string(t, ",");
	json_paths(t, "unseen", r->coverage.unseen, r->coverage.count);
	text_string(t, ",");
	json_paths(t, "enforced", r->coverage.enforced, r->coverage.count);
	text_string(t, "}}\n");
}

/* ---- Text --------------------------------------------------------------- */

/* Directory names and the kernel release may contain any bytes. */
static void append_safe(struct text *t, const char *string)
{
	text_terminal(t, string, strlen(string), !strcmp(nl_langinfo(CODESET), "UTF-8"));
}

static void text_check(struct text *t, const struct agentsh_ebpf_capabilities *caps, uint32_t i)
{
	const struct agentsh_ebpf_check *c = &caps->checks[i];

	text_format(t, "  %-15s %-10s ", agentsh_ebpf_check_name(i),
		    agentsh_ebpf_status_name(c->status));
	append_safe(t, c->detail);
	text_string(t, "\n");
	if (is_missing(caps, i))
		text_format(t, "  %-15s %-10s %s\n", "", "", agentsh_ebpf_check_hint(i));
}

static void text_checks(struct text *t, const struct agentsh_ebpf_capabilities *caps,
			const char *title, bool missing, bool required)
{
	bool any = false;

	for (uint32_t i = 0; i < caps->count; i++) {
		if (is_missing(caps, i) != missing ||
		    (missing && caps->checks[i].required != required))
			continue;
		if (!any)
			text_format(t, "\n%s\n", title);
		any = true;
		text_check(t, caps, i);
	}
}

static void text_paths(struct text *t, const char *title, uint64_t paths, uint32_t count)
{
	if (!paths)
		return;
	text_format(t, "\n%s\n", title);
	for (uint32_t i = 0; i < count; i++)
		if (paths >> i & 1)
			text_format(t, "  %-18s %s\n", agentsh_ebpf_coverage_name(i),
				    agentsh_ebpf_coverage_note(i));
}

/* Names alone, because the notes are about events. */
static void text_enforced(struct text *t, const struct agentsh_ebpf_coverage *coverage)
{
	const bool sockets = coverage->rules_flags & AGENTSH_EBPF_RULES_STRICT_SOCKETS;
	const bool egress = coverage->rules_flags & AGENTSH_EBPF_RULES_EGRESS;
	size_t column = 0, n;

	if (!coverage->enforced)
		return;
	text_format(t, "\nPaths that rules close%s%s%s%s:", sockets || egress ? " with " : "",
		    sockets ? "--strict-sockets" : "", sockets && egress ? " and " : "",
		    egress ? "--egress" : "");
	for (uint32_t i = 0; i < coverage->count; i++) {
		const char *name = agentsh_ebpf_coverage_name(i);

		if (!(coverage->enforced >> i & 1))
			continue;
		n = strlen(name) + 1;
		text_string(t, column && column + n < LINE_WIDTH ? " " : "\n  ");
		column = column && column + n < LINE_WIDTH ? column + n : n + 1;
		text_string(t, name);
	}
	text_string(t, "\n");
}

static void text_report(struct text *t, const struct report *r)
{
	const struct agentsh_ebpf_capabilities *caps = &r->caps;

	if (caps->usable)
		text_string(t, "Connections can be traced here");
	else
		text_string(t, "Connections cannot be traced here: ");
	append_safe(t, caps->reason);
	text_string(t, ".\n");
	if (caps->load_only)
		text_string(t, "Some programs were only loaded, not attached; the checks below say "
			       "which.\n");
	text_checks(t, caps, "Missing and required:", true, true);
	text_checks(t, caps, "Missing but optional:", true, false);
	text_checks(t, caps, "Found:", false, false);
	text_paths(t, "Paths to the network that are reported:", r->coverage.seen,
		   r->coverage.count);
	text_paths(t, "Covered by an earlier event:", r->coverage.implied, r->coverage.count);
	text_paths(t, "Not reported:", r->coverage.unseen, r->coverage.count);
	text_enforced(t, &r->coverage);
}

/* ---- Report ------------------------------------------------------------- */

static void fill_report(struct report *r, const struct options *options)
{
	/* With every hook, so that the coverage is that of the most complete trace. */
	const struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.hooks = event_types_hooks(UINT32_MAX) | AGENTSH_EBPF_HOOK_RULES |
			 AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS,
		.simulate_missing = options->simulate_missing,
	};
	struct agentsh_ebpf_tracer *tracer;

	r->caps = (struct agentsh_ebpf_capabilities){
		.size = sizeof(r->caps),
		.simulate_missing = options->simulate_missing,
	};
	agentsh_ebpf_capability_probe(&r->caps);
	r->coverage = (struct agentsh_ebpf_coverage){.size = sizeof(r->coverage),
						     .rules_flags = options->rules_flags};
	if (r->caps.usable && !agentsh_ebpf_tracer_open(&opts, &tracer, NULL)) {
		agentsh_ebpf_coverage(tracer, &r->coverage);
		agentsh_ebpf_tracer_close(tracer);
	}
}

int probe_report(const struct options *options)
{
	static struct report report;
	static char buf[REPORT_MAX];
	struct text t = {.buf = buf, .cap = sizeof(buf)};

	fill_report(&report, options);
	if (options->json)
		json_report(&t, &report);
	else
		text_report(&t, &report);
	if (fwrite(t.buf, 1, t.len, stdout) != t.len || fflush(stdout)) {
		warn_user("writing to stdout: %s", strerror(errno));
		return EXIT_OWN_FAILURE;
	}
	return report.caps.usable ? 0 : 1;
}
