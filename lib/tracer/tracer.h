/* SPDX-License-Identifier: Apache-2.0 */
/* A tracer and its sessions. */
#ifndef AGENTSH_TRACER_TRACER_H
#define AGENTSH_TRACER_TRACER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <agentsh/ebpf.h>

#include "base/owner.h"
#include "base/programs.h"
#include "ring/ring.h"
#include "rules/build.h"
#include "session_state.h"
#include "tracer/handles.h"
#include "tracer/sockets.h"

#define AGENTSH_SESSION_BUCKETS 1024

/* A host names it by a handle, which struct agentsh_ebpf_session stands for. */
struct agentsh_session {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_session *prev;
	struct agentsh_session *next;
	struct agentsh_session *next_in_bucket;
	struct agentsh_handle_block *block; /* of its handle */
	struct agentsh_session_state state;
	struct agentsh_names_session names;
	struct agentsh_ebpf_stats base;	  /* what the slot had counted before attach */
	struct agentsh_ebpf_rules *rules; /* NULL: none */
	uint64_t cgroup_id;
	int cgroup_fd;			  /* a copy; -1 in synthetic mode */
	bool blind;			  /* AGENTSH_EBPF_EVENT_SESSION_BLIND was delivered */
	int links[AGENTSH_PROGRAM_COUNT]; /* by index of tracer->programs; -1: none */
};

struct agentsh_ebpf_tracer {
	struct agentsh_owner owner; /* a forked child only releases its copies */
	struct agentsh_ebpf_tracer_options opts;
	pthread_mutex_t lock; /* protects sessions, rules, the ring's slots, states_uncleared and
				 progress */
	struct agentsh_session *sessions;
	struct agentsh_ebpf_rules *rules; /* all sets */
	/* without rules: the first allows everything, the second denies everything */
	struct agentsh_rules_table spare_rules[2];
	uint32_t spare_first[2];    /* numbers of their first nodes */
	int64_t boottime_offset_ns; /* of this process, for rules that expire */
	struct agentsh_session *by_cgroup[AGENTSH_SESSION_BUCKETS];
	bool states_uncleared; /* the storage of a cgroup may hold the state of an ended session */
	struct agentsh_session *look_next;   /* whose turn it is; NULL: that of the first */
	struct agentsh_socket_walk progress; /* where the next portion of PROGRESS begins */
	struct agentsh_handles handles;
	_Atomic uint32_t session_count;
	_Atomic uint64_t attach_failures;
	struct agentsh_programs programs;
	struct agentsh_ring ring;
};

#endif
