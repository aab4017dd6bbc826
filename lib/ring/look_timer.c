/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/look_timer.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/timer.h"

void agentsh_look_timer_init(struct agentsh_look_timer *timer)
{
	timer->interval_ns = 0;
	timer->fd = -1;
	timer->due_ns = UINT64_MAX;
}

int agentsh_look_timer_open(struct agentsh_look_timer *timer, int epoll_fd)
{
	return timer->interval_ns ? agentsh_timer_open(epoll_fd, EPOLLIN, &timer->fd) : 0;
}

void agentsh_look_timer_close(struct agentsh_look_timer *timer)
{
	if (timer->fd >= 0)
		close(timer->fd);
}

int agentsh_look_timer_set(struct agentsh_look_timer *timer, uint64_t delay_ns)
{
	int ret = agentsh_timer_set(timer->fd, delay_ns);

	/* if the timer could not be set, at least the next poll or read looks */
	atomic_store_explicit(&timer->due_ns,
			      delay_ns ? agentsh_clock_ns(CLOCK_MONOTONIC) + delay_ns : UINT64_MAX,
			      memory_order_relaxed);
	return ret;
}

bool agentsh_look_timer_due(const struct agentsh_look_timer *timer)
{
	uint64_t due = atomic_load_explicit(&timer->due_ns, memory_order_relaxed);

	return due != UINT64_MAX && agentsh_clock_ns(CLOCK_MONOTONIC_COARSE) >= due;
}
