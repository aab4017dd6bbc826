/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a trace into output: JSON lines, or text for a person. */
#ifndef PRESENTER_H
#define PRESENTER_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "cgroup_names.h"
#include "destinations.h"
#include "format_json.h"
#include "live_table.h"
#include "names.h"
#include "options.h"
#include "output.h"
#include "proc_cache.h"
#include "summary.h"
#include "trace.h"
#include "unavailable.h"

/* Most bytes of output that one event causes, the line about lost events included. */
#define PRESENTER_EVENT_MAX                                                                        \
	(FORMAT_JSON_EVENT_MAX > LIVE_TABLE_EVENT_MAX ? FORMAT_JSON_EVENT_MAX                      \
						      : LIVE_TABLE_EVENT_MAX)

struct presenter {
	struct output *output;
	const struct options *options;
	uint64_t lost;				  /* session_lost of the latest event */
	const struct agentsh_ebpf_tracer *tracer; /* NULL: not attached */
	uint32_t active;			  /* AGENTSH_EBPF_HOOK_ bits */
	uint32_t hooks;				  /* those of the chosen events among them */
	struct names names;			  /* of the event that is being shown */
	struct summary summary;
	struct destinations destinations;
	struct live_table table; /* unused with --json */
	/* used only with --json */
	struct cgroup_names cgroups;
	struct proc_cache processes;
};

void presenter_init(struct presenter *presenter, struct output *output,
		    const struct options *options);
void presenter_unavailable(struct presenter *presenter, const struct unavailable *why);
void presenter_attached(struct presenter *presenter, const struct trace *trace);
void presenter_event(struct presenter *presenter, const struct agentsh_ebpf_event *event);

/* Milliseconds until presenter_tick() must be called; -1: no deadline. */
int presenter_wait_ms(struct presenter *presenter);
void presenter_tick(struct presenter *presenter);

/* Whether a connection is open whose CLOSED event is to be shown. */
bool presenter_waits_for_close(const struct presenter *presenter);

/* Called when this process continues after it was stopped. */
void presenter_interrupted(struct presenter *presenter);

/* Writes lines that are still held back, then the summaries. */
void presenter_detached(struct presenter *presenter, const struct trace *trace);

#endif
