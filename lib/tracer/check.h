/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a session still sees everything. */
#ifndef AGENTSH_TRACER_CHECK_H
#define AGENTSH_TRACER_CHECK_H

struct agentsh_ebpf_session_check;
struct agentsh_session;

/*
 * Asks the kernel about the programs of a session; the caller holds the tracer's lock. Returns a
 * negative errno value if neither a loss nor its absence could be established.
 */
int agentsh_session_check(const struct agentsh_session *s, struct agentsh_ebpf_session_check *out);

#endif
