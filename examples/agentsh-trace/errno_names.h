/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the errno values with which a connection fails or breaks. No I/O. */
#ifndef ERRNO_NAMES_H
#define ERRNO_NAMES_H

#include "text.h"

/* "ECONNREFUSED"; NULL if TCP does not produce this value. */
const char *errno_symbol(int error);

/* Appends a short phrase ("refused", "timed out"), or else the symbol or the number. */
void errno_phrase(struct text *t, int error);

#endif
