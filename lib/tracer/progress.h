/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has the kernel report what open sockets have sent and received,
 * AGENTSH_EBPF_EVENT_PROGRESS. All but agentsh_progress() are called under the tracer's lock.
 */
#ifndef AGENTSH_TRACER_PROGRESS_H
#define AGENTSH_TRACER_PROGRESS_H

struct agentsh_ebpf_tracer;
struct agentsh_session;

/* Call this before a session is added; returns 0 or a negative errno value. */
int agentsh_progress_before_attach(struct agentsh_ebpf_tracer *tracer);
/* Call this once no program runs for the session any more, before its slot is given back. */
void agentsh_progress_at_detach(const struct agentsh_session *s);
/* Call this after a session was not added, or was taken out. */
void agentsh_progress_end(struct agentsh_ebpf_tracer *tracer);
/* The callback of the ring, when it is time; ctx is the tracer. */
void agentsh_progress(void *ctx);

#endif
