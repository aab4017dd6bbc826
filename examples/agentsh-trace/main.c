/* SPDX-License-Identifier: Apache-2.0 */
/* agentsh-trace: the outbound connections of a command, or of a cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "complain.h"
#include "loop.h"
#include "options.h"
#include "output.h"
#include "probe.h"
#include "signals.h"
#include "trace.h"
#include "view.h"

/*
 * With stderr closed the next descriptor opened would be taken for it. The
 * command still finds closed what was closed.
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

/* The session and, in its cgroup, the command. False: nothing runs and why is filled. */
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
		complain("starting a process: %s", strerror(-pid));
	return pid > 0;
}

/* False: it ends with EXIT_OWN_FAILURE. */
static bool start(struct loop *loop, const struct options *options)
{
	struct unavailable why;

	if (options->ebpf == EBPF_OFF)
		return start_untraced(loop, options);
	if (start_traced(loop, options, &why)) {
		view_attached(loop->view, loop->trace);
		return true;
	}
	view_unavailable(loop->view, &why);
	return options->ebpf == EBPF_AUTO && !options->cgroup && start_untraced(loop, options);
}

int main(int argc, char **argv)
{
	static struct output output;
	static struct view view;
	struct trace trace;
	struct options options;
	struct signals signals;
	struct loop loop = {.signals = &signals, .output = &output, .view = &view, .trace = &trace};
	bool started;
	int status;

	fill_standard_descriptors();
	setlocale(LC_CTYPE, ""); /* which characters the terminal shows */
	if (!options_parse(&options, argc, argv, &status))
		return status;
	if (options.probe)
		return probe_show(&options);
	if (!output_open(&output, options.output)) {
		complain("opening %s: %s", options.output, strerror(errno));
		return EXIT_OWN_FAILURE;
	}
	if (!signals_open(&signals)) {
		complain("signalfd: %s", strerror(errno));
		return EXIT_OWN_FAILURE;
	}
	trace_init(&trace);
	view_init(&view, &output, &options);

	started = start(&loop, &options);
	status = loop_run(&loop); /* if nothing runs, it writes what is to be said of that */
	trace_close(&trace);
	output_close(&output);
	return started ? status : EXIT_OWN_FAILURE;
}
