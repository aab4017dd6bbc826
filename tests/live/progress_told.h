/* SPDX-License-Identifier: Apache-2.0 */
/* A session with a process that counts (progress_moves.h), and its PROGRESS events. */
#ifndef PROGRESS_TOLD_H
#define PROGRESS_TOLD_H

#include "progress_moves.h"

#define TOLD_HOOKS                                                                                 \
	(CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_ACCEPT |                   \
	 AGENTSH_EBPF_HOOK_TRAFFIC)
#define TOLD_RING (1 << 22)

extern struct live_cgroup told_cgroup;
extern struct live_worker told_worker;
extern struct agentsh_ebpf_tracer *told_tracer;
extern struct agentsh_ebpf_session *told_session;
extern struct counted told_moved; /* the counts of the process */

/* Opens a tracer, attaches a session and starts a process in it. */
void told_begin(uint32_t ring_size, uint32_t interval_ms, uint64_t missing);
/* Makes the process do what the MOVES_ bits say. */
void told_move(uint32_t what);

/* The socket's last event of this kind, or NULL. */
const struct agentsh_ebpf_event *told_last(const struct counts *s, uint32_t kind);
/* Whether the event has all that the process has counted. */
bool told_is(const struct agentsh_ebpf_event *e, const struct counts *s);
void told_same(const struct counts *s, const struct agentsh_ebpf_event *e);
/* Whether PROGRESS is expected of the socket, which has traffic that programs can read. */
bool told_is_seen(const struct counts *s);
/* Number of sockets whose last PROGRESS does not tell everything. */
size_t told_pending(void);
/* Reads until there are none. */
void told_await(void);
/* In the events of each socket nothing decreases, and each one tells something new. */
void told_expect_rising(void);

#endif
