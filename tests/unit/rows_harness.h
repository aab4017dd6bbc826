/* SPDX-License-Identifier: Apache-2.0 */
/* A row of agentsh-trace, for tests of what it shows. */
#ifndef ROWS_HARNESS_H
#define ROWS_HARNESS_H

#include <agentsh/ebpf.h>

#include "interfaces.h"
#include "text.h"

extern char rows_line[4096]; /* what rows_end() has finished */

struct text rows_begin(void);
const char *rows_end(const struct text *t);
/* A TCP CONNECT to port 80 of this address. */
struct agentsh_ebpf_event rows_event(const char *ip, uint32_t flags);
/* The destination column and all behind it. */
const char *rows_destination(const struct agentsh_ebpf_event *event,
			     const struct interfaces *interfaces);

#endif
