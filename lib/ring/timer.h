/* SPDX-License-Identifier: Apache-2.0 */
/* Timers in the tracer's epoll set, which expire once. */
#ifndef AGENTSH_RING_TIMER_H
#define AGENTSH_RING_TIMER_H

#include <stdint.h>

/*
 * Creates a timer that is not set, and adds it to epoll for these events. Sets *fd, also if
 * the second step fails.
 */
int agentsh_timer_open(int epoll_fd, uint32_t events, int *fd);

/*
 * Sets the timer to expire once after delay_ns; 0: not any more. Either way an earlier
 * expiry is no longer readable. Returns 0 or a negative errno value.
 */
int agentsh_timer_set(int fd, uint64_t delay_ns);

#endif
