/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to pass for another process. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

#define PORT 99

static void wait_for(pid_t pid)
{
	int status;

	LIVE_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "a child failed");
}

/* The child shares memory and descriptors, and is a process of its own. */
static int shared_child(void *result)
{
	hostile_be_refused(result, hostile_socket(AF_INET, SOCK_STREAM, 0));
	return 0;
}

static char stack[256 * 1024] __attribute__((aligned(16)));

static void clone_vfork(struct hostile_result *r)
{
	wait_for(clone(shared_child, stack + sizeof(stack),
		       CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, r));
}

/* The grandchild's parent has ended. */
static int orphan(void *result)
{
	if (clone(shared_child, stack + sizeof(stack) / 2,
		  CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PARENT | SIGCHLD, result) < 0)
		return 1;
	return 0;
}

static void clone_parent(struct hostile_result *r)
{
	wait_for(clone(orphan, stack + sizeof(stack),
		       CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, r));
	LIVE_CHECK(wait(NULL) > 0, "no second child");
}

static void *kernel_named(void *result)
{
	prctl(PR_SET_NAME, "kworker/0:1");
	hostile_be_refused(result, hostile_socket(AF_INET, SOCK_STREAM, 0));
	return NULL;
}

static void named_like_the_kernel(struct hostile_result *r)
{
	pthread_t thread;

	LIVE_CHECK(!pthread_create(&thread, NULL, kernel_named, r) && !pthread_join(thread, NULL),
		   "thread");
}

/* The process that connected executes another program, which holds the socket until it ends. */
static void exec_while_connected(struct hostile_result *r)
{
	static const uint32_t events[] = {AGENTSH_EBPF_EVENT_CONNECTED, AGENTSH_EBPF_EVENT_CLOSED};
	struct connection_address at;
	int listener = connection_listen(CONNECTION_V4, 0, 8, &at), server;
	int fd = socket(AF_INET, SOCK_STREAM, 0), shared[2];
	struct hostile_want *w;
	pid_t pid;

	LIVE_CHECK(fd >= 0 && !pipe(shared), "socket, pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		w = hostile_expect(r, AGENTSH_EBPF_EVENT_CONNECT, fd, &at);
		hostile_connect(fd, &at, 0);
		LIVE_CHECK(write(shared[1], w, sizeof(*w)) == sizeof(*w), "pipe");
		execl("/proc/self/exe", "hostile", "--exit", NULL);
		_exit(1);
	}
	close(fd);
	close(shared[1]);
	w = &r->want[r->count++];
	LIVE_CHECK(read(shared[0], w, sizeof(*w)) == sizeof(*w), "pipe");
	server = connection_accept(listener);
	wait_for(pid);
	CONNECTION_SAME(connection_read_end(server), 0);
	for (size_t i = 0; i < LIVE_COUNT(events); i++)
		hostile_expect_same(r, w, events[i], i ? AGENTSH_EBPF_FLAG_LOCAL_CLOSED : 0);
	close(server);
}

/* Closes what another process has connected. */
static void closed_by_a_child(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0), shared[2];
	struct hostile_want *w = hostile_expect(r, AGENTSH_EBPF_EVENT_CONNECT, fd, &to);
	pid_t pid;

	hostile_connect(fd, &to, 0);
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CLOSED, 0);
	LIVE_CHECK(!pipe(shared), "pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		char c;

		close(shared[1]);
		_exit(read(shared[0], &c, 1) != 0); /* until the parent has closed its copy */
	}
	close(fd);
	close(shared[1]);
	wait_for(pid);
}

const struct hostile_way hostile_tasks[] = {
	{.name = "connect in a child of vfork()", .go = clone_vfork},
	{.name = "connect in a child of CLONE_PARENT", .go = clone_parent},
	{.name = "connect in a thread named kworker/0:1", .go = named_like_the_kernel},
	{.name = "exec between connect and close",
	 .go = exec_while_connected,
	 .hooks = CONNECTION_CONNECT},
	{.name = "close in another process", .go = closed_by_a_child},
};
const size_t hostile_tasks_count = LIVE_COUNT(hostile_tasks);
