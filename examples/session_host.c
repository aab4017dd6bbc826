/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that runs one command in a session of its own; docs/INTEGRATION.md explains it. Usage:
 * session_host [--metrics[=FILE]] [--names] [--proxy=URL] COMMAND [ARGUMENT]...
 *
 * The host writes JSON lines to stderr. With --names they have the name that the process asked
 * for before it connected. It writes the counters in Prometheus' text format to FILE
 * every second and at the end, or without FILE to stdout at the end. A command that is not traced
 * gets URL in http_proxy and https_proxy. AGENTSH_EBPF=off, auto or required selects the mode.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h> /* struct clone_args, which <sched.h> lacks */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session_output.h"

struct host {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session; /* NULL: the command is not traced */
	uint64_t session_id;
	char cgroup[PATH_MAX + 32];
	int cgroup_fd;
	const char *proxy;
	const char *metrics; /* NULL: none; "": to stdout */
	uint32_t hooks;	     /* 0: the library's default */
	struct host_counters counters;
	struct agentsh_ebpf_stats of_session;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	const struct host *host = ctx;

	write_event(host->tracer, event);
	return 0;
}

static int make_cgroup(struct host *host)
{
	char parent[PATH_MAX];
	int ret = agentsh_ebpf_cgroup_path(parent, sizeof(parent));

	if (ret)
		return ret;
	snprintf(host->cgroup, sizeof(host->cgroup), "%s/session-host.%llu", parent,
		 (unsigned long long)host->session_id);
	if (mkdir(host->cgroup, 0755))
		return -errno;
	host->cgroup_fd = open(host->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return host->cgroup_fd < 0 ? -errno : 0;
}

/* Returns 0 if the command may run, traced or not. */
static int attach(struct host *host)
{
	struct agentsh_ebpf_tracer_options opts = {.size = sizeof(opts),
						   .hooks = host->hooks,
						   .on_event = on_event,
						   .event_ctx = host};
	const struct agentsh_ebpf_session_options session = {.size = sizeof(session),
							     .session_id = host->session_id};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	if (agentsh_ebpf_mode_from_env(&opts.mode, &opts.simulate_missing, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return -1;
	}
	if (opts.mode == AGENTSH_EBPF_MODE_DISABLED)
		return 0;
	if (agentsh_ebpf_tracer_open(&opts, &host->tracer, &err)) {
		host->counters.unavailable++;
		write_line(host->session_id, "ebpf_unavailable", "reason", err.message);
	} else if (agentsh_ebpf_session_attach(host->tracer, host->cgroup_fd, &session,
					       &host->session, &err)) {
		host->counters.attach_failed++;
		write_line(host->session_id, "ebpf_attach_failed", "error", err.message);
	} else {
		write_line(host->session_id, "ebpf_attached", "path", host->cgroup);
		return 0;
	}
	return opts.mode == AGENTSH_EBPF_MODE_REQUIRED ? -1 : 0; /* else: fall back */
}

/* Like fork(), but the child starts in the cgroup. */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (__u64)cgroup_fd,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	int procs;

	if (pid >= 0 || errno != ENOSYS)
		return pid;
	/* Docker's seccomp profile hides clone3(2). The child enters before it calls exec. */
	pid = fork();
	if (!pid) {
		procs = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (write(procs, "0", 1) != 1) {
			perror("cgroup.procs");
			_exit(125);
		}
	}
	return pid;
}

static pid_t start(const struct host *host, char **argv)
{
	pid_t pid = fork_into(host->cgroup_fd);

	if (pid)
		return pid;
	if (!host->session && host->proxy) {
		setenv("http_proxy", host->proxy, 1);
		setenv("https_proxy", host->proxy, 1);
	}
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

/* Reading the file also makes poll(2) wait for the next change of it, cgroups(7). */
static int populated(int events_fd)
{
	char text[128] = "";

	return pread(events_fd, text, sizeof(text) - 1, 0) < 0 || !strstr(text, "populated 0");
}

static void drain(struct host *host)
{
	while (agentsh_ebpf_poll(host->tracer, 0) > 0)
		;
}

static void report(struct host *host)
{
	if (host->session)
		agentsh_ebpf_session_stats(host->session, &host->of_session);
	replace_counters(host->metrics, &host->counters, host->tracer, host->session_id,
			 &host->of_session);
}

/* Background processes belong to the session: it ends when the cgroup is empty. */
static void wait_until_empty(struct host *host, pid_t pid)
{
	struct pollfd fds[] = {
		{.fd = agentsh_ebpf_fd(host->tracer), .events = POLLIN}, /* untraced: negative */
		{.fd = openat(host->cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC),
		 .events = POLLPRI},
		{.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN},
	};
	int kill_fd;

	while (fds[2].fd >= 0 || populated(fds[1].fd)) {
		poll(fds, 3, 1000);
		drain(host);
		if (fds[2].revents) { /* the command has ended */
			close(fds[2].fd);
			fds[2].fd = -1;
		}
		if (stopped) { /* kernel 5.14 */
			kill_fd = openat(host->cgroup_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
			if (write(kill_fd, "1", 1) != 1)
				perror("cgroup.kill");
			close(kill_fd);
		}
		if (host->metrics && *host->metrics)
			report(host);
	}
	close(fds[1].fd);
}

/* Returns the exit status of the command. */
static int run(struct host *host, char **argv)
{
	pid_t pid = start(host, argv);
	int status = 0;

	if (pid < 0) {
		perror("clone3");
		return 125;
	}
	wait_until_empty(host, pid);
	waitpid(pid, &status, 0);
	drain(host); /* the events of the last process */
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void detach(struct host *host)
{
	if (host->session) { /* the counters are gone after detach */
		agentsh_ebpf_session_stats(host->session, &host->of_session);
		agentsh_ebpf_session_detach(host->session);
		host->session = NULL;
	}
	drain(host); /* detach leaves unread events in the ring */
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = stop};
	struct host host = {.session_id = (uint64_t)getpid(),
			    .of_session.size = sizeof(host.of_session)};
	int ret, status = 125;

	for (argv++; *argv && !strncmp(*argv, "--", 2); argv++) {
		if (!strncmp(*argv, "--metrics", 9))
			host.metrics = (*argv)[9] ? *argv + 10 : "";
		else if (!strcmp(*argv, "--names")) /* where the kernel cannot, without names */
			host.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP |
				     AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_DNS;
		else if (!strncmp(*argv, "--proxy=", 8))
			host.proxy = *argv + 8;
	}
	if (argc < 2 || !*argv) {
		fprintf(stderr, "usage: session_host [--metrics[=FILE]] [--names] [--proxy=URL] "
				"COMMAND [ARGUMENT]...\n");
		return 2;
	}
	setvbuf(stderr, NULL, _IOLBF, 4096); /* one write(2) per line */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	ret = make_cgroup(&host);
	if (ret)
		fprintf(stderr, "cgroup %s: %s\n", host.cgroup, strerror(-ret));
	else if (!attach(&host))
		status = run(&host, argv);
	detach(&host);
	if (host.metrics)
		report(&host);
	agentsh_ebpf_tracer_close(host.tracer);
	close(host.cgroup_fd);
	if (!ret && rmdir(host.cgroup))
		perror(host.cgroup);
	return status;
}
