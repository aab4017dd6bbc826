/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/ring/moderator.c on a machine where the programs see late that the reader has
 * cleared its flag, with or without the second look.
 */
#include <unistd.h>

#include "ring/moderator.h"
#include "late_moderator.h"

static void drained_as_it_is(struct agentsh_moderator *m, int consumed, bool timer_fired,
			     bool has_more);

#define agentsh_moderator_drained drained_as_it_is
#include "ring/moderator.c"
#undef agentsh_moderator_drained

bool late_second_look;

void agentsh_moderator_drained(struct agentsh_moderator *m, int consumed, bool timer_fired,
			       bool has_more)
{
	bool polled = m->state == POLLING;

	drained_as_it_is(m, consumed, timer_fired, has_more);
	if (!polled || m->state != REARMING)
		return;
	set_suppress_wakeup(m, 1);
	usleep(LATE_US);
	set_suppress_wakeup(m, 0);
	if (!late_second_look) {
		m->state = IDLE;
		arm(m, 0);
	}
}
