/* SPDX-License-Identifier: Apache-2.0 */
/* The two objects behind the opaque pointers of the public header. */
#ifndef AGENTSH_TRACER_TRACER_H
#define AGENTSH_TRACER_TRACER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <agentsh/ebpf.h>

#include "base/owner.h"
#include "base/programs.h"
#include "ring/ring.h"
#include "session_state.h"

#define AGENTSH_SESSION_BUCKETS 1024

struct agentsh_ebpf_session {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *prev;
	struct agentsh_ebpf_session *next;
	struct agentsh_ebpf_session *next_in_bucket;
	struct agentsh_session_state state;
	struct agentsh_ebpf_stats base; /* what the slot had counted before attach */
	uint64_t cgroup_id;
	int links[AGENTSH_PROGRAM_COUNT]; /* by index of tracer->programs; -1: none */
};

struct agentsh_ebpf_tracer {
	struct agentsh_owner owner; /* a forked child only releases its copies */
	struct agentsh_ebpf_tracer_options opts;
	pthread_mutex_t lock; /* protects sessions, the ring's slots and states_uncleared */
	struct agentsh_ebpf_session *sessions;
	struct agentsh_ebpf_session *by_cgroup[AGENTSH_SESSION_BUCKETS];
	bool states_uncleared; /* the storage of a cgroup may hold the state of an ended session */
	_Atomic uint32_t session_count;
	_Atomic uint64_t attach_failures;
	struct agentsh_programs programs;
	struct agentsh_ring ring;
};

#endif
