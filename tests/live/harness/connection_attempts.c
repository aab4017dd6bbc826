/* SPDX-License-Identifier: Apache-2.0 */
#include "connection_attempts.h"

void connection_attempts_start(struct connection_attempts *attempts, size_t path, live_fn fn,
			       size_t out_size)
{
	struct agentsh_ebpf_tracer *tracer[] = {
		connection_open(CONNECTION_CONNECT),
		connection_open(CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_ACCEPT),
	};

	for (int i = 0; i < CONNECTION_ATTEMPTS; i++) {
		const struct connection_attempt attempt = {
			path, (enum connection_family)(i % CONNECTION_FAMILIES)};
		struct live_cgroup session;

		attempts->tracer[i] = tracer[i / CONNECTION_FAMILIES];
		live_cgroup_make(&session, NULL);
		live_attach(attempts->tracer[i], &session, (uint64_t)i + 1);
		live_worker_start(&attempts->worker[i], &session);
		live_worker_send(&attempts->worker[i], fn, &attempt, sizeof(attempt), out_size);
	}
}
