/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as something to read, for one poll loop; and as they were, for COMMAND. */
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

/* From here on signals wait to be read. False: no descriptor could be had, see errno. */
bool signals_open(struct signals *s);

/* All as before signals_open(); for the child, between fork and exec. */
void signals_restore(const struct signals *s);

/* One signal that has come; false if there is none. */
bool signals_read(const struct signals *s, struct signalfd_siginfo *info);

/* Passes a signal on, unless the command has got it already. */
void signals_forward(const struct signalfd_siginfo *info, pid_t command);

#endif
