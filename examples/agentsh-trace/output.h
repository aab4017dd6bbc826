/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The destination of the trace. Lines wait in a buffer until poll(2) reports the
 * descriptor as writable, because a stalled reader must not delay signals for the
 * command. Other processes may share the descriptor, so it stays in blocking mode.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

/* Half of it has room for the summary by destination, also if all names are long. */
#define OUTPUT_SIZE ((size_t)4 * 1024 * 1024)
#define OUTPUT_LINE_MAX ((size_t)32 * 1024) /* more than a path of 4096 escaped bytes */

struct output {
	int fd;
	size_t chunk; /* bytes that one write(2) takes without blocking for long */
	bool failed;  /* reported once; the rest is dropped */
	size_t start;
	size_t end;
	char buf[OUTPUT_SIZE];
};

/* path NULL: stderr. On failure returns false and sets errno. */
bool output_open(struct output *o, const char *path);
void output_close(struct output *o);

/* Whether the buffer has room for this many bytes. */
bool output_has_room(struct output *o, size_t bytes);

/* Append one line: format it into the text of begin; end keeps it unless it was cut. */
struct text output_begin(struct output *o);
void output_end(struct output *o, const struct text *line);

bool output_pending(const struct output *o);

/* Writes as much as does not block. Call it when poll(2) reports the descriptor as writable. */
void output_write(struct output *o);

#endif
