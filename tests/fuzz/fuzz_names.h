/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every text of a name. */
#ifndef FUZZ_NAMES_H
#define FUZZ_NAMES_H

#include <stdbool.h>

/*
 * The text has at most 255 bytes, all printable ASCII, in lower case and with whole escapes. A
 * text of DNS has neither empty labels nor a final dot, unless it is the root.
 */
void fuzz_check_name(const char *text, bool cut, bool from_packet);

#endif
