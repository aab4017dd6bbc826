/* SPDX-License-Identifier: Apache-2.0 */
#include "presenter.h"

#include <sys/random.h>

#include "clock.h"
#include "event_types.h"
#include "format_json.h"
#include "format_summary.h"
#include "warn.h"

void presenter_init(struct presenter *p, struct output *output, const struct options *options)
{
	p->output = output;
	p->options = options;
	p->cgroups.fd = p->processes.helper.fd = -1;
	p->table.style.rules = options->rules;
	p->table.style.rules_given = options->rules_given;
	p->table.style.default_allows = options->default_action != AGENTSH_EBPF_RULE_DENY;
	if (!options->json)
		live_table_init(&p->table, output, options->cgroup != NULL);
	/* Now, because the helper must not inherit the descriptors of the trace. */
	else if (!options->no_proc && !options->summary && options->ebpf != EBPF_OFF)
		proc_cache_start(&p->processes);
	/* Without a seed the counts are still right, but a traced program could slow them down. */
	(void)!getrandom(&p->summary.seed, sizeof(p->summary.seed), GRND_NONBLOCK);
	p->destinations.seed = p->summary.seed;
}

static struct format_json_session json_session(const struct presenter *p, const struct trace *trace)
{
	return (struct format_json_session){
		.session_id = p->options->session_id,
		.cgroup_id = trace->cgroup.id,
		.cgroup_path = trace->cgroup.path,
		.hooks = p->active,
	};
}

void presenter_unavailable(struct presenter *p, const struct unavailable *why)
{
	const struct options *options = p->options;

	proc_cache_stop(&p->processes);
	if (options->json) {
		struct text line = output_begin(p->output);

		format_json_unavailable(&line, why, options->session_id, clock_realtime_ns());
		output_end(p->output, &line);
		/* If nothing was run, the reason is on stderr, too, not only in a file. */
		if (!why->fatal || !options->output)
			return;
	}
	warn_user("%s: %s", why->fatal ? "cannot trace" : "running untraced", why->reason);
}

/* Says what no hook reports although it was chosen. In JSON, the member hooks shows this. */
static void warn_of_missing(const struct presenter *p)
{
	uint32_t missing = event_types_without(p->options->event_types, p->active);
	uint32_t lacking = p->options->names_hooks & ~p->active;
	char names[256];
	struct text t = {.buf = names, .cap = sizeof(names) - 1};

	event_types_names(&t, missing);
	if (lacking)
		text_format(&t, "%s%s", t.len ? ", " : "",
			    lacking & AGENTSH_EBPF_HOOK_DNS ? "names" : "server names");
	if (!t.len)
		return;
	names[t.len] = '\0';
	warn_user("cannot be shown here: %s; agentsh-trace --probe says why", names);
}

void presenter_attached(struct presenter *p, const struct trace *trace)
{
	const uint32_t outcomes = UINT32_C(1) << AGENTSH_EBPF_EVENT_CONNECTED |
				  UINT32_C(1) << AGENTSH_EBPF_EVENT_CONNECT_FAILED;
	struct format_json_session session;
	struct text line;

	p->tracer = trace->tracer;
	p->active = agentsh_ebpf_tracer_hooks(trace->tracer);
	/* Names need hooks whose own events then are not counted. */
	p->hooks = p->active & event_types_hooks(p->options->event_types);
	p->destinations.hooks = p->hooks;
	if (!p->options->json) {
		warn_of_missing(p);
		if (!p->options->summary)
			live_table_begin(&p->table,
					 p->options->event_types & outcomes &&
						 p->hooks & AGENTSH_EBPF_HOOK_LIFECYCLE,
					 p->hooks & AGENTSH_EBPF_HOOK_TRAFFIC);
		return;
	}
	cgroup_names_open(&p->cgroups, &trace->cgroup);
	session = json_session(p, trace);
	line = output_begin(p->output);
	format_json_attached(&line, &session, trace->start_ns);
	output_end(p->output, &line);
}

static void show_text(struct presenter *p, const struct agentsh_ebpf_event *event, bool chosen)
{
	if (chosen) {
		if (event->session_lost > p->lost)
			live_table_gap(&p->table, event->session_lost - p->lost);
		p->lost = event->session_lost;
	}
	live_table_event(&p->table, event, &p->names, agentsh_ebpf_event_realtime_ns(event),
			 chosen);
}

static void find_process(struct presenter *p, const struct agentsh_ebpf_event *event,
			 struct format_json_process *process)
{
	const struct proc_found *found = proc_cache_find(&p->processes, event);

	if (found && found->has_exe) {
		process->exe = found->bytes;
		process->exe_size = found->exe_size;
	}
	if (found && found->has_args) {
		process->args = found->bytes + found->exe_size;
		process->args_size = found->args_size;
		process->args_cut = found->args_cut;
	}
}

