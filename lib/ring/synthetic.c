/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agentsh_ebpf_inject() fills this ring by the kernel's rules: with the same records, the
 * same number of bytes per record, and the same counters.
 */
#include "ring/synthetic.h"

#include <errno.h>
#include <stdbool.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "checks/diagnose.h"
#include "ring/decode.h"
#include "ring/deliver.h"
#include "ring/ring.h"

struct entry {
	struct agentsh_record_outcome record;
	uint32_t size;
};

struct agentsh_synth {
	pthread_mutex_t lock;
	int fd; /* readable while there are entries */
	struct entry *entries;
	uint32_t capacity;
	uint32_t head;
	uint32_t count;
	uint64_t held; /* bytes that the entries would take in the kernel's ring */
	uint64_t ring_bytes;
	uint64_t quota_bytes;
};

int agentsh_synth_open(struct agentsh_ring *ring, struct agentsh_ebpf_error *err)
{
	struct agentsh_synth *synth = calloc(1, sizeof(*synth));

	ring->slots.counters = calloc(ring->slots.max, sizeof(*ring->slots.counters));
	if (synth) {
		synth->ring_bytes = ring->size;
		synth->quota_bytes = ring->quota_bytes;
		synth->capacity =
			ring->size / (uint32_t)AGENTSH_RECORD_RING_BYTES(struct agentsh_record);
		synth->entries = calloc(synth->capacity, sizeof(*synth->entries));
	}
	if (!synth || !synth->entries || !ring->slots.counters) {
		if (synth)
			free(synth->entries);
		free(synth);
		return agentsh_fail(err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for a ring of %u bytes; lower ring_size",
				    ring->size);
	}
	pthread_mutex_init(&synth->lock, NULL);
	ring->synth = synth;
	synth->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return synth->fd < 0 ? agentsh_fail_call(err, -errno, AGENTSH_EBPF_STEP_EVENT_FD, "eventfd")
			     : 0;
}

void agentsh_synth_close(struct agentsh_ring *ring)
{
	struct agentsh_synth *synth = ring->synth;

	if (!synth)
		return;
	if (synth->fd >= 0)
		close(synth->fd);
	pthread_mutex_destroy(&synth->lock);
	free(synth->entries);
	free(synth);
}

int agentsh_synth_fd(const struct agentsh_ring *ring)
{
	return ring->synth->fd;
}

/* Follows ringbuf_reserve() in bpf/ringbuf.h and the kernel's bpf_ringbuf_reserve(). */
static bool reserve(struct agentsh_synth *synth, struct agentsh_slot *slot, uint64_t bytes)
{
	int64_t held =
		(int64_t)(agentsh_counter(&slot->produced) - agentsh_counter(&slot->consumed));

	if (synth->held >= synth->quota_bytes && held >= (int64_t)synth->quota_bytes) {
		__atomic_fetch_add(&slot->lost_quota, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&slot->lost, 1, __ATOMIC_RELAXED);
		return false;
	}
	if (synth->held + bytes > synth->ring_bytes - 1) {
		__atomic_fetch_add(&slot->lost, 1, __ATOMIC_RELAXED);
		return false;
	}
	__atomic_fetch_add(&slot->produced, bytes, __ATOMIC_RELAXED);
	synth->held += bytes;
	return true;
}

int agentsh_synth_inject(struct agentsh_ring *ring, const struct agentsh_session_state *state,
			 const struct agentsh_ebpf_event *event)
{
	struct agentsh_slot *slot = &ring->slots.counters[state->slot];
	struct agentsh_synth *synth = ring->synth;
	struct agentsh_ebpf_event copy = *event;
	struct entry entry;
	bool fits;

	if (!copy.timestamp_ns)
		copy.timestamp_ns = agentsh_clock_ns(CLOCK_BOOTTIME);

	pthread_mutex_lock(&synth->lock);
	copy.session_lost = agentsh_counter(&slot->lost) - state->lost_base;
	entry.size = (uint32_t)agentsh_encode(&copy, state, &entry.record);
	fits = reserve(synth, slot, AGENTSH_RING_BYTES(entry.size));
	if (fits) {
		const uint64_t one = 1;

		synth->entries[(synth->head + synth->count++) % synth->capacity] = entry;
		if (synth->count == 1)
			(void)!write(synth->fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&synth->lock);
	return fits ? 0 : -ENOBUFS;
}

/* Removes the oldest entry, and releases the lock before the host's callback runs. */
static bool pop(struct agentsh_synth *synth, struct entry *entry)
{
	uint64_t count;
	bool any;

	pthread_mutex_lock(&synth->lock);
	any = synth->count;
	if (any) {
		*entry = synth->entries[synth->head];
		synth->head = (synth->head + 1) % synth->capacity;
		synth->held -= AGENTSH_RING_BYTES(entry->size);
		/* like the kernel's ring, not readable once the last entry is removed */
		if (!--synth->count)
			(void)!read(synth->fd, &count, sizeof(count));
	}
	pthread_mutex_unlock(&synth->lock);
	return any;
}

int agentsh_synth_drain(struct agentsh_ring *ring)
{
	struct entry entry;

	while (pop(ring->synth, &entry)) {
		int ret = agentsh_deliver_record(ring, &entry.record, entry.size);

		if (ret < 0)
			return ret;
	}
	return 0;
}
