/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/ring/moderator.c as on a machine where the eBPF programs see the reader's cleared
 * suppress_wakeup flag late, with or without the second drain before the reader goes idle.
 */
#include <unistd.h>

#include "ring/moderator.h"
#include "late_moderator.h"

static void drained_unchanged(struct agentsh_moderator *m, int consumed, bool timer_fired,
			      bool has_more);

#define agentsh_moderator_drained drained_unchanged
#include "ring/moderator.c"
#undef agentsh_moderator_drained

bool late_second_drain;

void agentsh_moderator_drained(struct agentsh_moderator *m, int consumed, bool timer_fired,
			       bool has_more)
{
	bool polled = m->state == POLLING;

	drained_unchanged(m, consumed, timer_fired, has_more);
	if (!polled || m->state != REARMING)
		return;
	set_suppress_wakeup(m, 1);
	usleep(LATE_US);
	set_suppress_wakeup(m, 0);
	if (!late_second_drain) {
		m->state = IDLE;
		agentsh_timer_set(m->timer_fd, 0);
	}
}
