/* SPDX-License-Identifier: Apache-2.0 */
/* From the ring to the host: poll with a callback, read into an array. */
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "internal.h"

#define CLOCK_TRIES 5
#define CLOCK_CLOSE_NS 1000 /* two comparisons of clocks may differ by this much */

/*
 * A program has its place in the ring before it reads what was lost, and another
 * one on another processor may do both in between.
 */
static void not_backwards(struct agentsh_slot *slot, uint32_t serial,
			  struct agentsh_ebpf_event *event)
{
	if (slot->seen_serial != serial) {
		slot->seen_serial = serial;
		slot->seen_lost = 0;
	}
	if (event->session_lost < slot->seen_lost)
		event->session_lost = slot->seen_lost;
	else
		slot->seen_lost = event->session_lost;
}

/*
 * A record counts only if it is of the session that holds its slot now: what an
 * earlier one left unread was forgotten when the slot was given out again.
 */
static int account(struct agentsh_ebpf_tracer *t, const struct agentsh_origin *origin,
		   struct agentsh_ebpf_event *event)
{
	struct agentsh_slot *slot;

	if (origin->slot >= t->slots.max)
		return -EBADMSG;
	slot = &t->slots.counters[origin->slot];
	if (atomic_load_explicit(&t->slots.serials[origin->slot], memory_order_relaxed) !=
	    origin->serial)
		return 0;
	/* an add: agentsh_slots_take() in another thread writes it as well */
	__atomic_fetch_add(&slot->consumed, origin->room, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->delivered, slot->delivered + 1, __ATOMIC_RELAXED);
	not_backwards(slot, origin->serial, event);
	return 0;
}