static void show_json(struct presenter *p, const struct agentsh_ebpf_event *event)
{
	struct format_json_process process = {0};
	const struct format_json_details details = {
		.process = p->options->no_proc ? NULL : &process,
		.cgroup = cgroup_names_find(&p->cgroups, event->cgroup_id),
		.names = p->options->names || names_are_subject(event) ? &p->names : NULL,
	};
	struct text line;

	if (!p->options->no_proc)
		find_process(p, event, &process);
	line = output_begin(p->output);
	format_json_event(&line, event, agentsh_ebpf_event_realtime_ns(event), &details);
	output_end(p->output, &line);
}

static void count(struct presenter *p, const struct agentsh_ebpf_event *event, bool chosen)
{
	/* A datagram socket whose connect(2) is shown counts once it sends. */
	const bool begun = event->kind == AGENTSH_EBPF_EVENT_FIRST_DATA &&
			   event_types_have(p->options->event_types, AGENTSH_EBPF_EVENT_CONNECT);
	/* A process can send itself the packet that makes its socket inbound. */
	const bool inbound = event->flags & AGENTSH_EBPF_FLAG_INBOUND &&
			     event->kind != AGENTSH_EBPF_EVENT_UDP_SEND;

	/* Only the names needed the hook that has reported it. */
	if (!chosen && !event_types_reported(event->kind, p->hooks)) {
		p->summary.unchosen++;
		return;
	}
	summary_add(&p->summary, event, chosen);
	if ((chosen || begun) && !inbound && destinations_named_by(event, p->hooks))
		summary_add_destination(&p->summary, event);
	destinations_add(&p->destinations, event,
			 names_asked(event, p->names.named ? &p->names.name : NULL));
}

void presenter_event(struct presenter *p, const struct agentsh_ebpf_event *event)
{
	const bool blind = event->kind == AGENTSH_EBPF_EVENT_SESSION_BLIND;
	const bool chosen = event_types_have(p->options->event_types, event->kind) &&
			    event_types_known(event->kind);

	names_read(&p->names, p->tracer, event, p->options->names);
	if (!blind) /* it tells of no process, so it is not one of the events that are counted */
		count(p, event, chosen);
	if (p->options->summary && !blind)
		return;
	if (!p->options->json)
		show_text(p, event, chosen);
	else if (chosen)
		show_json(p, event);
}

int presenter_wait_ms(struct presenter *p)
{
	return live_table_wait_ms(&p->table);
}

void presenter_tick(struct presenter *p)
{
	live_table_tick(&p->table);
}

bool presenter_waits_for_close(const struct presenter *p)
{
	return event_types_have(p->options->event_types, AGENTSH_EBPF_EVENT_CLOSED) &&
	       summary_open(&p->summary);
}

void presenter_interrupted(struct presenter *p)
{
	live_table_interrupted(&p->table);
}

/* Writes the summary by destination: always with --summary, otherwise as text if it adds something.
 */
static void show_destinations(struct presenter *p)
{
	static const struct destination_row *rows[DESTINATIONS_MAX + 1];
	const struct format_text_style *style = &p->table.style;
	struct format_summary_widths widths;
	struct text line;
	size_t n;

	destinations_end(&p->destinations);
	n = destinations_sorted(&p->destinations, rows);
	if (!p->options->summary &&
	    (p->options->json || n == 0 || (n == 1 && rows[0]->connections < 2)))
		return;
	line = output_begin(p->output);
	widths = format_summary_widths(style, rows, n);
	if (!p->options->json)
		format_summary_header(&line, style, widths);
	output_end(p->output, &line);
	for (size_t i = 0; i < n; i++) {
		line = output_begin(p->output);
		if (p->options->json)
			format_json_destination(&line, rows[i], p->hooks, p->options->session_id,
						clock_realtime_ns());
		else
			format_summary_row(&line, style, widths, rows[i], p->hooks);
		output_end(p->output, &line);
	}
}

void presenter_detached(struct presenter *p, const struct trace *trace)
{
	const struct format_json_session session = json_session(p, trace);
	struct agentsh_ebpf_stats stats;
	struct text line;

	trace_stats(trace, &stats);
	proc_cache_stop(&p->processes);
	cgroup_names_close(&p->cgroups);
	live_table_end(&p->table);
	show_destinations(p);
	line = output_begin(p->output);
	if (p->options->json)
		format_json_detached(&line, &session, &stats, &p->summary, clock_realtime_ns());
	else
		format_summary(&line, &p->table.style, &stats, &p->summary, p->hooks);
	output_end(p->output, &line);
}
