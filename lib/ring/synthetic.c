/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agentsh_ebpf_inject() fills this ring by the kernel's rules: with the same records, the
 * same number of bytes per record, and the same counters.
 */
#include "ring/synthetic.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
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
	void *large; /* a record that is larger; else NULL */
	uint32_t size;
};

struct agentsh_synthetic {
	pthread_mutex_t lock;
	int fd; /* readable while there are entries */
	struct entry *entries;
	uint32_t capacity;
	uint32_t head;
	uint32_t count;
	_Atomic uint64_t consumed;
	_Atomic uint64_t produced;
	uint64_t held; /* bytes that the entries would take in the kernel's ring */
	uint64_t ring_bytes;
	uint64_t quota_bytes;
};

int agentsh_synthetic_open(struct agentsh_ring *ring, struct agentsh_ebpf_error *err)
{
	struct agentsh_synthetic *synthetic = calloc(1, sizeof(*synthetic));

	ring->slots.counters = calloc(ring->slots.max, sizeof(*ring->slots.counters));
	if (synthetic) {
		synthetic->ring_bytes = ring->size;
		synthetic->quota_bytes = ring->quota_bytes;
		synthetic->capacity =
			ring->size / (uint32_t)AGENTSH_RECORD_RING_BYTES(struct agentsh_record);
		synthetic->entries = calloc(synthetic->capacity, sizeof(*synthetic->entries));
	}
	if (!synthetic || !synthetic->entries || !ring->slots.counters) {
		if (synthetic)
			free(synthetic->entries);
		free(synthetic);
		return agentsh_fail(err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for a ring of %u bytes; lower ring_size",
				    ring->size);
	}
	pthread_mutex_init(&synthetic->lock, NULL);
	ring->synthetic = synthetic;
	synthetic->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return synthetic->fd < 0
		       ? agentsh_fail_call(err, -errno, AGENTSH_EBPF_STEP_EVENT_FD, "eventfd")
		       : 0;
}

void agentsh_synthetic_close(struct agentsh_ring *ring)
{
	struct agentsh_synthetic *synthetic = ring->synthetic;

	if (!synthetic)
		return;
	if (synthetic->fd >= 0)
		close(synthetic->fd);
	pthread_mutex_destroy(&synthetic->lock);
	for (; synthetic->count; synthetic->count--) {
		free(synthetic->entries[synthetic->head].large);
		synthetic->head = (synthetic->head + 1) % synthetic->capacity;
	}
	free(synthetic->entries);
	free(synthetic);
}

int agentsh_synthetic_fd(const struct agentsh_ring *ring)
{
	return ring->synthetic->fd;
}

uint64_t agentsh_synthetic_consumed(const struct agentsh_ring *ring)
{
	return ring->synthetic->consumed;
}

uint64_t agentsh_synthetic_produced(const struct agentsh_ring *ring)
{
	return ring->synthetic->produced;
}

/* Follows ringbuf_reserve() in bpf/ringbuf.h and the kernel's bpf_ringbuf_reserve(). */
static bool reserve(struct agentsh_synthetic *synthetic, struct agentsh_slot *slot, uint64_t bytes)
{
	int64_t held =
		(int64_t)(agentsh_counter(&slot->produced) - agentsh_counter(&slot->consumed));

	if (synthetic->held >= synthetic->quota_bytes && held >= (int64_t)synthetic->quota_bytes) {
		__atomic_fetch_add(&slot->lost_quota, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&slot->lost, 1, __ATOMIC_RELAXED);
		return false;
	}
	if (synthetic->held + bytes > synthetic->ring_bytes - 1) {
		__atomic_fetch_add(&slot->lost, 1, __ATOMIC_RELAXED);
		return false;
	}
	__atomic_fetch_add(&slot->produced, bytes, __ATOMIC_RELAXED);
	synthetic->held += bytes;
	synthetic->produced += bytes;
	return true;
}

/* The caller holds the lock. Returns whether the entry fits. */
static bool add(struct agentsh_synthetic *synthetic, struct agentsh_slot *slot,
		const struct entry *entry)
{
	const uint64_t one = 1;

	if (!reserve(synthetic, slot, AGENTSH_RING_BYTES(entry->size)))
		return false;
	synthetic->entries[(synthetic->head + synthetic->count++) % synthetic->capacity] = *entry;
	if (synthetic->count == 1)
		(void)!write(synthetic->fd, &one, sizeof(one));
	return true;
}

int agentsh_synthetic_put(struct agentsh_ring *ring, const struct agentsh_session_state *state,
			  const void *record, size_t size)
{
	struct entry entry = {.large = malloc(size), .size = (uint32_t)size};
	bool fits;

	if (!entry.large)
		return -ENOMEM;
	memcpy(entry.large, record, size);
	pthread_mutex_lock(&ring->synthetic->lock);
	fits = add(ring->synthetic, &ring->slots.counters[state->slot], &entry);
	pthread_mutex_unlock(&ring->synthetic->lock);
	if (!fits)
		free(entry.large);
	return fits ? 0 : -ENOBUFS;
}

int agentsh_synthetic_inject(struct agentsh_ring *ring, const struct agentsh_session_state *state,
			     const struct agentsh_ebpf_event *event)
{
	struct agentsh_slot *slot = &ring->slots.counters[state->slot];
	struct agentsh_synthetic *synthetic = ring->synthetic;
	struct agentsh_ebpf_event copy = *event;
	struct entry entry = {.large = NULL};
	int ret = -ERANGE;

	if (!copy.timestamp_ns)
		copy.timestamp_ns = agentsh_clock_ns(CLOCK_BOOTTIME);

	pthread_mutex_lock(&synthetic->lock);
	copy.session_lost = agentsh_counter(&slot->lost) - state->lost_base;
	entry.size = (uint32_t)agentsh_encode(&copy, state, &entry.record);
	if (entry.size)
		ret = add(synthetic, slot, &entry) ? 0 : -ENOBUFS;
	pthread_mutex_unlock(&synthetic->lock);
	return ret;
}

/* Removes the oldest entry, and releases the lock before the host's callback runs. */
static bool pop(struct agentsh_synthetic *synthetic, struct entry *entry)
{
	uint64_t count;
	bool any;

	pthread_mutex_lock(&synthetic->lock);
	any = synthetic->count;
	if (any) {
		*entry = synthetic->entries[synthetic->head];
		synthetic->head = (synthetic->head + 1) % synthetic->capacity;
		synthetic->held -= AGENTSH_RING_BYTES(entry->size);
		synthetic->consumed += AGENTSH_RING_BYTES(entry->size);
		/* like the kernel's ring, not readable once the last entry is removed */
		if (!--synthetic->count)
			(void)!read(synthetic->fd, &count, sizeof(count));
	}
	pthread_mutex_unlock(&synthetic->lock);
	return any;
}

int agentsh_synthetic_drain(struct agentsh_ring *ring)
{
	struct entry entry;

	while (pop(ring->synthetic, &entry)) {
		void *record = entry.large ? entry.large : (void *)&entry.record;
		int ret = agentsh_deliver_record(ring, record, entry.size);

		free(entry.large);
		if (ret < 0)
			return ret;
	}
	return 0;
}
