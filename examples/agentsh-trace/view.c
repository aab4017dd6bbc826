/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "json.h"

/* What is a new wall clock, and no error of comparison. */
#define CLOCK_STEP_NS UINT64_C(1000000)

static bool wants_colour(int fd)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no_colour && *no_colour) && !(term && !strcmp(term, "dumb"));
}

void view_init(struct view *view, struct output *output, const struct options *options)
{
	view->output = output;
	view->options = options;
	view->style.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	view->style.colour = wants_colour(output->fd);
	/* without it the count is right, only slower if someone wants it to be */
	(void)!getrandom(&view->destinations.seed, sizeof(view->destinations.seed), GRND_NONBLOCK);
}

static struct json_session json_session(const struct view *view, const struct trace *trace)
{
	return (struct json_session){
		.session_id = view->options->session_id,
		.cgroup_id = trace->cgroup.id,
		.cgroup_path = trace->cgroup.path,
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

void view_attached(struct view *view, const struct trace *trace)
{
	const struct json_session session = json_session(view, trace);
	struct text line = output_begin(view->output);

	if (view->options->json)
		json_attached(&line, &session, trace->start_ns);
	else
		people_header(&line, &view->style);
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

void view_event(struct view *view, const struct agentsh_ebpf_event *event)
{
	uint64_t time_ns = unix_time(view, event);
	struct text line = output_begin(view->output);

	if (view->options->json) {
		json_event(&line, event, time_ns);
	} else {
		if (event->session_lost > view->lost)
			people_gap(&line, &view->style, event->session_lost - view->lost);
		people_event(&line, &view->style, event, time_ns);
		destinations_add(&view->destinations, event);
		view->lost = event->session_lost;
	}
	output_end(view->output, &line);
}

void view_detached(struct view *view, const struct trace *trace)
{
	const struct json_session session = json_session(view, trace);
	struct text line = output_begin(view->output);
	struct agentsh_ebpf_stats stats;

	trace_stats(trace, &stats);
	if (view->options->json)
		json_detached(&line, &session, &stats, clock_realtime_ns());
	else
		people_summary(&line, &view->style, &stats, &view->destinations);
	output_end(view->output, &line);
}
