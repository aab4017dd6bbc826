/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traces a command from its first instruction. Usage: run_in_cgroup COMMAND [ARGUMENT]...
 *
 * The program creates a cgroup below its own one, attaches to it, starts the command
 * inside it, and removes the cgroup after the command has ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h> /* struct clone_args, which <sched.h> lacks */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <agentsh/ebpf.h>

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	char ip[INET6_ADDRSTRLEN];

	(void)ctx;
	inet_ntop(event->family, event->remote_addr, ip, sizeof(ip));
	fprintf(stderr, "%.15s[%u]: %s %s port %u\n", event->comm, event->tgid,
		agentsh_ebpf_kind_name(event->kind), ip, event->remote_port);
	return 0;
}

/* Like fork(), but the child starts in the cgroup (clone3(2), kernel 5.7). */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (__u64)cgroup_fd,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* Returns the exit status of the command. */
static int run(struct agentsh_ebpf_tracer *tracer, int cgroup_fd, char **argv)
{
	pid_t pid = fork_into(cgroup_fd);
	int status;

	if (!pid) {
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0) {
		perror("clone3");
		return 125;
	}
	while (!waitpid(pid, &status, WNOHANG))
		agentsh_ebpf_poll(tracer, 100);
	while (agentsh_ebpf_poll(tracer, 0) > 0) /* events that are still in the ring */
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	const struct agentsh_ebpf_tracer_options opts = {.size = sizeof(opts),
							 .on_event = on_event};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer = NULL;
	struct agentsh_ebpf_session *session;
	char parent[PATH_MAX], path[PATH_MAX + 32];
	int ret, fd, status = 125;

	if (argc < 2) {
		fprintf(stderr, "usage: %s COMMAND [ARGUMENT]...\n", argv[0]);
		return 2;
	}
	ret = agentsh_ebpf_cgroup_path(parent, sizeof(parent));
	if (ret) {
		fprintf(stderr, "no cgroup v2: %s\n", strerror(-ret));
		return status;
	}
	snprintf(path, sizeof(path), "%s/run-in-cgroup.%d", parent, (int)getpid());
	if (mkdir(path, 0755)) {
		perror(path);
		return status;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (agentsh_ebpf_tracer_open(&opts, &tracer, &err) ||
	    agentsh_ebpf_session_attach(tracer, fd, NULL, &session, &err))
		fprintf(stderr, "%s\n", err.message);
	else
		status = run(tracer, fd, argv + 1);
	agentsh_ebpf_tracer_close(tracer); /* also detaches the session */
	if (rmdir(path))		   /* EBUSY: the command left processes running */
		perror(path);
	return status;
}
