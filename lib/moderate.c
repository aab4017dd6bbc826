/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to be woken and when to look, as network drivers do it (NAPI). While
 * records flow, the programs wake nobody and a timer has the reader look; else a
 * record wakes, and no timer runs. docs/ARCHITECTURE.md says why no wake-up is lost.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

enum {
	SLEEPING, /* records wake */
	FLOWING,  /* they do not: the timer runs */
	LEAVING	  /* they do again, but a producer may not know yet: one more look */
};

#define EMPTY_LOOKS 2 /* in a row, before it goes to sleep */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* One look after the delay; 0: none. Ends what an earlier expiry made readable, too. */
static bool arm(const struct agentsh_moderator *m, uint64_t delay_ns)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(delay_ns / 1000000000),
			     .tv_nsec = (long)(delay_ns % 1000000000)},
	};

	return !timerfd_settime(m->timer_fd, 0, &when, NULL);
}

/*
 * While records flow, epoll must not ask the ring, which has some nearly always:
 * only a wake-up of the programs, at the mark, is to end the wait.
 */
static void watch_ring(const struct agentsh_moderator *m, uint32_t edge)
{
	struct epoll_event event = {.events = EPOLLIN | edge, .data.fd = m->ring_fd};

	epoll_ctl(m->epoll_fd, EPOLL_CTL_MOD, m->ring_fd, &event);
}

static void set_quiet(struct agentsh_moderator *m, uint32_t quiet)
{
	__atomic_store_n(&m->control->quiet, quiet, __ATOMIC_SEQ_CST);
}

/*
 * Bytes in the ring, of records that are not finished too. What was taken has to
 * be seen by all before: a program that still sees the old position takes the
 * reader for busy and does not wake it, so its record must be seen here.
 */
static unsigned long ring_holds(const struct agentsh_moderator *m)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(m->producer_pos, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(m->consumer_pos, __ATOMIC_RELAXED);
}

/* Without a timer nobody would look: then each record wakes, as with no delay. */
static void arm_or_sleep(struct agentsh_moderator *m)
{
	if (arm(m, m->delay_ns))
		return;
	set_quiet(m, 0);
	watch_ring(m, 0);
	m->state = SLEEPING;
}

/*
 * Where a look left some, the descriptor stays readable until one has not. Only
 * a change costs a call: many small reads in a row would pay for each.
 */
static void set_more(struct agentsh_moderator *m, bool more)
{
	m->more = more;
	watch_ring(m, more ? 0 : EPOLLET);
}

static void flow(struct agentsh_moderator *m, bool more)
{
	m->state = FLOWING;
	m->empty = 0;
	set_quiet(m, 1);
	set_more(m, more);
	arm_or_sleep(m);
}

static void leave(struct agentsh_moderator *m)
{
	m->state = LEAVING;
	set_quiet(m, 0);
	m->left_ns = now_ns(); /* not before: the delay is what the programs have to see it */
	watch_ring(m, 0);
	arm_or_sleep(m);
}

/* Records that came one by one, further apart than the delay, are cheaper with wake-ups. */
static bool flows(struct agentsh_moderator *m, int taken, uint64_t now)
{
	bool yes = taken > 1 || (taken && now - m->last_ns < m->delay_ns);

	if (taken)
		m->last_ns = now;
	return yes;
}

static void flowing(struct agentsh_moderator *m, int taken, bool fired, bool more)
{
	if (more != m->more)
		set_more(m, more);
	if (taken)
		m->empty = 0;
	if (!fired)
		return; /* asked in between: the timer still runs */
	if (!taken && ++m->empty >= EMPTY_LOOKS)
		leave(m);
	else
		arm_or_sleep(m);
}

static void waking(struct agentsh_moderator *m, int taken, unsigned long held, bool more)
{
	uint64_t now = m->delay_ns && (taken || m->state == LEAVING) ? now_ns() : 0;

	if (now && flows(m, taken, now)) {
		flow(m, more);
		return;
	}
	/* whoever put these in may have left the waking to those that are taken */
	if (taken && held)
		watch_ring(m, 0);
	if (m->state == LEAVING && now - m->left_ns >= m->delay_ns) {
		if (!ring_holds(m)) /* once more: the clock was read after held */
			m->state = SLEEPING;
		if (m->state == LEAVING)
			arm_or_sleep(m);
		else
			arm(m, 0);
	}
}

void agentsh_moderate(struct agentsh_moderator *m, int taken, bool fired, bool more)
{
	unsigned long held;

	if (!m->producer_pos)
		return; /* a ring without a kernel */
	/* before the fence: a program that was told not to ring has its record in the ring */
	if (__atomic_load_n(&m->control->rung, __ATOMIC_RELAXED))
		__atomic_store_n(&m->control->rung, 0, __ATOMIC_RELAXED);
	held = ring_holds(m);
	if (m->state == FLOWING)
		flowing(m, taken, fired, more || held >= m->mark_bytes);
	else
		waking(m, taken, held, more);
}

bool agentsh_moderate_looks(const struct agentsh_moderator *m)
{
	return m->state == FLOWING && !m->more;
}

/* The first page of a ring is the reader's position, the second the programs', kernel 5.8. */
static unsigned long *map_position(int ring_fd, off_t page, long page_size)
{
	void *at = mmap(NULL, (size_t)page_size, PROT_READ, MAP_SHARED, ring_fd, page * page_size);

	return at == MAP_FAILED ? NULL : at;
}

int agentsh_moderate_open(struct agentsh_moderator *m, int epoll_fd, int ring_fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	long page_size = sysconf(_SC_PAGESIZE);

	m->epoll_fd = epoll_fd;
	m->ring_fd = ring_fd;
	m->consumer_pos = map_position(ring_fd, 0, page_size);
	m->producer_pos = map_position(ring_fd, 1, page_size);
	if (!m->consumer_pos || !m->producer_pos)
		return -errno;
	if (!m->delay_ns)
		return 0;
	m->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (m->timer_fd < 0)
		return -errno;
	event.data.fd = m->timer_fd;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, m->timer_fd, &event) ? -errno : 0;
}

void agentsh_moderate_close(struct agentsh_moderator *m)
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
