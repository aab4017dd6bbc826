/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory-mapped flags with which the reader and the programs arrange wake-ups. */
#ifndef AGENTSH_CONTROL_H
#define AGENTSH_CONTROL_H

#include <linux/types.h>

/* A tracer has one of these, in a memory-mapped array. */
struct agentsh_control {
	/* written by the library */
	__u32 suppress_wakeup; /* the reader polls, so a record does not wake it */
	__u32 pad_user[15];
	/* set by the programs, cleared by the library */
	__u32 wakeup_sent; /* the watermark has woken the reader, and no drain has followed */
	__u32 pad_kernel[15];
};

#endif
