/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h> /* struct clone_args, which <sched.h> lacks */
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "warn.h"

static void __attribute__((noreturn)) exec_command(char **argv, const struct signals *signals)
{
	int error;

	signals_restore(signals);
	execvp(argv[0], argv);
	error = errno;
	warn_user("cannot run '%s': %s", argv[0], strerror(error));
	_exit(error == ENOENT ? 127 : 126);
}

/* Like fork(), but the child starts in the cgroup. */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (__u64)cgroup_fd,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void __attribute__((noreturn))
exec_when_released(int gate, char **argv, const struct signals *signals)
{
	char go;
	ssize_t n;

	do
		n = read(gate, &go, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1) /* the parent could not move this process, or has died */
		_exit(EXIT_OWN_FAILURE);
	exec_command(argv, signals);
}

/* For systems on which clone3(2) is missing or forbidden by seccomp: fork, move, then release. */
static pid_t fork_and_move(char **argv, int cgroup_fd, const struct signals *signals)
{
	int gate[2], ret;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		close(gate[1]);
		exec_when_released(gate[0], argv, signals);
	}
	ret = pid < 0 ? -errno : cgroup_add_process(cgroup_fd, pid);
	if (!ret && write(gate[1], "", 1) != 1)
		ret = -errno;
	close(gate[0]);
	close(gate[1]);
	if (!ret)
		return pid;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return ret;
}

pid_t command_start(char **argv, int cgroup_fd, const struct signals *signals)
{
	pid_t pid = cgroup_fd < 0 ? fork() : fork_into(cgroup_fd);

	if (!pid)
		exec_command(argv, signals);
	if (pid > 0)
		return pid;
	return cgroup_fd < 0 ? -errno : fork_and_move(argv, cgroup_fd, signals);
}

int command_exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
