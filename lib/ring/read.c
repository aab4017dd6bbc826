/* SPDX-License-Identifier: Apache-2.0 */
/* Reads events out of the ring: poll with a callback, read into an array. */
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/clock.h"
#include "record.h"
#include "ring/deliver.h"
#include "ring/moderator.h"
#include "ring/ring.h"
#include "ring/synthetic.h"

/* Bytes of the smallest packet record in the ring. */
#define PACKET_BYTES AGENTSH_RING_BYTES(sizeof(struct agentsh_record_packet) + AGENTSH_PACKET_SMALL)

/* The most events per poll or read, so that neither can run forever. */
#define BATCH_MAX 4096

static int consume(struct agentsh_ring *ring)
{
	int ret;

	if (ring->batch->full) /* of the events of a look */
		return 0;
	ring->batch->taken = 0;
	ring->batch->stopped = false;
	ret = ring->synthetic ? agentsh_synthetic_drain(ring) : ring_buffer__consume(ring->buffer);
	return ret < 0 && !ring->batch->full && !ring->batch->stopped ? ret : 0;
}

/* What has ended a wait; none of these bits: the timeout. */
enum { RING = 1, TIMER = 2, WOKEN = 4, LOOK = 8, PROGRESS = 16, DNS = 32 };

/*
 * Returns RING, TIMER, WOKEN, LOOK, PROGRESS and DNS bits, or a negative errno value. Reading
 * the eventfd consumes the wake, so one wake ends one wait.
 */
static int wait_ready(struct agentsh_ring *ring, int timeout_ms)
{
	struct epoll_event events[6];
	int n = epoll_wait(ring->epoll_fd, events, 6, timeout_ms), ready = 0;
	uint64_t count;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == ring->moderator.timer_fd)
			ready |= TIMER;
		else if (events[i].data.fd == ring->look_timer.fd)
			ready |= LOOK;
		else if (events[i].data.fd == ring->progress_timer.fd)
			ready |= PROGRESS;
		else if (events[i].data.fd == ring->dns_timer.fd)
			ready |= DNS;
		else if (events[i].data.fd != ring->wake_fd)
			ready |= RING;
		else if (read(ring->wake_fd, &count, sizeof(count)) == sizeof(count))
			ready |= WOKEN;
	}
	return ready;
}

/*
 * A reserved record makes the ring readable before it is submitted; gives its writer time
 * to finish.
 */
static int let_writer_finish(void)
{
	const struct timespec delay = {.tv_nsec = 50000};

	return nanosleep(&delay, NULL) ? -errno : 0;
}

/* Drains the ring once. ready tells what has ended the wait before it. */
static int drain(struct agentsh_ring *ring, int ready)
{
	struct agentsh_batch *batch = ring->batch;
	uint64_t before = ring->dns_timer.interval_ns ? agentsh_clock_ns(CLOCK_BOOTTIME) : 0;
	int ret = consume(ring);

	if (!ret && !batch->full && !batch->stopped)
		ring->taken_until_ns = before;
	agentsh_moderator_drained(&ring->moderator, batch->taken, ready & TIMER,
				  batch->full || batch->stopped);
	return ret;
}

/*
 * Drains until the host has an event or the ring is empty. Packets may keep coming, so the number
 * of drains has a limit: a full ring of them.
 */
static int drain_for_event(struct agentsh_ring *ring, int ready)
{
	uint64_t left = ring->size / PACKET_BYTES / AGENTSH_RECORDS_MAX + 1;
	int ret = drain(ring, ready);

	while (!ret && ring->batch->stopped && !ring->batch->count && left--)
		ret = drain(ring, 0);
	return ret;
}

static int wait_and_drain(struct agentsh_ring *ring, int timeout_ms)
{
	int64_t end = timeout_ms > 0
			      ? (int64_t)(agentsh_clock_ns(CLOCK_MONOTONIC) / 1000000) + timeout_ms
			      : 0;

	for (;;) {
		int ready = wait_ready(ring, timeout_ms);
		int ret;

		if (ready < 0)
			return ready;
		if (ready & PROGRESS)
			ring->progress(ring->timers_ctx);
		if (ready & LOOK)
			ring->look(ring->timers_ctx);
		/* drain after a wake, too, so that no record is left in the ring */
		ret = drain_for_event(ring, ready);
		/* the answer may have been in the ring */
		if (ready & DNS)
			agentsh_deliver_unanswered(ring);
		if (ret || ring->batch->count || !ready || ready & WOKEN || !timeout_ms)
			return ret;
		if (ready & RING && !ring->batch->taken)
			ret = let_writer_finish();
		if (ret)
			return ret;
		if (timeout_ms > 0) {
			int64_t left = end - (int64_t)(agentsh_clock_ns(CLOCK_MONOTONIC) / 1000000);

			timeout_ms = left > 0 ? (int)left : 0;
		}
	}
}

int agentsh_ring_read(struct agentsh_ring *ring, struct agentsh_ebpf_event *buf, size_t n,
		      int timeout_ms)
{
	struct agentsh_batch batch = {
		.buf = buf,
		.max = n < BATCH_MAX ? (int)n : BATCH_MAX,
	};
	bool dns_due;
	int ret = 0;

	if (atomic_flag_test_and_set_explicit(&ring->reading, memory_order_acquire))
		return -EBUSY;
	ring->batch = &batch;
	agentsh_names_begin(&ring->names, agentsh_ring_consumed(ring));
	agentsh_deliver_ready(ring);
	/* first, because a ring that is never empty would leave no room for its events */
	dns_due = agentsh_look_timer_due(&ring->dns_timer);
	if (dns_due)
		agentsh_deliver_unanswered(ring);
	if (agentsh_look_timer_due(&ring->look_timer))
		ring->look(ring->timers_ctx);
	if (agentsh_look_timer_due(&ring->progress_timer))
		ring->progress(ring->timers_ctx);
	/* while polling the ring has records nearly always; the timer says when to drain it */
	if (!batch.full && !agentsh_moderator_wait_for_timer(&ring->moderator))
		ret = drain_for_event(ring, 0);
	if (dns_due)
		agentsh_deliver_unanswered(ring);
	if (!ret && !batch.count)
		ret = wait_and_drain(ring, timeout_ms);
	/* a host that waits for an edge of the descriptor does not come back without one */
	if (!ret && batch.stopped && !batch.count)
		agentsh_ring_wake(ring);
	ring->batch = NULL;
	atomic_flag_clear_explicit(&ring->reading, memory_order_release);
	return batch.count ? batch.count : ret;
}

void agentsh_ring_wake(struct agentsh_ring *ring)
{
	const uint64_t one = 1;
	int saved = errno; /* kept for signal handlers */

	/* EAGAIN means that the counter is at its maximum, so a wake is pending already */
	(void)!write(ring->wake_fd, &one, sizeof(one));
	errno = saved;
}
