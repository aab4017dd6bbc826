/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/look_timer.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

int agentsh_look_timer_open(struct agentsh_look_timer *timer, int epoll_fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (!timer->interval_ns)
		return 0;
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->fd < 0)
		return -errno;
	event.data.fd = timer->fd;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer->fd, &event) ? -errno : 0;
}

void agentsh_look_timer_close(struct agentsh_look_timer *timer)
{
	if (timer->fd >= 0)
		close(timer->fd);
}

int agentsh_look_timer_set(struct agentsh_look_timer *timer, uint64_t delay_ns)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(delay_ns / 1000000000),
			     .tv_nsec = (long)(delay_ns % 1000000000)},
	};
	int ret = timerfd_settime(timer->fd, 0, &when, NULL) ? -errno : 0;

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
