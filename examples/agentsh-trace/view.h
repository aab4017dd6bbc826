/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of a trace: as JSON or for people, into the output. */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "destinations.h"
#include "display.h"
#include "options.h"
#include "output.h"
#include "tally.h"
#include "trace.h"
#include "unavailable.h"

/* The most that one event takes in the output, a gap before it included. */
#define VIEW_EVENT_MAX DISPLAY_EVENT_MAX

struct view {
	struct output *output;
	const struct options *options;
	uint64_t lost;	  /* as the last event said */
	uint64_t boot_ns; /* Unix time of boot; 0: not known yet */
	uint32_t hooks;	  /* AGENTSH_EBPF_HOOK_ bits that are on */
	struct tally tally;
	struct destinations destinations;
	struct display display; /* unless as JSON */
};

void view_init(struct view *view, struct output *output, const struct options *options);
void view_unavailable(struct view *view, const struct unavailable *why);
void view_attached(struct view *view, const struct trace *trace);
void view_event(struct view *view, const struct agentsh_ebpf_event *event);

/* Milliseconds until view_tick() has something to do; -1: nothing. */
int view_wait_ms(struct view *view);
void view_tick(struct view *view);
/* Whether connections are open whose close is to be shown. */
bool view_waits_for_close(const struct view *view);
/* We were stopped and go on. */
void view_interrupted(struct view *view);

/* What waits, and the account. */
void view_detached(struct view *view, const struct trace *trace);

#endif
