/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "connection.h"

#define STEP_NS 2000000

bool connection_errors_hidden;

uint64_t connection_now(void)
{
	return live_clock_ns(CLOCK_BOOTTIME);
}

struct connection_address connection_address(const char *text, uint16_t port)
{
	struct connection_address a;

	memset(&a, 0, sizeof(a));
	if (inet_pton(AF_INET, text, &a.sa.v4.sin_addr) == 1) {
		a.size = sizeof(a.sa.v4);
		a.sa.v4.sin_family = AF_INET;
		a.sa.v4.sin_port = htons(port);
		return a;
	}
	LIVE_CHECK(inet_pton(AF_INET6, text, &a.sa.v6.sin6_addr) == 1, "%s is no address", text);
	a.size = sizeof(a.sa.v6);
	a.sa.v6.sin6_family = AF_INET6;
	a.sa.v6.sin6_port = htons(port);
	return a;
}

struct connection_address connection_loopback(enum connection_family family, uint16_t port)
{
	struct connection_address a;

	memset(&a, 0, sizeof(a));
	if (family == CONNECTION_V4) {
		a.size = sizeof(a.sa.v4);
		a.sa.v4.sin_family = AF_INET;
		a.sa.v4.sin_port = htons(port);
		a.sa.v4.sin_addr.s_addr = htonl(0x7f010203);
		return a;
	}
	a.size = sizeof(a.sa.v6);
	a.sa.v6.sin6_family = AF_INET6;
	a.sa.v6.sin6_port = htons(port);
	a.sa.v6.sin6_addr = in6addr_loopback;
	if (family == CONNECTION_MAPPED)
		memcpy(&a.sa.v6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\1\2\4", 16);
	return a;
}

int connection_socket(enum connection_family family, int protocol)
{
	int fd = socket(family == CONNECTION_V4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC,
			protocol);

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	return fd;
}

int connection_listen(enum connection_family family, int protocol, int backlog,
		      struct connection_address *at)
{
	int fd = connection_socket(family, protocol);

	*at = connection_loopback(family, 0);
	LIVE_CHECK(!bind(fd, &at->sa.any, at->size) && !listen(fd, backlog) &&
			   !getsockname(fd, &at->sa.any, &at->size),
		   "listen: %s", strerror(errno));
	return fd;
}

int connection_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	LIVE_CHECK(fd >= 0, "accept: %s", strerror(errno));
	return fd;
}

void connection_end(const struct connection_address *a, uint8_t addr[16], uint16_t *port)
{
	bool mapped = a->sa.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->sa.v6.sin6_addr);

	memset(addr, 0, 16);
	if (a->sa.any.sa_family == AF_INET)
		memcpy(addr, &a->sa.v4.sin_addr, 4);
	else
		memcpy(addr, a->sa.v6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
	*port = ntohs(a->sa.v4.sin_port); /* the same place in both */
}

static void local_end(int fd, uint8_t addr[16], uint16_t *port)
{
	struct connection_address a = {.size = sizeof(a.sa)};

	LIVE_CHECK(!getsockname(fd, &a.sa.any, &a.size), "getsockname: %s", strerror(errno));
	connection_end(&a, addr, port);
}

static int protocol_of(int fd)
{
	int protocol = -1;
	socklen_t size = sizeof(protocol);

	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
	return protocol;
}

void connection_before(struct connection *connection, int fd, const struct connection_address *to,
		       const char *name)
{
	struct agentsh_ebpf_event *want = &connection->connect.want;
	bool v6 = to->sa.any.sa_family == AF_INET6;
	bool mapped = v6 && IN6_IS_ADDR_V4MAPPED(&to->sa.v6.sin6_addr);

	memset(connection, 0, sizeof(*connection));
	snprintf(connection->connect.name, sizeof(connection->connect.name), "%s", name);
	expectation_task(&connection->connect);
	expectation_socket(&connection->connect, fd);
	if (protocol_of(fd) == IPPROTO_MPTCP)
		want->socket_cookie = 0; /* no system call returns that of a subflow */
	want->kind = AGENTSH_EBPF_EVENT_CONNECT;
	want->family = v6 && !mapped ? AF_INET6 : AF_INET;
	want->flags = mapped ? AGENTSH_EBPF_FLAG_V4_MAPPED : 0;
	connection_end(to, want->remote_addr, &want->remote_port);
	local_end(fd, want->local_addr, &want->local_port);
	expectation_clocks(&connection->connect, 0);
}

