/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <stddef.h>
#include <unistd.h>

/* Signals whose inherited disposition would break agentsh-trace. */
static const struct {
	int signal;
	void (*handler)(int);
} wanted[SIGNALS_SAVED] = {
	{SIGCHLD, SIG_DFL}, /* SIG_IGN would discard the command's status */
	{SIGPIPE, SIG_IGN}, /* a trace without a reader is EPIPE; the command goes on */
	{SIGXFSZ, SIG_IGN}, /* an output file that is too large is EFBIG; the command goes on */
};

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static bool is_ignored(int signal)
{
	struct sigaction action;

	return !sigaction(signal, NULL, &action) && action.sa_handler == SIG_IGN;
}

bool signals_open(struct signals *s)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		/*
		 * An ignored SIGHUP stays ignored, for nohup(1). An ignored SIGINT does not:
		 * a shell ignores it in background jobs, and it must still end --cgroup.
		 */
		if (passed_on[i] != SIGHUP || !is_ignored(SIGHUP))
			sigaddset(&mask, passed_on[i]);
	s->fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd < 0)
		return false;
	sigprocmask(SIG_BLOCK, &mask, &s->old_mask);
	for (int i = 0; i < SIGNALS_SAVED; i++) {
		struct sigaction action = {.sa_handler = wanted[i].handler};

		sigaction(wanted[i].signal, &action, &s->old_actions[i]);
	}
	return true;
}

void signals_restore(const struct signals *s)
{
	for (int i = 0; i < SIGNALS_SAVED; i++)
		sigaction(wanted[i].signal, &s->old_actions[i], NULL);
	sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
}

bool signals_read(const struct signals *s, struct signalfd_siginfo *info)
{
	return read(s->fd, info, sizeof(*info)) == sizeof(*info);
}

void signals_forward(const struct signalfd_siginfo *info, pid_t command)
{
	/* A terminal sends its signals to the whole foreground process group. */
	if (info->ssi_code == SI_KERNEL && getpgid(command) == getpgrp())
		return;
	kill(command, (int)info->ssi_signo);
}
