/* SPDX-License-Identifier: Apache-2.0 */
/* Text in a buffer of fixed size, and what makes foreign bytes safe in it. No I/O. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *buf;
	size_t cap;
	size_t len;
	bool cut; /* something did not fit and was left out */
};

void text_bytes(struct text *t, const void *bytes, size_t n);
void text_string(struct text *t, const char *string);
void text_format(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * A JSON string with its quotes. Valid UTF-8 passes, each other byte becomes
 * U+FFFD; quotes, backslashes and control characters are escaped.
 */
void text_json(struct text *t, const void *bytes, size_t n);

/*
 * For a terminal: control and other invisible characters, and bytes that are not
 * UTF-8, as \xNN. Without utf8 (the terminal's) all that is not ASCII is escaped.
 * Returns the number of characters appended.
 */
size_t text_terminal(struct text *t, const void *bytes, size_t n, bool utf8);

/* Appends a line's first characters, at most so many, and all of its colours; no newline. */
void text_fit(struct text *t, const struct text *line, size_t characters);

#endif
