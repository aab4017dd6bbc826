/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/handles.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "tracer/tracer.h"

#define BLOCK 64	/* bytes of a block, its alignment, and the number of its handles */
#define CHUNK_BLOCKS 63 /* a chunk has 4096 bytes */

/*
 * A handle is the address of a byte of its block; nobody reads or writes that byte by the handle.
 * One address after the other is given out, so no handle names two sessions. When all addresses
 * were given out, the block is not used again: a past session takes one byte.
 */
struct agentsh_handle_block {
	_Alignas(BLOCK) struct agentsh_ebpf_tracer *tracer;
	struct agentsh_session *session; /* NULL: no handle of this block is valid */
	struct agentsh_handle_block *next_free;
	uint32_t given; /* number of handles given out; the last one is the valid one */
};

_Static_assert(sizeof(struct agentsh_handle_block) == BLOCK, "one handle per byte");

struct agentsh_handle_chunk {
	_Alignas(BLOCK) struct agentsh_handle_chunk *next;
	struct agentsh_handle_block blocks[CHUNK_BLOCKS];
};

int agentsh_handles_grow(struct agentsh_ebpf_tracer *t)
{
	struct agentsh_handle_chunk *chunk = aligned_alloc(BLOCK, sizeof(*chunk));

	if (!chunk)
		return -ENOMEM;
	chunk->next = t->handles.chunks;
	t->handles.chunks = chunk;
	for (int i = 0; i < CHUNK_BLOCKS; i++) {
		chunk->blocks[i] = (struct agentsh_handle_block){
			.tracer = t,
			.next_free = t->handles.free,
		};
		t->handles.free = &chunk->blocks[i];
	}
	return 0;
}

void agentsh_handles_free(struct agentsh_ebpf_tracer *t)
{
	while (t->handles.chunks) {
		struct agentsh_handle_chunk *chunk = t->handles.chunks;

		t->handles.chunks = chunk->next;
		free(chunk);
	}
}

static void lock(struct agentsh_ebpf_tracer *t)
{
	if (agentsh_owner_is_caller(&t->owner))
		pthread_mutex_lock(&t->handles.lock);
}

static void unlock(struct agentsh_ebpf_tracer *t)
{
	if (agentsh_owner_is_caller(&t->owner))
		pthread_mutex_unlock(&t->handles.lock);
}

struct agentsh_handle_block *agentsh_handles_take(struct agentsh_ebpf_tracer *t)
{
	struct agentsh_handle_block *block;

	if (!t->handles.free && agentsh_handles_grow(t))
		return NULL;
	block = t->handles.free;
	t->handles.free = block->next_free;
	return block;
}

struct agentsh_ebpf_session *agentsh_handles_name(struct agentsh_handle_block *block,
						  struct agentsh_session *session)
{
	char *handle = (char *)block + block->given;

	lock(block->tracer);
	block->given++;
	block->session = session;
	unlock(block->tracer);
	return (struct agentsh_ebpf_session *)handle;
}

void agentsh_handles_give(struct agentsh_handle_block *block)
{
	struct agentsh_handles *handles = &block->tracer->handles;

	lock(block->tracer);
	block->session = NULL;
	unlock(block->tracer);
	if (block->given == BLOCK)
		return;
	block->next_free = handles->free;
	handles->free = block;
}

static struct agentsh_handle_block *block_of(const struct agentsh_ebpf_session *handle)
{
	const char *at = (const char *)handle;

	return (struct agentsh_handle_block *)(at - (uintptr_t)at % BLOCK);
}

struct agentsh_ebpf_tracer *agentsh_handle_tracer(const struct agentsh_ebpf_session *handle)
{
	return block_of(handle)->tracer;
}

static struct agentsh_session *find(const struct agentsh_ebpf_session *handle)
{
	const struct agentsh_handle_block *block = block_of(handle);

	return (uintptr_t)handle % BLOCK + 1 == block->given ? block->session : NULL;
}

struct agentsh_session *agentsh_handle_lock(const struct agentsh_ebpf_session *handle)
{
	lock(agentsh_handle_tracer(handle));
	return find(handle);
}

void agentsh_handle_unlock(const struct agentsh_ebpf_session *handle)
{
	unlock(agentsh_handle_tracer(handle));
}

struct agentsh_session *agentsh_handle_session(const struct agentsh_ebpf_session *handle)
{
	/* blocks change only under the tracer's lock, which the caller holds */
	return find(handle);
}
