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

/* Starts the command in the cgroup of the trace, if the trace has one. On failure fills why. */
static bool start_command(struct loop *loop, const struct options *options, struct unavailable *why)
{
	int cgroup_fd = loop->trace->cgroup.fd;
	pid_t pid = command_start(options->command, cgroup_fd, loop->signals);

	if (pid > 0) {
		loop->command = pid;
		return true;
	}
	why->step = "command_start";
	why->code = pid;
	why->fatal = options->cgroup_parent != NULL;
	snprintf(why->reason, sizeof(why->reason), "starting a process%s: %s",
		 cgroup_fd < 0 ? "" : " in the new cgroup", strerror(-pid));
	return false;
}

/* Attaches, then starts the command in the cgroup. */
static bool start_traced(struct loop *loop, const struct options *options, struct unavailable *why)
{
	return trace_start(loop->trace, options, why) &&
	       (options->cgroup || start_command(loop, options, why));
}

/* --cgroup-parent may stand for limits or a firewall, which must hold without a trace, too. */
static bool start_untraced(struct loop *loop, const struct options *options,
			   struct unavailable *why)
{
	return (!options->cgroup_parent || trace_open_cgroup(loop->trace, options, why)) &&
	       start_command(loop, options, why);
}

/* Returns false if nothing is running and the exit status must be EXIT_OWN_FAILURE. */
static bool start(struct loop *loop, const struct options *options)
{
	struct unavailable why = {0};

	if (options->ebpf != EBPF_OFF) {
		if (start_traced(loop, options, &why)) {
			presenter_attached(loop->presenter, loop->trace);
			return true;
		}
		trace_close(loop->trace);
		/* Untraced, COMMAND could do what the rules deny. */
		why.fatal |=
			options->cgroup || options->ebpf == EBPF_REQUIRED || options->rules_hooks;
		presenter_unavailable(loop->presenter, &why);
		if (why.fatal)
			return false;
	}
	if (start_untraced(loop, options, &why))
		return true;
	trace_close(loop->trace);
	warn_user("cannot run COMMAND: %s", why.reason);
	return false;
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
	trace_init(&trace);
	if (options.rules_hooks) /* before the signals are blocked, because it may take long */
		rules_resolve(&trace.rules, &options);
	if (!signals_open(&signals)) {
		warn_user("signalfd: %s", strerror(errno));
		return EXIT_OWN_FAILURE;
	}
	presenter_init(&presenter, &output, &options);

	started = start(&loop, &options);
	status = loop_run(&loop); /* with nothing to run, it only writes the pending output */
	trace_close(&trace);
	output_close(&output);
	return started ? status : EXIT_OWN_FAILURE;
}
