/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal on which lines that were written are written again, with more in
 * them. Nobody else may write there: where a line is, is known by counting.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct terminal {
	int fd;
	unsigned width, height;
	int typed;	/* bytes that wait to be read there */
	uint64_t rows;	/* written so far: the number of the next one */
	uint64_t first; /* the first one that is where it was written */
};

/* Is it a terminal that understands escape sequences? */
bool terminal_is_one(int fd);

/* Could the command, which has our stdout and stderr, write to this terminal? */
bool terminal_is_shared(int fd);

/* False: its size is not known. */
bool terminal_open(struct terminal *terminal, int fd);

/* Before a row is added or replaced: has it changed, so that rows are elsewhere? */
void terminal_look(struct terminal *terminal);

/* Adds a row; a line that is too long is cut. Returns the row's number. */
uint64_t terminal_add(struct terminal *terminal, struct text *t, const struct text *line);

/* The same row again. False: it has left the screen. */
bool terminal_replace(struct terminal *terminal, struct text *t, uint64_t row,
		      const struct text *line);

/* Others may have written: rows so far are left alone. */
void terminal_forget(struct terminal *terminal);

#endif