int agentsh_take_record(void *tracer, void *data, size_t size)
{
	struct agentsh_ebpf_tracer *t = tracer;
	struct agentsh_batch *batch = t->batch;
	/* cppcheck-suppress uninitvar ; only its address is taken */
	/* four cache lines, not five: without it what an event costs is a matter of luck */
	_Alignas(64) struct agentsh_ebpf_event own;
	struct agentsh_ebpf_event *event = batch->buf ? &batch->buf[batch->count] : &own;
	struct agentsh_origin origin;
	int stop = 0;

	if (agentsh_decode(data, size, event, &origin) || account(t, &origin, event)) {
		atomic_fetch_add_explicit(&t->malformed, 1, memory_order_relaxed);
		return 0;
	}
	batch->count++;
	/* one writer: no need for a locked add */
	atomic_store_explicit(&t->delivered,
			      atomic_load_explicit(&t->delivered, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (!batch->buf)
		stop = t->opts.on_event(t->opts.event_ctx, event);
	batch->full = stop || batch->count == batch->max;
	return batch->full ? -ECANCELED : 0;
}

static int consume(struct agentsh_ebpf_tracer *t)
{
	int ret = t->synth ? agentsh_synth_consume(t) : ring_buffer__consume(t->ring);

	return ret < 0 && !t->batch->full ? ret : 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What a wait has ended with; none of it: time is up. */
enum { RING = 1, TIMER = 2, WOKEN = 4 };

/* Or negative errno. A wake is used up by the one that it wakes. */
static int wait_ready(struct agentsh_ebpf_tracer *t, int timeout_ms)
{
	struct epoll_event events[3];
	int n = epoll_wait(t->epoll_fd, events, 3, timeout_ms), ready = 0;
	uint64_t count;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == t->moderator.timer_fd)
			ready |= TIMER;
		else if (events[i].data.fd != t->wake_fd)
			ready |= RING;
		else if (read(t->wake_fd, &count, sizeof(count)) == sizeof(count))
			ready |= WOKEN;
	}
	return ready;
}

/* A record that is reserved but not finished looks like one; give its writer time. */
static int let_writer_finish(void)
{
	const struct timespec delay = {.tv_nsec = 50000};

	return nanosleep(&delay, NULL) ? -errno : 0;
}

/* One look at the ring, after a wait that ended with this. */
static int look(struct agentsh_ebpf_tracer *t, int ready)
{
	struct agentsh_batch *batch = t->batch;
	int before = batch->count, ret = consume(t);

	agentsh_moderate(&t->moderator, batch->count - before, ready & TIMER, batch->full);
	return ret;
}

static int wait_and_look(struct agentsh_ebpf_tracer *t, int timeout_ms)
{
	int64_t end = timeout_ms > 0 ? now_ms() + timeout_ms : 0;

	for (;;) {
		int ready = wait_ready(t, timeout_ms);
		int ret;

		if (ready < 0)
			return ready;
		ret = look(t, ready); /* also after a wake: what is there is not left */
		if (ret || t->batch->count || !ready || ready & WOKEN || !timeout_ms)
			return ret;
		if (ready & RING)
			ret = let_writer_finish();
		if (ret)
			return ret;
		if (timeout_ms > 0) {
			int64_t left = end - now_ms();

			timeout_ms = left > 0 ? (int)left : 0;
		}
	}
}

static int batch_run(struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_event *buf, size_t n,
		     int timeout_ms)
{
	struct agentsh_batch batch = {
		.buf = buf,
		.max = n < AGENTSH_BATCH_MAX ? (int)n : AGENTSH_BATCH_MAX,
	};
	int ret = 0;

	if (atomic_flag_test_and_set_explicit(&t->reading, memory_order_acquire))
		return -EBUSY;
	t->batch = &batch;
	/* while records flow there are always some; the timer says when to take them */
	if (!agentsh_moderate_looks(&t->moderator))
		ret = look(t, 0);
	if (!ret && !batch.count)
		ret = wait_and_look(t, timeout_ms);
	t->batch = NULL;
	atomic_flag_clear_explicit(&t->reading, memory_order_release);
	return batch.count ? batch.count : ret;
}

int agentsh_ebpf_poll(struct agentsh_ebpf_tracer *t, int timeout_ms)
{
	if (!t)
		return -EFAULT;
	if (!t->opts.on_event)
		return -EINVAL;
	return batch_run(t, NULL, AGENTSH_BATCH_MAX, timeout_ms);
}

int agentsh_ebpf_read(struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_event *buf, size_t n,
		      int timeout_ms)
{
	if (!t || !buf)
		return -EFAULT;
	if (!n)
		return -ERANGE;
	return batch_run(t, buf, n, timeout_ms);
}

int agentsh_ebpf_fd(const struct agentsh_ebpf_tracer *t)
{
	return t ? t->epoll_fd : -EFAULT;
}

int agentsh_ebpf_wake(struct agentsh_ebpf_tracer *t)
{
	const uint64_t one = 1;
	int saved = errno; /* for signal handlers */

	if (!t)
		return -EFAULT;
	/* EAGAIN: the counter is at its end, so a wake is pending anyway */
	(void)!write(t->wake_fd, &one, sizeof(one));
	errno = saved;
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/*
 * Unix time of boot. The thread may be made to wait between two clocks, for
 * milliseconds; so one is read before and after the other, and the quickest of
 * a few tries counts.
 */
static uint64_t boot_realtime_ns(void)
{
	uint64_t best = UINT64_MAX, boot = 0;

	for (int i = 0; i < CLOCK_TRIES && best > CLOCK_CLOSE_NS; i++) {
		uint64_t before = clock_ns(CLOCK_BOOTTIME);
		uint64_t real = clock_ns(CLOCK_REALTIME);
		uint64_t took = clock_ns(CLOCK_BOOTTIME) - before;

		if (took < best) {
			best = took;
			boot = real - before - took / 2;
		}
	}
	return boot;
}

uint64_t agentsh_ebpf_event_realtime_ns(const struct agentsh_ebpf_event *event)
{
	return event ? boot_realtime_ns() + event->timestamp_ns : 0;
}
