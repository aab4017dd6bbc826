/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of a trace: as JSON or for people, into the output. */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "destinations.h"
#include "options.h"
#include "output.h"
#include "people.h"
#include "trace.h"
#include "unavailable.h"

/* The most that one event takes in the output, a gap before it included. */
#define VIEW_EVENT_MAX 1024

struct view {
	struct output *output;
	const struct options *options;
	struct people_style style;
	uint64_t lost;	    /* as the last event said */
	uint64_t boot_ns;   /* Unix time of boot; 0: not known yet */
	struct destinations destinations;
};

void view_init(struct view *view, struct output *output, const struct options *options);
void view_unavailable(struct view *view, const struct unavailable *why);
void view_attached(struct view *view, const struct trace *trace);
void view_event(struct view *view, const struct agentsh_ebpf_event *event);
void view_detached(struct view *view, const struct trace *trace);

#endif
