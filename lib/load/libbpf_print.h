/* SPDX-License-Identifier: Apache-2.0 */
/* Captures what libbpf prints during one call. */
#ifndef AGENTSH_LOAD_LIBBPF_PRINT_H
#define AGENTSH_LOAD_LIBBPF_PRINT_H

#include <agentsh/ebpf.h>

struct agentsh_print_capture {
	agentsh_ebpf_log_fn on_log;
	void *log_ctx;
	char warning[160];  /* the first warning */
	char verifier[256]; /* the verifier's last lines */
};

/* Takes libbpf's print callback for this thread until agentsh_print_capture_end(); holds a lock. */
void agentsh_print_capture_begin(struct agentsh_print_capture *capture);
void agentsh_print_capture_end(void);

/* Passes a line of this library's own to the same callback. */
__attribute__((format(printf, 3, 4))) void agentsh_log(const struct agentsh_print_capture *capture,
						       int level, const char *format, ...);

#endif
