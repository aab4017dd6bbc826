/* SPDX-License-Identifier: Apache-2.0 */
/* Text in a buffer of fixed size, with escapes for untrusted bytes. No I/O. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *buf;
	size_t cap;
	size_t len;
	bool cut; /* a piece did not fit and was left out */
};

void text_bytes(struct text *t, const void *bytes, size_t n);
void text_string(struct text *t, const char *string);
void text_format(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Appends a JSON string with its quotes. Valid UTF-8 is kept, every other byte becomes
 * U+FFFD; quotes, backslashes and control characters are escaped.
 */
void text_json(struct text *t, const void *bytes, size_t n);

/*
 * Appends text that is safe on a terminal: control characters, invisible characters and
 * bytes that are not UTF-8 become \xNN. If the terminal does not use UTF-8 (utf8 is
 * false), every byte that is not ASCII is escaped. Returns the number of characters.
 */
size_t text_terminal(struct text *t, const void *bytes, size_t n, bool utf8);

/* Appends at most this many characters of line, all its colours, and no newline. */
void text_fit(struct text *t, const struct text *line, size_t characters);

#endif
