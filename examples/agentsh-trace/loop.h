/* SPDX-License-Identifier: Apache-2.0 */
/* The main loop. */
#ifndef LOOP_H
#define LOOP_H

#include <sys/types.h>

#include "output.h"
#include "signals.h"
#include "trace.h"
#include "presenter.h"

struct loop {
	const struct signals *signals;
	struct output *output;
	struct presenter *presenter;
	struct trace *trace; /* trace->tracer is NULL if nothing is traced */
	pid_t command;	     /* 0: no command; a signal ends the loop */
};

/*
 * Runs until the command has ended, its events are shown and the output is written.
 * Returns the exit status. Afterwards the trace is detached, but not closed.
 */
int loop_run(struct loop *loop);

#endif
