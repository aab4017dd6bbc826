/* SPDX-License-Identifier: Apache-2.0 */
/* Fills struct agentsh_ebpf_error, in whatever size the caller has it. */
#ifndef AGENTSH_BASE_ERROR_H
#define AGENTSH_BASE_ERROR_H

#include <stdbool.h>

#include <agentsh/ebpf.h>

/* Whether err can be written to: NULL counts as yes. Clears *err. */
bool agentsh_error_begin(struct agentsh_ebpf_error *err);

/* Replaces control characters by question marks. */
void agentsh_sanitize_line(char *text);

/* Writes code, step and message if err is not NULL, and returns code. */
__attribute__((format(printf, 4, 5))) int agentsh_fail(struct agentsh_ebpf_error *err, int code,
						       uint32_t step, const char *format, ...);

#endif
