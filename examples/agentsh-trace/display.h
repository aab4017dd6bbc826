/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace for people, into the output. In a file or a pipe each event has a
 * line. On a terminal a connection's attempt waits a moment for its result, and
 * both share a line. On one that nobody else writes to, a connection has one line
 * from beginning to end.
 */
#ifndef DISPLAY_H
#define DISPLAY_H

#include <stdint.h>

#include "connections.h"
#include "output.h"
#include "people.h"
#include "terminal.h"

/* The most that one event takes in the output. */
#define DISPLAY_EVENT_MAX 2048

enum display_way { DISPLAY_PLAIN, DISPLAY_HOLDING, DISPLAY_FILLING };

struct display {
	struct output *output;
	struct people_style style;
	enum display_way way;
	bool outcomes; /* results of connections come, and are to be shown */
	struct terminal terminal;
	struct connections connections;
};

/* owned: no command of ours writes to the output's terminal, whatever that is. */
void display_init(struct display *display, struct output *output, bool owned);

/* outcomes: events tell of connections that are made and that fail. */
void display_begin(struct display *display, bool outcomes);

void display_event(struct display *display, const struct agentsh_ebpf_event *event,
		   uint64_t time_ns);
void display_gap(struct display *display, uint64_t lost);

/* Milliseconds until display_tick() has something to do; -1: nothing. */
int display_wait_ms(struct display *display);
void display_tick(struct display *display);

/* We were stopped, so others have used the terminal. */
void display_interrupted(struct display *display);

/* Shows what still waits. The summary comes after. */
void display_end(struct display *display);

#endif
