/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/moderator.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "control.h"
#include "ring/timer.h"

enum {
	/* each record may wake the reader */
	IDLE,
	/* records do not wake the reader; the timer starts each drain */
	POLLING,
	/* records wake the reader again; one more drain, as a producer may see the old flag */
	REARMING
};

#define EMPTY_DRAINS 2 /* consecutive empty drains that end polling */

/*
 * Sets whether epoll reports the ring by level or by edge. While the reader polls, the
 * ring has records nearly always, and only a wake-up at the watermark may end the wait.
 */
static void watch_ring(const struct agentsh_moderator *m, uint32_t edge)
{
	struct epoll_event event = {.events = EPOLLIN | edge, .data.fd = m->ring_fd};

	epoll_ctl(m->epoll_fd, EPOLL_CTL_MOD, m->ring_fd, &event);
}

static void set_suppress_wakeup(struct agentsh_moderator *m, uint32_t suppress)
{
	__atomic_store_n(&m->control->suppress_wakeup, suppress, __ATOMIC_SEQ_CST);
}

/*
 * Bytes in the ring, reserved but unsubmitted records included. The full fence publishes
 * the consumer position first: a program that still sees the old position thinks that the
 * reader is busy and does not wake it, so the record of that program must be seen here.
 */
static unsigned long bytes_in_ring(const struct agentsh_moderator *m)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(m->producer_pos, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(m->consumer_pos, __ATOMIC_RELAXED);
}

/*
 * Arms the timer. If that fails, no drain would follow, so each record wakes the reader,
 * as without a delay.
 */
static void arm_or_idle(struct agentsh_moderator *m)
{
	if (!agentsh_timer_set(m->timer_fd, m->delay_ns))
		return;
	set_suppress_wakeup(m, 0);
	watch_ring(m, 0);
	m->state = IDLE;
}

/*
 * If a drain left records, the descriptor stays readable until a drain leaves none. The
 * call is made only for a change, because many small reads in a row would pay for each
 * call.
 */
static void set_has_more(struct agentsh_moderator *m, bool has_more)
{
	m->has_more = has_more;
	watch_ring(m, has_more ? 0 : EPOLLET);
}

static void start_polling(struct agentsh_moderator *m, bool has_more)
{
	m->state = POLLING;
	m->empty_drains = 0;
	set_suppress_wakeup(m, 1);
	set_has_more(m, has_more);
	arm_or_idle(m);
}

static void rearm(struct agentsh_moderator *m)
{
	m->state = REARMING;
	set_suppress_wakeup(m, 0);
	/* read the clock after clearing the flag: programs have one delay to see the change */
	m->rearmed_ns = agentsh_clock_ns(CLOCK_MONOTONIC);
	watch_ring(m, 0);
	arm_or_idle(m);
}

/* Records that arrive one by one, further apart than the delay, are cheaper with wake-ups. */
static bool is_busy(struct agentsh_moderator *m, int consumed, uint64_t now)
{
	bool yes = consumed > 1 || (consumed && now - m->last_record_ns < m->delay_ns);

	if (consumed)
		m->last_record_ns = now;
	return yes;
}

static void drained_polling(struct agentsh_moderator *m, int consumed, bool timer_fired,
			    bool has_more)
{
	if (has_more != m->has_more)
		set_has_more(m, has_more);
	if (consumed)
		m->empty_drains = 0;
	if (!timer_fired)
		return; /* the host called early; the timer still runs */
	if (!consumed && ++m->empty_drains >= EMPTY_DRAINS)
		rearm(m);
	else
		arm_or_idle(m);
}

static void drained_woken(struct agentsh_moderator *m, int consumed, unsigned long held,
			  bool has_more)
{
	uint64_t now = m->delay_ns && (consumed || m->state == REARMING)
			       ? agentsh_clock_ns(CLOCK_MONOTONIC)
			       : 0;

	if (now && is_busy(m, consumed, now)) {
		start_polling(m, has_more);
		return;
	}
	/*
	 * Records remain. Their producer may have skipped its wake-up because an older record was
	 * still unread, so make the descriptor readable again.
	 */
	if (consumed && held)
		watch_ring(m, 0);
	if (m->state == REARMING && now - m->rearmed_ns >= m->delay_ns) {
		if (!bytes_in_ring(m)) /* count again, because the clock was read after held */
			m->state = IDLE;
		if (m->state == REARMING)
			arm_or_idle(m);
		else
			agentsh_timer_set(m->timer_fd, 0);
	}
}

void agentsh_moderator_drained(struct agentsh_moderator *m, int consumed, bool timer_fired,
			       bool has_more)
{
	unsigned long held;

	if (!m->producer_pos)
		return; /* a synthetic ring */
	/*
	 * Clear this before the fence: a program that saw it set, and so did not wake the reader,
	 * has already reserved its record.
	 */
	if (__atomic_load_n(&m->control->wakeup_sent, __ATOMIC_RELAXED))
		__atomic_store_n(&m->control->wakeup_sent, 0, __ATOMIC_RELAXED);
	held = bytes_in_ring(m);
	if (m->state == POLLING)
		drained_polling(m, consumed, timer_fired, has_more || held >= m->wakeup_watermark);
	else
		drained_woken(m, consumed, held, has_more);
}

bool agentsh_moderator_wait_for_timer(const struct agentsh_moderator *m)
{
	return m->state == POLLING && !m->has_more;
}

/*
 * The first page of a ring holds the consumer position, the second the producer position,
 * kernel 5.8.
 */
static unsigned long *map_position(int ring_fd, off_t page, long page_size)
{
	void *at = mmap(NULL, (size_t)page_size, PROT_READ, MAP_SHARED, ring_fd, page * page_size);

	return at == MAP_FAILED ? NULL : at;
}

int agentsh_moderator_open(struct agentsh_moderator *m, int epoll_fd, int ring_fd)
{
	long page_size = sysconf(_SC_PAGESIZE);

	m->epoll_fd = epoll_fd;
	m->ring_fd = ring_fd;
	m->consumer_pos = map_position(ring_fd, 0, page_size);
	m->producer_pos = map_position(ring_fd, 1, page_size);
	if (!m->consumer_pos || !m->producer_pos)
		return -errno;
	if (!m->delay_ns)
		return 0;
	return agentsh_timer_open(epoll_fd, EPOLLIN | EPOLLET, &m->timer_fd);
}

void agentsh_moderator_close(struct agentsh_moderator *m)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);

	if (m->timer_fd >= 0)
		close(m->timer_fd);
	if (m->consumer_pos)
		munmap((void *)(uintptr_t)m->consumer_pos, page_size);
	if (m->producer_pos)
		munmap((void *)(uintptr_t)m->producer_pos, page_size);
	if (m->control)
		munmap(m->control, page_size);
}
