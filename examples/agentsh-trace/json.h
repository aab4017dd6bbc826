/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects, each with a comma before it. No I/O. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* Begins an object with the members that every line has. time_ns is Unix time. */
void json_begin(struct text *t, const char *type, uint64_t time_ns, uint64_t session_id);

void json_number(struct text *t, const char *name, uint64_t value);
/* What is not known becomes null. */
void json_if_known(struct text *t, const char *name, uint64_t value, bool known);
void json_boolean(struct text *t, const char *name, bool value);

/* value may contain any bytes. */
void json_string(struct text *t, const char *name, const char *value, size_t n);
/* value contains nothing to escape; NULL becomes null. */
void json_word(struct text *t, const char *name, const char *value);

/* A list of the words whose bits are set in flags, from bit 0 on. */
void json_words(struct text *t, const char *name, uint32_t flags, const char *const *words,
		size_t n);

#endif
