/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/moderate.c on a machine where the programs see late that the reader has
 * cleared its flag, with or without the second look.
 */
#include <unistd.h>

#include "internal.h"
#include "late_moderate.h"

static void moderate_as_it_is(struct agentsh_moderator *m, int taken, bool fired, bool more);

#define agentsh_moderate moderate_as_it_is
#include "moderate.c"
#undef agentsh_moderate

bool late_second_look;

void agentsh_moderate(struct agentsh_moderator *m, int taken, bool fired, bool more)
{
	bool flowed = m->state == FLOWING;

	moderate_as_it_is(m, taken, fired, more);
	if (!flowed || m->state != LEAVING)
		return;
	set_quiet(m, 1);
	usleep(LATE_US);
	set_quiet(m, 0);
	if (!late_second_look) {
		m->state = SLEEPING;
		arm(m, 0);
	}
}
