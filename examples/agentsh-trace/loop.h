/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOP_H
#define LOOP_H

#include <sys/types.h>

#include "output.h"
#include "signals.h"
#include "trace.h"
#include "view.h"

struct loop {
	const struct signals *signals;
	struct output *output;
	struct view *view;
	struct trace *trace; /* its tracer may be NULL */
	pid_t command;	     /* 0: there is none, a signal ends the loop */
};

/*
 * Until the command has ended, all its events are shown and the output is
 * written. Returns the exit status. The trace is detached then, not closed.
 */
int loop_run(struct loop *loop);

#endif
