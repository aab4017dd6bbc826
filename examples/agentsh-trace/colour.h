/* SPDX-License-Identifier: Apache-2.0 */
/* Colours and words that all text output shares. */
#ifndef COLOUR_H
#define COLOUR_H

#include <stdint.h>

#include "format_text.h"
#include "text.h"

#define PLAIN "\033[0m"
#define DIM "\033[2m"
#define BOLD "\033[1m"
#define RED "\033[31m"
#define CYAN "\033[36m"
#define YELLOW "\033[33m"

static inline void colour(struct text *t, const struct format_text_style *style, const char *code)
{
	if (style->colour)
		text_string(t, code);
}

static inline const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

#endif
