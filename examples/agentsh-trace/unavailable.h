/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNAVAILABLE_H
#define UNAVAILABLE_H

#include <stdbool.h>

/* Why tracing is impossible. */
struct unavailable {
	const char *step; /* from agentsh_ebpf_step_name(), or a step of agentsh-trace */
	int code;	  /* negative errno value */
	bool fatal;	  /* COMMAND must not run untraced either */
	char reason[512]; /* for a person */
};

#endif
