/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at the sessions at intervals, in the thread that polls or reads, and delivers
 * AGENTSH_EBPF_EVENT_SESSION_BLIND. All but agentsh_look() are called under the tracer's lock.
 */
#ifndef AGENTSH_TRACER_LOOK_H
#define AGENTSH_TRACER_LOOK_H

struct agentsh_ebpf_tracer;
struct agentsh_session;

/* Call this before a session is added; returns 0 or a negative errno value. */
int agentsh_look_before_attach(struct agentsh_ebpf_tracer *tracer);
/* Call this before a session is taken out. */
void agentsh_look_before_detach(const struct agentsh_session *s);
/* Call this after a session was not added, or was taken out. */
void agentsh_look_end(struct agentsh_ebpf_tracer *tracer);
/* The callback of the ring, when it is time; ctx is the tracer. */
void agentsh_look(void *ctx);

#endif
