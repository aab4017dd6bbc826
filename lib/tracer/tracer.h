/* SPDX-License-Identifier: Apache-2.0 */
/* The two objects behind the opaque pointers of the public header. */
#ifndef AGENTSH_TRACER_TRACER_H
#define AGENTSH_TRACER_TRACER_H

#include <pthread.h>
#include <stdatomic.h>

#include <agentsh/ebpf.h>

#include "load/programs.h"
#include "ring/moderator.h"
#include "session_state.h"
#include "tracer/slots.h"

struct agentsh_batch;
struct agentsh_synth;
struct ring_buffer;

struct agentsh_ebpf_session {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *prev;
	struct agentsh_ebpf_session *next;
	struct agentsh_session_state state;
	struct agentsh_ebpf_stats base; /* what the slot had counted before attach */
	uint64_t cgroup_id;
	int links[AGENTSH_PROGRAM_COUNT]; /* by index of tracer->programs; -1: none */
};

struct agentsh_ebpf_tracer {
	struct agentsh_ebpf_tracer_options opts;
	pthread_mutex_t lock; /* protects sessions and slots */
	struct agentsh_ebpf_session *sessions;
	_Atomic uint32_t session_count;
	struct agentsh_slots slots;

	struct agentsh_program programs[AGENTSH_PROGRAM_COUNT];
	uint32_t program_count;
	uint32_t hooks;				/* bits of opts.hooks that were loaded */
	int load_errors[AGENTSH_PROGRAM_COUNT]; /* errno by index of agentsh_program_descs; 0:
						   loaded, or not wanted */
	int state_fd; /* cgroup storage that all programs share; -1: one per program */
	struct ring_buffer *ring;
	int ring_fd;
	struct agentsh_synth *synth; /* replaces programs and ring in synthetic mode */

	int epoll_fd;
	int wake_fd;
	struct agentsh_moderator moderator;
	atomic_flag reading;	     /* one poll or read at a time */
	struct agentsh_batch *batch; /* of the poll or read that is running */

	_Atomic uint64_t delivered;
	_Atomic uint64_t attach_failures;
	_Atomic uint64_t malformed;
};

#endif
