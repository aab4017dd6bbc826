/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the traced command. */
#ifndef COMMAND_H
#define COMMAND_H

#include <sys/types.h>

#include "signals.h"

/*
 * Starts a program that is in the cgroup before its first instruction. With cgroup_fd
 * -1 it stays in the cgroup of agentsh-trace. Returns its pid, or a negative errno value
 * if the process cannot be started in the cgroup. If the program cannot be executed, the
 * child prints the reason and exits with status 127 or 126.
 */
pid_t command_start(char **argv, int cgroup_fd, const struct signals *signals);

/* Converts the status of wait(2) to the exit status that a shell reports. */
int command_exit_status(int wait_status);

#endif
