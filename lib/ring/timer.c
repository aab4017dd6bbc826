/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/timer.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

int agentsh_timer_open(int epoll_fd, uint32_t events, int *fd)
{
	struct epoll_event event = {.events = events};

	*fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*fd < 0)
		return -errno;
	event.data.fd = *fd;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, *fd, &event) ? -errno : 0;
}

int agentsh_timer_set(int fd, uint64_t delay_ns)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(delay_ns / 1000000000),
			     .tv_nsec = (long)(delay_ns % 1000000000)},
	};

	return timerfd_settime(fd, 0, &when, NULL) ? -errno : 0;
}
