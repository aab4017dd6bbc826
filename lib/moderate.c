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
static void arm(const struct agentsh_moderator *m, uint64_t delay_ns)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(delay_ns / 1000000000),
			     .tv_nsec = (long)(delay_ns % 1000000000)},
	};

	timerfd_settime(m->timer_fd, 0, &when, NULL);
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

/* Nothing in it, and nothing that has a place in it but is not finished. */
static bool ring_empty(const struct agentsh_moderator *m)
{
	unsigned long consumed = __atomic_load_n(m->consumer_pos, __ATOMIC_ACQUIRE);

	return __atomic_load_n(m->producer_pos, __ATOMIC_ACQUIRE) == consumed;
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
	arm(m, m->delay_ns);
}

static void leave(struct agentsh_moderator *m, uint64_t now)
{
	m->state = LEAVING;
	m->left_ns = now;
	set_quiet(m, 0);
	watch_ring(m, 0);
	arm(m, m->delay_ns);
}

/* Records that came one by one, further apart than the delay, are cheaper with wake-ups. */
static bool flows(struct agentsh_moderator *m, int taken, uint64_t now)
{
	bool yes = taken > 1 || (taken && now - m->last_ns < m->delay_ns);

	if (taken)
		m->last_ns = now;
	return yes;
}

void agentsh_moderate(struct agentsh_moderator *m, int taken, bool fired, bool more)
{
	uint64_t now;

	if (!m->delay_ns || (m->state == SLEEPING && !taken))
		return;
	if (m->state == FLOWING && more != m->more)
		set_more(m, more);
	if (m->state == FLOWING && !fired)
		return; /* asked in between: the timer still runs */
	now = now_ns();
	if (m->state == FLOWING) {
		m->empty = taken ? 0 : m->empty + 1;
		if (m->empty >= EMPTY_LOOKS)
			leave(m, now);
		else
			arm(m, m->delay_ns);
	} else if (flows(m, taken, now)) {
		flow(m, more);
	} else if (m->state == LEAVING && now - m->left_ns >= m->delay_ns) {
		if (ring_empty(m))
			m->state = SLEEPING;
		arm(m, m->state == SLEEPING ? 0 : m->delay_ns);
	}
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
	if (!m->delay_ns)
		return 0;
	m->consumer_pos = map_position(ring_fd, 0, page_size);
	m->producer_pos = map_position(ring_fd, 1, page_size);
	if (!m->consumer_pos || !m->producer_pos)
		return -errno;
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
