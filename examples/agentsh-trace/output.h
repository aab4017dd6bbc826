/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the trace goes. Lines wait in a buffer until the loop finds the
 * descriptor writable: a reader that stalls must not keep signals from the
 * command. Its descriptor may be shared, so it is not made non-blocking.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define OUTPUT_SIZE (1024 * 1024)
#define OUTPUT_LINE_MAX (32 * 1024) /* a path of 4096 bytes, all escaped, and more */

struct output {
	int fd;
	size_t chunk; /* what one write may take without blocking for long */
	bool failed;  /* said so; the rest is dropped */
	size_t start;
	size_t end;
	char buf[OUTPUT_SIZE];
};

/* path NULL: stderr. False: could not be opened, see errno. */
bool output_open(struct output *o, const char *path);
void output_close(struct output *o);

/* Is there room for this many bytes? */
bool output_has_room(struct output *o, size_t bytes);

/* A line is written into what begin gives; end keeps it, if it is whole. */
struct text output_begin(struct output *o);
void output_end(struct output *o, const struct text *line);

bool output_pending(const struct output *o);

/* When poll says that the descriptor can be written: as much as does not block. */
void output_write(struct output *o);

#endif
