/* SPDX-License-Identifier: Apache-2.0 */
/* Several attempts to connect at the same time, each in a worker and a session of its own. */
#ifndef CONNECTION_ATTEMPTS_H
#define CONNECTION_ATTEMPTS_H

#include "connection.h"

#define CONNECTION_FAMILIES 3
#define CONNECTION_ATTEMPTS (2 * CONNECTION_FAMILIES)

/* The argument of a worker's function. */
struct connection_attempt {
	size_t path; /* a number of the test */
	enum connection_family family;
};

/* Attempt number i has the session ID i + 1. The second half has HOOK_ACCEPT, too. */
struct connection_attempts {
	struct agentsh_ebpf_tracer *tracer[CONNECTION_ATTEMPTS];
	struct live_worker worker[CONNECTION_ATTEMPTS];
};

/* Sends fn to a worker per family, without and with HOOK_ACCEPT. */
void connection_attempts_start(struct connection_attempts *attempts, size_t path, live_fn fn,
			       size_t out_size);

#endif
