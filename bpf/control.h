/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The memory-mapped flags by which reader and programs arrange wake-ups. */
#ifndef AGENTSH_CONTROL_H
#define AGENTSH_CONTROL_H

#include <linux/types.h>

/* One for the tracer, in a memory-mapped array. */
struct agentsh_control {
	/* written by the library */
	__u32 suppress_wakeup; /* the reader looks by itself: no wake-up for each record */
	__u32 pad_user[15];
	/* set by the programs, cleared by the library */
	__u32 wakeup_sent; /* the reader was woken because of the mark and has not looked yet */
	__u32 pad_kernel[15];
};

#endif
