/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of names, as the host gets them: in lower case, without a final dot, and of
 * printable ASCII only. Other bytes, and "." and "\" within a label, are escaped as in RFC
 * 4343: "\." "\\" "\032".
 */
#ifndef AGENTSH_NAMES_NAME_TEXT_H
#define AGENTSH_NAMES_NAME_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names/wire_name.h"

/* Bytes of a text with its NUL. */
#define AGENTSH_NAME_TEXT 256

/* Writes "\032" for a space, without a NUL; returns the length, 4. */
size_t agentsh_name_escape(uint8_t byte, char out[4]);

/* Returns false if the text did not fit and was cut. The root's text is ".". */
bool agentsh_name_text(const struct agentsh_wire_name *name, char out[AGENTSH_NAME_TEXT]);

/*
 * Makes the text of a name that a packet has as text (SNI, Host), where a dot always
 * separates labels. The name may have labels that DNS does not allow, because the text shows
 * what the process wrote. *cut tells whether it did not fit. Returns 0, or -EINVAL if the name
 * is empty or an IP address.
 */
int agentsh_name_from_packet(const uint8_t *bytes, size_t size, char out[AGENTSH_NAME_TEXT],
			     bool *cut);

/*
 * Makes the text of a name that the host gives, which may have escapes and a final dot.
 * Returns 0, or -EINVAL if it is not a name of labels of 1 to 63 bytes with 253 bytes in all, if
 * a byte is not printable ASCII, or if the result does not fit; then *out is not changed.
 */
int agentsh_name_from_host(const char *text, char out[AGENTSH_NAME_TEXT]);

#endif
