/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles of sessions. The pointer that a host gets is not the address of a session, so that a
 * call with the handle of a past session is an error and not a use of freed memory.
 */
#ifndef AGENTSH_TRACER_HANDLES_H
#define AGENTSH_TRACER_HANDLES_H

#include <pthread.h>

struct agentsh_ebpf_session; /* never defined: a pointer to it is a handle */
struct agentsh_ebpf_tracer;
struct agentsh_handle_block;
struct agentsh_handle_chunk;
struct agentsh_session;

/* The handles of one tracer. Blocks are freed only when the tracer is closed. */
struct agentsh_handles {
	/* protects the blocks; never held across a system call, because statistics take it */
	pthread_mutex_t lock;
	struct agentsh_handle_block *free;
	struct agentsh_handle_chunk *chunks;
};

/*
 * Allocates blocks. Called with the first ones at open, so that an attach that fails leaves no
 * memory behind. Returns 0 or -ENOMEM.
 */
int agentsh_handles_grow(struct agentsh_ebpf_tracer *tracer);
/* Frees the blocks: no handle of the tracer may be used any more. */
void agentsh_handles_free(struct agentsh_ebpf_tracer *tracer);

/*
 * These three are called under the tracer's lock: take a block (NULL: out of memory), name a
 * session by a new handle in it, and give the block back, which ends the handle.
 */
struct agentsh_handle_block *agentsh_handles_take(struct agentsh_ebpf_tracer *tracer);
struct agentsh_ebpf_session *agentsh_handles_name(struct agentsh_handle_block *block,
						  struct agentsh_session *session);
void agentsh_handles_give(struct agentsh_handle_block *block);

/* The tracer of a handle, even if the session was detached. */
struct agentsh_ebpf_tracer *agentsh_handle_tracer(const struct agentsh_ebpf_session *handle);
/*
 * The session of a handle, or NULL if it was detached. The session stays valid until
 * agentsh_handle_unlock(), which is called in both cases. A forked child takes no lock, because a
 * thread that existed only in the parent may hold its copy.
 */
struct agentsh_session *agentsh_handle_lock(const struct agentsh_ebpf_session *handle);
void agentsh_handle_unlock(const struct agentsh_ebpf_session *handle);
/* The same for a caller that holds the tracer's lock, under which sessions are detached. */
struct agentsh_session *agentsh_handle_session(const struct agentsh_ebpf_session *handle);

#endif
