/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMAND_H
#define COMMAND_H

#include <sys/types.h>

#include "signals.h"

/*
 * Starts a program that is in the cgroup before its first instruction; cgroup_fd
 * -1: in ours. Its pid, or a negative errno value if it could not be put there.
 * A program that cannot be executed ends with 127 or 126, and says why itself.
 */
pid_t command_start(char **argv, int cgroup_fd, const struct signals *signals);

/* wait(2)'s status as a shell tells it. */
int command_exit_status(int wait_status);

#endif
