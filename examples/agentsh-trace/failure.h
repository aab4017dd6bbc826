/* SPDX-License-Identifier: Apache-2.0 */
/* Why a connection failed or broke: names of errno values. No I/O. */
#ifndef FAILURE_H
#define FAILURE_H

#include "text.h"

/* "ECONNREFUSED"; NULL: not one that TCP gives. */
const char *failure_name(int error);

/* In a word or two: "refused", "timed out"; else the name or the number. */
void failure_words(struct text *t, int error);

#endif
