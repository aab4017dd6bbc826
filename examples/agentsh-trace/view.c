/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include <sys/random.h>

#include "clock.h"
#include "complain.h"
#include "json.h"
#include "kinds.h"
#include "people.h"

/* What is a new wall clock, and no error of comparison. */
#define CLOCK_STEP_NS UINT64_C(1000000)

void view_init(struct view *view, struct output *output, const struct options *options)
{
	view->output = output;
	view->options = options;
	if (!options->json)
		display_init(&view->display, output, options->cgroup != NULL);
	/* without it the count is right, only slower if someone wants it to be */
	(void)!getrandom(&view->destinations.seed, sizeof(view->destinations.seed), GRND_NONBLOCK);
}

static struct json_session json_session(const struct view *view, const struct trace *trace)
{
	return (struct json_session){
		.session_id = view->options->session_id,
		.cgroup_id = trace->cgroup.id,
		.cgroup_path = trace->cgroup.path,
		.hooks = view->hooks,
	};
}

void view_unavailable(struct view *view, const struct unavailable *why)
{
	const struct options *options = view->options;
	bool fatal = options->cgroup || options->ebpf == EBPF_REQUIRED;

	if (options->json) {
		struct text line = output_begin(view->output);

		json_unavailable(&line, why, options->session_id, clock_realtime_ns());
		output_end(view->output, &line);
		/* nobody should have to look into a file for why nothing was run */
		if (!fatal || !options->output)
			return;
	}
	complain("%s: %s", fatal ? "cannot trace" : "running untraced", why->reason);
}

/* For people; for programs ebpf_attached says it. */
static void complain_of_missing(const struct view *view)
{
	uint32_t missing = kinds_without(view->options->kinds, view->hooks);
	char names[128];
	struct text t = {.buf = names, .cap = sizeof(names) - 1};

	if (!missing)
		return;
	kinds_names(&t, missing);
	names[t.len] = '\0';
	complain("cannot be shown here: %s; agentsh-trace --probe says why", names);
}

void view_attached(struct view *view, const struct trace *trace)
{
	const uint32_t outcomes = UINT32_C(1) << AGENTSH_EBPF_EVENT_CONNECTED |
				  UINT32_C(1) << AGENTSH_EBPF_EVENT_CONNECT_FAILED;
	struct json_session session;
	struct text line;

	view->hooks = agentsh_ebpf_tracer_hooks(trace->tracer);
	if (!view->options->json) {
		complain_of_missing(view);
		display_begin(&view->display, view->options->kinds & outcomes &&
						      view->hooks & AGENTSH_EBPF_HOOK_LIFECYCLE);
		return;
	}
	session = json_session(view, trace);
	line = output_begin(view->output);
	json_attached(&line, &session, trace->start_ns);
	output_end(view->output, &line);
}

/*
 * Each comparison of two clocks is a little off, which would put close events in
 * the wrong order. The clocks go at one speed, so the first comparison holds
 * until someone sets the wall clock.
 */
static uint64_t unix_time(struct view *view, const struct agentsh_ebpf_event *event)
{
	uint64_t boot_ns = agentsh_ebpf_event_realtime_ns(event) - event->timestamp_ns;

	if (boot_ns - view->boot_ns + CLOCK_STEP_NS > 2 * CLOCK_STEP_NS)
		view->boot_ns = boot_ns;
	return view->boot_ns + event->timestamp_ns;
}

static void show_people(struct view *view, const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	if (event->session_lost > view->lost)
		display_gap(&view->display, event->session_lost - view->lost);
	view->lost = event->session_lost;
	display_event(&view->display, event, time_ns);
	if (!(event->flags & AGENTSH_EBPF_FLAG_INBOUND))
		destinations_add(&view->destinations, event);
}

void view_event(struct view *view, const struct agentsh_ebpf_event *event)
{
	bool chosen = kinds_name(event->kind) && kinds_have(view->options->kinds, event->kind);
	uint64_t time_ns = unix_time(view, event);
	struct text line;

	tally_add(&view->tally, event, chosen);
	if (!chosen)
		return;
	if (!view->options->json) {
		show_people(view, event, time_ns);
		return;
	}
	line = output_begin(view->output);
	json_event(&line, event, time_ns);
	output_end(view->output, &line);
}

int view_wait_ms(struct view *view)
{
	return display_wait_ms(&view->display);
}

void view_tick(struct view *view)
{
	display_tick(&view->display);
}

bool view_waits_for_close(const struct view *view)
{
	return kinds_have(view->options->kinds, AGENTSH_EBPF_EVENT_CLOSED) &&
	       tally_open(&view->tally);
}

void view_interrupted(struct view *view)
{
	display_interrupted(&view->display);
}

void view_detached(struct view *view, const struct trace *trace)
{
	const struct json_session session = json_session(view, trace);
	struct agentsh_ebpf_stats stats;
	struct text line;

	trace_stats(trace, &stats);
	display_end(&view->display);
	line = output_begin(view->output);
	if (view->options->json)
		json_detached(&line, &session, &stats, &view->tally, clock_realtime_ns());
	else
		people_summary(&line, &view->display.style, &stats, &view->tally,
			       &view->destinations, view->hooks);
	output_end(view->output, &line);
}
