/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers are forked, so that a function has the same address in them. The socket pair is
 * AF_UNIX, for which no hook runs.
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live.h"
#include "live_internal.h"

#define WORKERS_MAX 64

struct request {
	live_fn fn;
	size_t arg_size;
	size_t out_size;
};

static pid_t running[WORKERS_MAX];

static bool read_all(int fd, void *to, size_t size)
{
	for (size_t have = 0; have < size;) {
		ssize_t n = read(fd, (char *)to + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

static bool write_all(int fd, const void *from, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = send(fd, (const char *)from + done, size - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static void replace_running(pid_t from, pid_t to)
{
	for (int i = 0; i < WORKERS_MAX; i++) {
		if (running[i] == from) {
			running[i] = to;
			return;
		}
	}
	LIVE_FAIL("the table of workers is full or lacks process %d", (int)from);
}

/* Forgets the workers of the parent in a child, which must not end them. */
static void become_child(void)
{
	live_is_child();
	memset(running, 0, sizeof(running));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

__attribute__((noreturn)) static void serve(int sock)
{
	struct request request;

	while (read_all(sock, &request, sizeof(request))) {
		void *arg = calloc(1, request.arg_size + 1), *out = calloc(1, request.out_size + 1);

		if (!arg || !out || !read_all(sock, arg, request.arg_size))
			_exit(98);
		request.fn(arg, out);
		if (!write_all(sock, "!", 1) || !write_all(sock, out, request.out_size))
			_exit(98);
		free(arg);
		free(out);
	}
	_exit(0);
}

void live_worker_start(struct live_worker *worker, const struct live_cgroup *cgroup)
{
	int pair[2];

	LIVE_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair: %s",
		   strerror(errno));
	fflush(NULL);
	worker->pid = fork();
	LIVE_CHECK(worker->pid >= 0, "fork: %s", strerror(errno));
	if (!worker->pid) {
		close(pair[0]);
		become_child();
		if (cgroup)
			live_cgroup_enter(cgroup);
		if (!write_all(pair[1], "!", 1)) /* is in the cgroup */
			_exit(98);
		serve(pair[1]);
	}
	close(pair[1]);
	worker->sock = pair[0];
	replace_running(0, worker->pid);
	live_worker_receive(worker, NULL, 0);
}

void live_worker_send(struct live_worker *worker, live_fn fn, const void *arg, size_t arg_size,
		      size_t out_size)
{
	struct request request;

	memset(&request, 0, sizeof(request));
	request.fn = fn;
	request.arg_size = arg_size;
	request.out_size = out_size;
	LIVE_CHECK(write_all(worker->sock, &request, sizeof(request)) &&
			   write_all(worker->sock, arg, arg_size),
		   "worker %d does not listen", (int)worker->pid);
}

void live_worker_receive(struct live_worker *worker, void *out, size_t out_size)
{
	char done;

	LIVE_CHECK(read_all(worker->sock, &done, 1) && read_all(worker->sock, out, out_size),
		   "worker %d ended: see its message", (int)worker->pid);
}

void live_worker_call(struct live_worker *worker, live_fn fn, const void *arg, size_t arg_size,
		      void *out, size_t out_size)
{
	live_worker_send(worker, fn, arg, arg_size, out_size);
	live_worker_receive(worker, out, out_size);
}

static int reap(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

void live_worker_stop(struct live_worker *worker)
{
	int status;

	/* close() alone would not do: workers that were forked later hold copies */
	shutdown(worker->sock, SHUT_RDWR);
	close(worker->sock);
	status = reap(worker->pid);
	replace_running(worker->pid, 0);
	LIVE_CHECK(status == 0, "worker %d ended with status 0x%x", (int)worker->pid, status);
}

void live_worker_kill(struct live_worker *worker)
{
	kill(worker->pid, SIGKILL);
	reap(worker->pid);
	replace_running(worker->pid, 0);
	close(worker->sock);
}

void live_workers_end(void)
{
	for (int i = 0; i < WORKERS_MAX; i++) {
		if (running[i]) {
			kill(running[i], SIGKILL);
			reap(running[i]);
			running[i] = 0;
		}
	}
}

void live_forked(int unshare_flags, live_fn fn, const void *arg, void *out, size_t out_size)
{
	struct live_worker child;
	int pair[2], status;

	LIVE_CHECK(!unshare_flags || !unshare(unshare_flags), "unshare: %s", strerror(errno));
	LIVE_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair: %s",
		   strerror(errno));
	fflush(NULL);
	child.pid = fork();
	LIVE_CHECK(child.pid >= 0, "fork: %s", strerror(errno));
	if (!child.pid) {
		close(pair[0]);
		live_is_child();
		memset(running, 0, sizeof(running));
		fn(arg, out);
		_exit(write_all(pair[1], "!", 1) && write_all(pair[1], out, out_size) ? 0 : 98);
	}
	close(pair[1]);
	child.sock = pair[0];
	live_worker_receive(&child, out, out_size);
	close(child.sock);
	status = reap(child.pid);
	LIVE_CHECK(status == 0, "child %d ended with status 0x%x", (int)child.pid, status);
}

void live_own_netns(const void *unused, void *unused_out)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	(void)unused;
	(void)unused_out;
	LIVE_CHECK(!unshare(CLONE_NEWNET), "unshare: %s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	LIVE_CHECK(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &lo), "lo: %s", strerror(errno));
	close(fd);
}
