/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal whose rows can be rewritten. The position of a row is known by counting
 * the rows below it, so nothing else may write to the terminal.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct terminal {
	int fd;
	unsigned width, height;
	int typed;	/* bytes of input that wait to be read from the terminal */
	uint64_t rows;	/* number of rows written, and so the number of the next row */
	uint64_t first; /* rows before this one can no longer be rewritten */
};

/* Whether fd is a terminal that understands escape sequences. */
bool terminal_usable(int fd);

/* Whether the command, which inherits stdout and stderr, could write to this terminal. */
bool terminal_is_shared(int fd);

/* Returns false if the size of the terminal is unknown. */
bool terminal_open(struct terminal *terminal, int fd);

/* Call before adding or replacing rows: detects changes that may have moved the rows. */
void terminal_refresh(struct terminal *terminal);

/* Adds a row, cut at the width of the terminal. Returns the number of the row. */
uint64_t terminal_add(struct terminal *terminal, struct text *t, const struct text *line);

/* Rewrites a row. Returns false if the row has left the screen or may have moved. */
bool terminal_replace(struct terminal *terminal, struct text *t, uint64_t row,
		      const struct text *line);

/* Gives up rewriting the existing rows, because something else may have written. */
void terminal_forget(struct terminal *terminal);

#endif
