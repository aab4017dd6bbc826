/* SPDX-License-Identifier: Apache-2.0 */
/* Reads files of /proc and /sys. */
#ifndef AGENTSH_BASE_FILES_H
#define AGENTSH_BASE_FILES_H

#include <stddef.h>

/* Reads the beginning of a file, NUL-terminated; an empty string if it cannot be read. */
void agentsh_read_start(const char *path, char *text, size_t size);

/* Reads a whole file, NUL-terminated; the caller frees it. NULL if it cannot be read. */
char *agentsh_read_all(const char *path, size_t *len);

#endif
