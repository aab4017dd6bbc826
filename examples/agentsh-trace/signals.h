/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as data to read in a poll loop, and the original dispositions for COMMAND. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#define SIGNALS_SAVED 3

struct signals {
	int fd;
	sigset_t old_mask;
	struct sigaction old_actions[SIGNALS_SAVED];
};

/* Blocks signals and makes them readable. On failure returns false and sets errno. */
bool signals_open(struct signals *s);

/* Undoes signals_open(). For the child, between fork and exec. */
void signals_restore(const struct signals *s);

/* Reads one pending signal; returns false if there is none. */
bool signals_read(const struct signals *s, struct signalfd_siginfo *info);

/* Forwards a signal to the command, unless the terminal has already sent it there. */
void signals_forward(const struct signalfd_siginfo *info, pid_t command);

#endif
