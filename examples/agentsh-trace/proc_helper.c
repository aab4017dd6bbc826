/* SPDX-License-Identifier: Apache-2.0 */
#include "proc_helper.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decimal.h"

/* Closes all descriptors except fd, also those that this command was started with. */
static bool close_others(int fd)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!directory)
		return false;
	while ((entry = readdir(directory))) {
		const char *name = entry->d_name;
		uint64_t other;

		if (decimal_take(&name, &other) && (int)other != fd &&
		    (int)other != dirfd(directory))
			close((int)other);
	}
	closedir(directory);
	return true;
}

static void serve(int fd)
{
	struct proc_found found;
	struct proc_identity id;
	struct proc_view view;
	bool visible = proc_view_open(&view);

	while (recv(fd, &id, sizeof(id), 0) == (ssize_t)sizeof(id)) {
		size_t unused;

		if (visible)
			proc_read(&view, &id, &found);
		else
			found = (struct proc_found){0};
		unused = sizeof(found.bytes) - found.exe_size - found.args_size;
		if (send(fd, &found, sizeof(found) - unused, MSG_NOSIGNAL) < 0)
			break;
	}
}

/* After unshare(CLONE_NEWPID) the next child would be PID 1, which must be COMMAND. */
static bool child_would_be_init(void)
{
	struct stat own, child;

	return stat("/proc/self/ns/pid", &own) || stat("/proc/self/ns/pid_for_children", &child) ||
	       own.st_ino != child.st_ino;
}

void proc_helper_start(struct proc_helper *helper)
{
	pid_t parent = getpid(), pid;
	int fds[2];

	helper->fd = -1;
	if (child_would_be_init() || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return;
	pid = fork();
	if (!pid) {
		/* It has this command's signal mask, which blocks the signals of a terminal. */
		if (!prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent &&
		    close_others(fds[1]))
			serve(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	if (pid > 0)
		helper->fd = fds[0];
	else
		close(fds[0]);
}

void proc_helper_stop(struct proc_helper *helper)
{
	/* It ends now, or, if it waits for a process, when the kernel kills it with this command.
	 */
	if (helper->fd >= 0)
		close(helper->fd);
	helper->fd = -1;
}

bool proc_helper_ask(struct proc_helper *helper, const struct proc_identity *id)
{
	if (helper->fd < 0)
		return false;
	if (send(helper->fd, id, sizeof(*id), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(*id))
		return true;
	proc_helper_stop(helper);
	return false;
}

bool proc_helper_answer(struct proc_helper *helper, struct proc_found *found, int timeout_ms)
{
	struct pollfd wait = {.fd = helper->fd, .events = POLLIN};
	const size_t smallest = sizeof(*found) - sizeof(found->bytes);
	ssize_t n;

	if (helper->fd < 0 || poll(&wait, 1, timeout_ms) <= 0)
		return false;
	n = recv(helper->fd, found, sizeof(*found), MSG_DONTWAIT);
	if (n >= (ssize_t)smallest && found->exe_size <= PROC_EXE_MAX &&
	    found->args_size <= PROC_ARGS_MAX &&
	    (size_t)n == smallest + found->exe_size + found->args_size)
		return true;
	proc_helper_stop(helper); /* it has ended */
	return false;
}
