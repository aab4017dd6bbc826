/* SPDX-License-Identifier: Apache-2.0 */
/* Ways with a socket that another process, or the kernel itself, makes or connects. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"
#include "io_uring_ops.h"
#include "kernel.h"
#include "netlink.h"

#define CONNECT AGENTSH_EBPF_EVENT_CONNECT
#define CONNECTED AGENTSH_EBPF_EVENT_CONNECTED
#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define UDP_SEND AGENTSH_EBPF_EVENT_UDP_SEND
#define PORT 99

static int sockets[2];

/* Made by a process outside the session, and handed in. */
static void make_outside(struct hostile_result *r)
{
	(void)r;
	live_cgroup_enter(NULL);
	sockets[0] = hostile_socket(AF_INET, SOCK_DGRAM, 0);
	sockets[1] = hostile_socket(AF_INET, SOCK_STREAM, 0);
	live_cgroup_enter(&hostile_cgroup);
}

static void use_outside(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);

	(void)r;
	hostile_sendto(sockets[0], &to);
	hostile_connect(sockets[0], &to, 0);
	hostile_connect(sockets[1], &to, ECONNREFUSED);
}

/* The process leaves the session with its sockets. */
static void leave(struct hostile_result *r)
{
	(void)r;
	sockets[0] = hostile_socket(AF_INET, SOCK_DGRAM, 0);
	sockets[1] = hostile_socket(AF_INET, SOCK_STREAM, 0);
	live_cgroup_enter(NULL);
}

static void use_after_leaving(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	int new = hostile_socket(AF_INET, SOCK_DGRAM, 0);
	struct hostile_want *w;

	hostile_sendto(new, &to); /* belongs to the other cgroup */
	w = hostile_expect(r, UDP_SEND, sockets[0], &to);
	hostile_sendto(sockets[0], &to);
	close(sockets[0]);
	hostile_expect_sent(r, w, 0, 1);
	w = hostile_expect(r, CONNECT, sockets[1], &to);
	hostile_connect(sockets[1], &to, ECONNREFUSED);
	w = hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CONNECT_FAILED, 0);
	w->is.want.error = ECONNREFUSED;
}

/* A seccomp filter sees nothing of what io_uring does. */
static void io_uring(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);

	LIVE_CHECK(!hostile_refuse_call(SYS_connect), "seccomp: %s", strerror(errno));
	hostile_connect(hostile_socket(AF_INET, SOCK_DGRAM, 0), &to, EPERM);

	for (enum uring_how how = URING_INLINE; how <= URING_POLLED; how++) {
		int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0), result;
		struct hostile_want *w = hostile_expect(r, CONNECT, fd, &to);

		w->free = HOSTILE_ANY_THREAD;
		result = uring_connect(how, fd, &to.sa.any, to.size);
		close(fd);
		if (result == URING_ABSENT) {
			r->count--;
			if (how == URING_INLINE)
				hostile_absent(r, "no io_uring", 0);
			continue;
		}
		LIVE_CHECK(!result, "io_uring connect: %s", strerror(-result));
		hostile_expect_same(r, w, CLOSED, 0);
	}
}

static void io_uring_socket(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	struct hostile_want *w;
	int fd;

	LIVE_CHECK(!hostile_refuse_call(SYS_socket), "seccomp: %s", strerror(errno));
	LIVE_CHECK(socket(AF_INET, SOCK_DGRAM, 0) < 0 && errno == EPERM, "socket: %s",
		   strerror(errno));
	fd = uring_socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0) {
		LIVE_CHECK(fd == URING_ABSENT || fd == -EINVAL, "io_uring: %s", strerror(-fd));
		hostile_absent(r, "io_uring makes no sockets", 0);
		return;
	}
	w = hostile_expect(r, UDP_SEND, fd, &to);
	hostile_sendto(fd, &to);
	close(fd);
	hostile_expect_sent(r, w, 0, 1);
}

static void allow_fast_open(struct hostile_result *r)
{
	(void)r;
	connection_sysctl("net/ipv4/tcp_fastopen", "1543");
}

