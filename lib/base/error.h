/* SPDX-License-Identifier: Apache-2.0 */
/* Fills struct agentsh_ebpf_error, whichever size the caller's struct has. */
#ifndef AGENTSH_BASE_ERROR_H
#define AGENTSH_BASE_ERROR_H

#include <stdbool.h>

#include <agentsh/ebpf.h>

/* Clears *err. Returns false if its size is invalid; NULL is valid. */
bool agentsh_error_begin(struct agentsh_ebpf_error *err);

/* Replaces control characters with question marks. */
void agentsh_sanitize_line(char *text);

/* Writes code, step and message if err is not NULL, and returns code. */
__attribute__((format(printf, 4, 5))) int agentsh_fail(struct agentsh_ebpf_error *err, int code,
						       uint32_t step, const char *format, ...);

#endif
