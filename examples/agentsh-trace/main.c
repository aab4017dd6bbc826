/* SPDX-License-Identifier: Apache-2.0 */
/* agentsh-trace: shows the network connections of a command, or of a cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "warn.h"
#include "loop.h"
#include "options.h"
#include "output.h"
#include "probe_report.h"
#include "signals.h"
#include "trace.h"
#include "presenter.h"

/*
 * If stderr is closed, the next descriptor to be opened would take its number. These
 * descriptors are close-on-exec, so the command still finds closed what was closed.
 */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Attaches, then starts the command in the cgroup. On failure fills why; nothing is running. */
static bool start_traced(struct loop *loop, const struct options *options, struct unavailable *why)
{
	pid_t pid;

	if (!trace_start(loop->trace, options, why))
		return false;
	if (options->cgroup)
		return true;
	pid = command_start(options->command, loop->trace->cgroup.fd, loop->signals);
	if (pid > 0) {
		loop->command = pid;
		return true;
	}
	why->step = "command_start";
	why->code = pid;
	snprintf(why->reason, sizeof(why->reason), "starting a process in the new cgroup: %s",
		 strerror(-pid));
	trace_close(loop->trace);
	return false;
}

static bool start_untraced(struct loop *loop, const struct options *options)
{
	pid_t pid = command_start(options->command, -1, loop->signals);

	if (pid > 0)
		loop->command = pid;
	else
		warn_user("starting a process: %s", strerror(-pid));
	return pid > 0;
}

/* Returns false if the exit status must be EXIT_OWN_FAILURE. */
static bool start(struct loop *loop, const struct options *options)
{
	struct unavailable why;

	if (options->ebpf == EBPF_OFF)
		return start_untraced(loop, options);
	if (start_traced(loop, options, &why)) {
		presenter_attached(loop->presenter, loop->trace);
		return true;
	}
	presenter_unavailable(loop->presenter, &why);
	return options->ebpf == EBPF_AUTO && !options->cgroup && start_untraced(loop, options);
}

int main(int argc, char **argv)
{
	static struct output output;
	static struct presenter presenter;
	struct trace trace;
	struct options options;
	struct signals signals;
	struct loop loop = {
		.signals = &signals, .output = &output, .presenter = &presenter, .trace = &trace};
	bool started;
	int status;

	fill_standard_descriptors();
	setlocale(LC_CTYPE, ""); /* for the character set of the terminal */
	if (!options_parse(&options, argc, argv, &status))
		return status;
	if (options.probe)
		return probe_report(&options);
	if (!output_open(&output, options.output)) {
		warn_user("opening %s: %s", options.output, strerror(errno));
		return EXIT_OWN_FAILURE;
	}
	if (!signals_open(&signals)) {
		warn_user("signalfd: %s", strerror(errno));
		return EXIT_OWN_FAILURE;
	}
	trace_init(&trace);
	presenter_init(&presenter, &output, &options);

	started = start(&loop, &options);
	status = loop_run(&loop); /* with nothing to run, it only writes the pending output */
	trace_close(&trace);
	output_close(&output);
	return started ? status : EXIT_OWN_FAILURE;
}
