/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading side of one tracer: the ring buffer or its synthetic replacement, the
 * counters, and the descriptors on which a host waits.
 */
#ifndef AGENTSH_RING_RING_H
#define AGENTSH_RING_RING_H

#include <stdatomic.h>

#include <agentsh/ebpf.h>

#include "names/names.h"
#include "ring/look_timer.h"
#include "ring/moderator.h"
#include "ring/slots.h"

struct agentsh_batch;
struct agentsh_synthetic;
struct ring_buffer;

struct agentsh_ring {
	struct agentsh_slots slots;
	uint32_t size;
	uint64_t quota_bytes;		/* what one session's unread records may hold */
	agentsh_ebpf_event_fn on_event; /* NULL if the host only reads */
	void *event_ctx;

	struct ring_buffer *buffer; /* libbpf's reader */
	int fd;
	struct agentsh_synthetic *synthetic; /* in place of buffer */

	int epoll_fd;
	int wake_fd;
	struct agentsh_moderator moderator;
	struct agentsh_look_timer look_timer;
	void (*look)(void *ctx); /* called by the reader when look_timer says so */
	struct agentsh_look_timer progress_timer;
	void (*progress)(void *ctx); /* the same for progress_timer */
	void *timers_ctx;
	struct agentsh_look_timer dns_timer; /* when a question has had no answer in time */
	uint64_t taken_until_ns;	     /* CLOCK_BOOTTIME up to which all records were taken */
	struct agentsh_names names;
	atomic_flag reading;	     /* one poll or read at a time */
	struct agentsh_batch *batch; /* of the poll or read that is running */

	_Atomic uint64_t delivered;
	_Atomic uint64_t malformed;
};

/* Takes sizes and callback from checked options; allocates the slots' bookkeeping. */
int agentsh_ring_init(struct agentsh_ring *ring, const struct agentsh_ebpf_tracer_options *opts,
		      struct agentsh_ebpf_error *err);
/* Makes the descriptors, once the ring buffer or its replacement is there. */
int agentsh_ring_open(struct agentsh_ring *ring, struct agentsh_ebpf_error *err);
void agentsh_ring_close(struct agentsh_ring *ring);

/* Positions of the reader and of the programs in the ring; they have the size of a long. Any
 * thread. */
uint64_t agentsh_ring_consumed(const struct agentsh_ring *ring);
uint64_t agentsh_ring_produced(const struct agentsh_ring *ring);

/*
 * Waits at most timeout_ms milliseconds, then delivers up to n events to buf, or to the
 * callback if buf is NULL. Returns their number, or a negative errno value.
 */
int agentsh_ring_read(struct agentsh_ring *ring, struct agentsh_ebpf_event *buf, size_t n,
		      int timeout_ms);
/* Makes a waiting agentsh_ring_read() return; safe in a signal handler. */
void agentsh_ring_wake(struct agentsh_ring *ring);

#endif
