/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of this command that reads /proc, so that a traced process which delays the answer
 * delays only the helper. It has no descriptor that matters to anybody else, because it may
 * outlive this process if the kernel cannot end it.
 */
#ifndef PROC_HELPER_H
#define PROC_HELPER_H

#include <stdbool.h>

#include "proc_read.h"

struct proc_helper {
	int fd; /* -1: no helper, and nothing is found */
};

void proc_helper_start(struct proc_helper *helper);
void proc_helper_stop(struct proc_helper *helper);

/* Asks about one process. Do not ask again before the answer. Returns false without a helper. */
bool proc_helper_ask(struct proc_helper *helper, const struct proc_identity *id);

/* Waits for the answer. Returns false if it is not there in time. */
bool proc_helper_answer(struct proc_helper *helper, struct proc_found *found, int timeout_ms);

#endif