/* A send that connects. */
static void fast_open(struct hostile_result *r)
{
	struct connection_address at;
	int listener = connection_listen(CONNECTION_V4, 0, 8, &at), server;
	int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);
	struct hostile_want *w, *accepted;

	LIVE_CHECK(!setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &(int){8}, sizeof(int)),
		   "TCP_FASTOPEN: %s", strerror(errno));
	w = hostile_expect(r, CONNECT, fd, &at);
	hostile_expect_same(r, w, CONNECTED, 0);
	LIVE_CHECK(sendto(fd, "fast", 4, MSG_FASTOPEN, &at.sa.any, at.size) == 4,
		   "MSG_FASTOPEN: %s", strerror(errno));
	server = connection_accept(listener);
	connection_read(server, 4);
	accepted = hostile_expect_accepted(r, server);
	hostile_finish(r, w, fd, accepted, server);
	r->want[r->count - 2].is.want.bytes_sent += 4;
	r->want[r->count - 1].is.want.bytes_received += 4;
}

/* connect() without a SYN; the session has room for one socket. */
static void fast_open_without_data(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);

	for (int i = 0; i < 3; i++) {
		int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);

		LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1},
				       sizeof(int)) &&
				   !setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &(int){1},
					       sizeof(int)),
			   "TCP_FASTOPEN_CONNECT: %s", strerror(errno));
		hostile_expect(r, CONNECT, fd, &to);
		hostile_connect(fd, &to, 0);
		close(fd);
	}
}

static void add_subflow(struct hostile_result *r)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	int error = fd < 0 ? errno : netlink_mptcp_subflow(htonl(0x7f000002));

	if (error)
		hostile_absent(r, "MPTCP", error);
	if (fd >= 0)
		close(fd);
}

static void mptcp(struct hostile_result *r)
{
	struct connection_address at;
	int listener = connection_listen(CONNECTION_V4, IPPROTO_MPTCP, 8, &at), server;
	int fd = hostile_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	hostile_expect(r, CONNECT, fd, &at);
	hostile_connect(fd, &at, 0);
	server = connection_accept(listener);
	connection_write(fd, 3);
	connection_read(server, 3);
	connection_write(server, 4);
	connection_read(fd, 4);
	usleep(300000); /* a thread of the kernel opens the second subflow */
	shutdown(fd, SHUT_WR);
	connection_read_end(server);
	close(server);
	close(fd);
}

/*
 * Each subflow is of the process, or of nobody; the first one is of the process. Programs that
 * cannot read the kernel's structures name the thread of the kernel.
 */
static uint32_t check_mptcp(const struct hostile_result *r)
{
	const struct agentsh_ebpf_event *w = &r->want[0].is.want;
	uint32_t count = 0, connects = 0;

	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (e->session_id != HOSTILE_SESSION)
			continue;
		if (!count++)
			LIVE_CHECK(!hostile_differs(&r->want[0], e), "the first subflow: %s",
				   hostile_differs(&r->want[0], e));
		connects += e->kind == CONNECT;
		if (e->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED)
			LIVE_CHECK(!e->tgid && !e->uid && !e->cgroup_id && !e->comm[0],
				   "a task in an UNATTRIBUTED event");
		else if (!kernel_hides_tasks())
			LIVE_CHECK(e->tgid == w->tgid && e->uid == w->uid &&
					   e->cgroup_id == w->cgroup_id,
				   "a subflow of process %u, user %u, %s", e->tgid, e->uid,
				   e->comm);
	}
	LIVE_CHECK(connects >= 2, "no second subflow");
	return count;
}

const struct hostile_way hostile_sockets[] = {
	{.name = "a socket that was made outside", .prepare = make_outside, .go = use_outside},
	{.name = "leaving the cgroup", .prepare = leave, .go = use_after_leaving},
	{.name = "connect by io_uring while seccomp refuses connect()", .go = io_uring},
	{.name = "a socket by io_uring while seccomp refuses socket()", .go = io_uring_socket},
	{.name = "TCP Fast Open", .prepare = allow_fast_open, .go = fast_open},
	{.name = "TCP Fast Open without data",
	 .prepare = allow_fast_open,
	 .go = fast_open_without_data,
	 .max_sockets = 1},
	{.name = "a second subflow of MPTCP",
	 .prepare = add_subflow,
	 .go = mptcp,
	 .check = check_mptcp,
	 .hooks = CONNECTION_CONNECT},
};
const size_t hostile_sockets_count = LIVE_COUNT(hostile_sockets);