void connection_after(struct connection *connection, int fd)
{
	expectation_clocks(&connection->connect, 1);
	local_end(fd, connection->local_addr, &connection->local_port);
	connection->known |= CONNECTION_LOCAL;
}

int connection_connect(struct connection *connection, int fd, const struct connection_address *to,
		       const char *name)
{
	int error;

	connection_before(connection, fd, to, name);
	error = connect(fd, &to->sa.any, to->size) ? errno : 0;
	connection_after(connection, fd);
	return error;
}

struct tcp_info connection_info(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	LIVE_CHECK(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), "TCP_INFO: %s",
		   strerror(errno));
	return info;
}

void connection_is_connected(struct connection *connection, int fd)
{
	connection->connected = 1;
	connection->connected_ns = connection_now();
	local_end(fd, connection->local_addr, &connection->local_port);
	connection->known |= CONNECTION_LOCAL;
	if (protocol_of(fd) == IPPROTO_MPTCP)
		return;
	connection->rtt_us = connection_info(fd).tcpi_rtt;
	connection->known |= CONNECTION_RTT;
}

void connection_ending(struct connection *connection)
{
	connection->end_ns[0] = connection_now();
}

void connection_ended(struct connection *connection, uint32_t kind, uint32_t flags, int error)
{
	connection->end_ns[1] = connection_now();
	connection->end = kind;
	connection->flags = flags;
	connection->error = error;
}

void connection_ended_info(struct connection *connection, int fd)
{
	struct tcp_info info = connection_info(fd);

	LIVE_CHECK(info.tcpi_state == 7 /* TCP_CLOSE */, "%s: TCP state %u",
		   connection->connect.name, info.tcpi_state);
	connection->end_rtt_us = info.tcpi_rtt;
	connection->retransmits = info.tcpi_total_retrans;
	connection->known |= CONNECTION_END_RTT | CONNECTION_RETRANSMITS;
}

static void sleep_step(void)
{
	const struct timespec pause = {.tv_nsec = STEP_NS};

	nanosleep(&pause, NULL);
}

void connection_wait_state(int fd, int state)
{
	for (int i = 0; i < LIVE_DEADLINE_MS / 2; i++) {
		if (connection_info(fd).tcpi_state == state)
			return;
		sleep_step();
	}
	LIVE_FAIL("TCP state is %u, expected %d", connection_info(fd).tcpi_state, state);
}

void connection_wait_acknowledged(int fd)
{
	const int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	while (connection_info(fd).tcpi_unacked) {
		LIVE_CHECK(live_now_ms() < end, "the peer does not acknowledge");
		sleep_step();
	}
}

void connection_wait_arrived(int listener)
{
	struct pollfd poll_fd = {.fd = listener, .events = POLLIN};

	LIVE_CHECK(poll(&poll_fd, 1, LIVE_DEADLINE_MS) == 1, "no connection has arrived");
}

/* Threads may read at the same time, so each has its own buffer. */
static const char zeros[65536];
static _Thread_local char received[65536];

void connection_write(int fd, size_t size)
{
	while (size) {
		ssize_t n =
			send(fd, zeros, size < sizeof(zeros) ? size : sizeof(zeros), MSG_NOSIGNAL);

		LIVE_CHECK(n > 0, "send: %s", strerror(errno));
		size -= (size_t)n;
	}
}

void connection_read(int fd, size_t size)
{
	while (size) {
		ssize_t n = read(fd, received, size < sizeof(received) ? size : sizeof(received));

		LIVE_CHECK(n > 0, "read: %zd, %s", n, strerror(errno));
		size -= (size_t)n;
	}
}

size_t connection_read_end(int fd)
{
	size_t size = 0;
	ssize_t n;

	while ((n = read(fd, received, sizeof(received))) > 0)
		size += (size_t)n;
	LIVE_CHECK(n == 0, "read: %s", strerror(errno));
	return size;
}

void connection_close_hard(int fd)
{
	const struct linger hard = {.l_onoff = 1};

	LIVE_CHECK(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), "SO_LINGER: %s",
		   strerror(errno));
	close(fd);
}

bool connection_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return false;
	LIVE_CHECK(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value), "%s: %s",
		   path, strerror(errno));
	close(fd);
	return true;
}
