/* SPDX-License-Identifier: Apache-2.0 */
/* Detaches the sessions of a tracer. */
#ifndef AGENTSH_TRACER_SESSION_H
#define AGENTSH_TRACER_SESSION_H

struct agentsh_ebpf_tracer;

void agentsh_sessions_detach_all(struct agentsh_ebpf_tracer *tracer);

#endif
