/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of the next look at the sessions or at their sockets. The library has no thread, so the
 * reader looks: when the timer has made the tracer's descriptor readable, or in a poll or read that
 * finds by the clock that it is time.
 */
#ifndef AGENTSH_RING_LOOK_TIMER_H
#define AGENTSH_RING_LOOK_TIMER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct agentsh_look_timer {
	uint64_t interval_ns;	 /* in which everything is looked at once; 0: never */
	int fd;			 /* -1: none */
	_Atomic uint64_t due_ns; /* CLOCK_MONOTONIC; UINT64_MAX: not set */
};

void agentsh_look_timer_init(struct agentsh_look_timer *timer);
/* Adds the timer to epoll, not set. Does nothing if interval_ns is 0. */
int agentsh_look_timer_open(struct agentsh_look_timer *timer, int epoll_fd);
void agentsh_look_timer_close(struct agentsh_look_timer *timer);
/* Ends an expiry, and sets the timer to expire once after delay_ns; 0: not any more. */
int agentsh_look_timer_set(struct agentsh_look_timer *timer, uint64_t delay_ns);
/* Whether the time has come, without a system call and up to one clock tick late. */
bool agentsh_look_timer_due(const struct agentsh_look_timer *timer);

#endif
