/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNAVAILABLE_H
#define UNAVAILABLE_H

/* Why there is no tracing. */
struct unavailable {
	const char *step; /* agentsh_ebpf_step_name(), or the CLI's own */
	int code;	  /* negative errno value */
	char reason[512]; /* for a person */
};

#endif
