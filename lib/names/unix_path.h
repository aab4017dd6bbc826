/* SPDX-License-Identifier: Apache-2.0 */
/* The address of an AF_UNIX socket as text. */
#ifndef AGENTSH_NAMES_UNIX_PATH_H
#define AGENTSH_NAMES_UNIX_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Writes a path, or an abstract name after "@". Backslashes and control characters become a
 * backslash with three decimal digits, and so does "@" as the first character of a path. Returns
 * whether the text does not fit and is cut.
 */
bool agentsh_unix_path(const uint8_t *sun_path, size_t size, char out[256]);

#endif
