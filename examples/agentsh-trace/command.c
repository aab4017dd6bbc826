/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h> /* clone_args; sched.h has none */
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "complain.h"

static void __attribute__((noreturn)) become(char **argv, const struct signals *signals)
{
	int error;

	signals_restore(signals);
	execvp(argv[0], argv);
	error = errno;
	complain("cannot run '%s': %s", argv[0], strerror(error));
	_exit(error == ENOENT ? 127 : 126);
}

/* Like fork(), but born in the cgroup. */
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
become_when_told(int gate, char **argv, const struct signals *signals)
{
	char go;
	ssize_t n;

	do
		n = read(gate, &go, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1) /* we could not be moved, or the parent died */
		_exit(EXIT_OWN_FAILURE);
	become(argv, signals);
}

/* Where clone3 is forbidden (seccomp) or too old: born here, moved, and only then let go. */
static pid_t fork_and_move(char **argv, int cgroup_fd, const struct signals *signals)
{
	int gate[2], ret;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		close(gate[1]);
		become_when_told(gate[0], argv, signals);
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
		become(argv, signals);
	if (pid > 0)
		return pid;
	return cgroup_fd < 0 ? -errno : fork_and_move(argv, cgroup_fd, signals);
}

int command_exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
