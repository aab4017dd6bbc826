/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides when records wake the reader and when a timer makes it drain the ring, as
 * network drivers do (NAPI). docs/ARCHITECTURE.md shows that no wake-up is lost.
 */
#ifndef AGENTSH_RING_MODERATOR_H
#define AGENTSH_RING_MODERATOR_H

#include <stdbool.h>
#include <stdint.h>

struct agentsh_control;

struct agentsh_moderator {
	/* between two drains while polling; 0: every record may wake the reader */
	uint64_t delay_ns;
	uint32_t state;
	uint32_t empty_drains;	   /* consecutive, while polling */
	bool has_more;		   /* the last drain while polling left records */
	uint64_t last_record_ns;   /* time of the last drain that consumed a record */
	uint64_t rearmed_ns;	   /* time when wake-ups were enabled again */
	uint64_t wakeup_watermark; /* bytes in the ring that wake the reader while polling */
	int epoll_fd;		   /* the tracer's */
	int ring_fd;		   /* the tracer's */
	int timer_fd;
	struct agentsh_control *control; /* mapped, like the positions */
	const unsigned long *consumer_pos;
	const unsigned long *producer_pos;
};

/* Maps the ring's positions and adds a timer to epoll. The loader has mapped control already. */
int agentsh_moderator_open(struct agentsh_moderator *m, int epoll_fd, int ring_fd);
void agentsh_moderator_close(struct agentsh_moderator *m);
/*
 * Call this after each drain, with the number of records that it consumed, whether the
 * timer had caused it, and whether records may remain.
 */
void agentsh_moderator_drained(struct agentsh_moderator *m, int consumed, bool timer_fired,
			       bool has_more);
/* Whether a drain would be too early, because the timer will start one. */
bool agentsh_moderator_wait_for_timer(const struct agentsh_moderator *m);

#endif
