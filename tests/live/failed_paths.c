/* SPDX-License-Identifier: Apache-2.0 */
/* A listener whose queue is full ignores a SYN, which makes a black hole on loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "failed_paths.h"

#define SYN_TIMEOUT_NS 1000000000 /* the first timeout: no attempt can time out before it */
#define SYN_SENT 2
#define FAILED AGENTSH_EBPF_EVENT_CONNECT_FAILED

static struct connection *new_connection(struct connections *connections)
{
	LIVE_CHECK(connections->count < CONNECTIONS_MAX, "too many connections");
	return &connections->list[connections->count++];
}

static void failed(struct connection *connection, int error)
{
	connection_ended(connection, FAILED, 0, error);
}

static int error_of(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	LIVE_CHECK(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
	return error;
}

static void nonblocking(int fd)
{
	LIVE_CHECK(!fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK: %s", strerror(errno));
}

/* Waits for the result of a non-blocking connect(). */
static int outcome(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	LIVE_CHECK(poll(&poll_fd, 1, LIVE_DEADLINE_MS) == 1, "connect() neither fails nor ends");
	return error_of(fd);
}

struct hole {
	struct connection_address at;
	int listener, filler;
};

static struct hole hole_make(enum connection_family family)
{
	struct hole hole;

	hole.listener = connection_listen(family, 0, 0, &hole.at);
	hole.filler = connection_socket(family, 0);
	return hole;
}

/* The filler is a connection, too: its events are compared, but it does not end. */
static struct hole hole_open(enum connection_family family, struct connections *connections)
{
	struct hole hole = hole_make(family);
	struct connection *connection = new_connection(connections);
	int error = connection_connect(connection, hole.filler, &hole.at, "filler");

	LIVE_CHECK(!error, "filler: %s", strerror(error));
	connection_is_connected(connection, hole.filler);
	connection_wait_arrived(hole.listener);
	return hole;
}

/* ---- the paths ----------------------------------------------------------- */

static struct connection_address nowhere(enum connection_family family)
{
	struct connection_address at;

	close(connection_listen(family, 0, 1, &at));
	return at;
}

static void refused(enum connection_family family, struct connections *connections)
{
	const struct connection_address at = nowhere(family);
	struct connection *connection = new_connection(connections);
	int fd = connection_socket(family, 0);

	CONNECTION_SAME(connection_connect(connection, fd, &at, "refused"), ECONNREFUSED);
	connection->end_ns[0] = connection->connect.boot_ns[0];
	connection->known = 0; /* the kernel has released the port */
	failed(connection, ECONNREFUSED);
	close(fd);
}

static void refused_later(enum connection_family family, struct connections *connections)
{
	const struct connection_address at = nowhere(family);
	struct connection *connection = new_connection(connections);
	int fd = connection_socket(family, 0), error;

	nonblocking(fd);
	error = connection_connect(connection, fd, &at, "non-blocking, refused");
	LIVE_CHECK(error == EINPROGRESS, "connect: %s", strerror(error));
	connection->end_ns[0] = connection->connect.boot_ns[0];
	connection->known = 0;
	CONNECTION_SAME(outcome(fd), ECONNREFUSED);
	failed(connection, ECONNREFUSED);
	close(fd);
}

static void timed_out(enum connection_family family, struct connections *connections)
{
	const struct hole hole = hole_open(family, connections);
	struct connection *connection = new_connection(connections);
	int fd = connection_socket(family, 0);

	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &(int){1}, sizeof(int)),
		   "TCP_SYNCNT: %s", strerror(errno));
	nonblocking(fd);
	CONNECTION_SAME(connection_connect(connection, fd, &hole.at, "timed out"), EINPROGRESS);
	connection->end_ns[0] = connection->connect.boot_ns[0] + SYN_TIMEOUT_NS;
	CONNECTION_SAME(outcome(fd), ETIMEDOUT);
	failed(connection, ETIMEDOUT);
	connection->retransmits = connection_info(fd).tcpi_total_retrans;
	LIVE_CHECK(connection->retransmits, "the SYN was not sent again");
	connection->known |= CONNECTION_RETRANSMITS;
	close(fd);
}

static int connect_into(const struct hole *hole, enum connection_family family,
			struct connection *connection, const char *name)
{
	int fd = connection_socket(family, 0);

	nonblocking(fd);
	CONNECTION_SAME(connection_connect(connection, fd, &hole->at, name), EINPROGRESS);
	CONNECTION_SAME(connection_info(fd).tcpi_state, SYN_SENT);
	return fd;
}

static void given_up(enum connection_family family, struct connections *connections)
{
	const struct hole hole = hole_open(family, connections);
	struct connection *connection = new_connection(connections);
	int fd = connect_into(&hole, family, connection, "given up");

	/* a repeated call is no second attempt */
	LIVE_CHECK(connect(fd, &hole.at.sa.any, hole.at.size) && errno == EALREADY, "again: %s",
		   strerror(errno));
	connection_ending(connection);
	close(fd);
	failed(connection, ECANCELED);
}

static void taken_back(enum connection_family family, struct connections *connections)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	const struct hole hole = hole_open(family, connections);
	struct connection *connection = new_connection(connections);
	int fd = connect_into(&hole, family, connection, "taken back");

	connection_ending(connection);
	LIVE_CHECK(!connect(fd, &none, sizeof(none)), "AF_UNSPEC: %s", strerror(errno));
	failed(connection, ECANCELED);
	close(fd);
}

/* bind() is too late, but its hook runs before the kernel refuses it. */
static void bound_meanwhile(enum connection_family family, struct connections *connections)
{
	const struct connection_address any = connection_loopback(family, 0);
	const struct hole hole = hole_open(family, connections);
	struct connection *connection = new_connection(connections);
	int fd = connect_into(&hole, family, connection, "bound meanwhile");

	LIVE_CHECK(bind(fd, &any.sa.any, any.size) && errno == EINVAL, "bind: %s", strerror(errno));
	connection_ending(connection);
	close(fd);
	failed(connection, ECANCELED);
}

/* getsockname() still returns the port of the previous attempt, which has been released. */
static void no_port_yet(struct connection *connection)
{
	connection->connect.want.local_port = 0;
}

/* Each attempt with the same socket has its own CONNECT_FAILED. */
static void second_try(enum connection_family family, struct connections *connections)
{
	const struct connection_address at = nowhere(family);
	struct connection_address there;
	int fd = connection_socket(family, 0), listener = connection_listen(family, 0, 8, &there);
	struct connection *connection;
	int error;

	for (int i = 0; i < 2; i++) {
		connection = new_connection(connections);
		CONNECTION_SAME(connection_connect(connection, fd, &at, "try"), ECONNREFUSED);
		connection->end_ns[0] = connection->connect.boot_ns[0];
		connection->known = 0;
		failed(connection, ECONNREFUSED);
		if (i)
			no_port_yet(connection);
	}
	connection = new_connection(connections);
	error = connection_connect(connection, fd, &there, "last try");
	LIVE_CHECK(!error, "last try: %s", strerror(error));
	connection_is_connected(connection, fd);
	no_port_yet(connection);
	connection_ending(connection);
	connection_close_hard(fd);
	connection_ended(connection, AGENTSH_EBPF_EVENT_CLOSED, 0, 0);
	close(listener);
}

static void no_route(enum connection_family family, struct connections *connections)
{
	static const char *const far[] = {"198.51.100.7", "2001:db8::1", "::ffff:198.51.100.7"};
	struct connection_address at = connection_loopback(family, 443);
	int fd = connection_socket(family, 0);

	inet_pton(at.sa.any.sa_family, far[family],
		  family == CONNECTION_V4 ? (void *)&at.sa.v4.sin_addr
					  : (void *)&at.sa.v6.sin6_addr);
	CONNECTION_SAME(connection_connect(new_connection(connections), fd, &at, "no route"),
			ENETUNREACH);
	close(fd);
}

/* The only local port is in use; the second time, after an attempt that sent a SYN. */
static void no_port(enum connection_family family, struct connections *connections)
{
	const struct connection_address at = nowhere(family);
	struct connection_address there;
	int one = connection_socket(family, 0), other = connection_socket(family, 0), error;
	struct connection *connection = new_connection(connections);

	connection_listen(family, 0, 8, &there); /* stays open as long as the worker runs */
	connection_sysctl("net/ipv4/ip_local_port_range", "40000 40000");
	error = connection_connect(connection, one, &there, "holds the port");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_is_connected(connection, one);
	CONNECTION_SAME(connection->local_port, 40000);
	CONNECTION_SAME(connection_connect(new_connection(connections), other, &there, "no port"),
			EADDRNOTAVAIL);
	connection = new_connection(connections);
	CONNECTION_SAME(connection_connect(connection, other, &at, "refused"), ECONNREFUSED);
	connection->end_ns[0] = connection->connect.boot_ns[0];
	connection->known = 0;
	failed(connection, ECONNREFUSED);
	connection = new_connection(connections);
	CONNECTION_SAME(connection_connect(connection, other, &there, "no port again"),
			EADDRNOTAVAIL);
	no_port_yet(connection);
}

/* TCP_FASTOPEN_CONNECT delays the SYN until there is data. */
static void never_written(enum connection_family family, struct connections *connections)
{
	struct connection_address at;
	struct connection *connection;
	int listener, fd;

	connection_sysctl("net/ipv4/tcp_fastopen", "1543"); /* both sides, without cookies */
	listener = connection_listen(family, 0, 8, &at);
	LIVE_CHECK(!setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &(int){8}, sizeof(int)),
		   "TCP_FASTOPEN: %s", strerror(errno));
	fd = connection_socket(family, 0);
	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int)),
		   "TCP_FASTOPEN_CONNECT: %s", strerror(errno));
	connection = new_connection(connections);
	CONNECTION_SAME(connection_connect(connection, fd, &at, "never written"), 0);
	connection->known = 0;
	close(fd);
	close(listener);
}

/* The network prohibits the connection: an ICMP message that quotes the SYN. */
static void prohibited(enum connection_family family, struct connections *connections)
{
	struct {
		struct icmphdr head;
		uint8_t quoted[28];
	} message = {.head = {.type = ICMP_DEST_UNREACH, .code = ICMP_PKT_FILTERED}};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int syns = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	int icmp = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	struct hole hole;
	struct connection *connection;
	uint16_t words[sizeof(message) / 2];
	uint8_t packet[256];
	uint32_t sum = 0;
	int fd;

	if (family == CONNECTION_V6)
		return; /* the ICMP message is for IPv4 */
	hole = hole_open(family, connections);
	connection = new_connection(connections);
	LIVE_CHECK(syns >= 0 && icmp >= 0, "raw sockets: %s", strerror(errno));
	while (recv(syns, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		;
	fd = connect_into(&hole, family, connection, "prohibited");
	LIVE_CHECK(recv(syns, packet, sizeof(packet), 0) >= 40, "no SYN: %s", strerror(errno));
	memcpy(message.quoted, packet, sizeof(message.quoted));
	memcpy(&to.sin_addr, packet + 12, 4); /* back to where it came from */
	memcpy(words, &message, sizeof(message));
	for (size_t i = 0; i < LIVE_COUNT(words); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	message.head.checksum = (uint16_t) ~(sum + (sum >> 16));
	connection_ending(connection);
	LIVE_CHECK(sendto(icmp, &message, sizeof(message), 0, (void *)&to, sizeof(to)) ==
			   (ssize_t)sizeof(message),
		   "ICMP: %s", strerror(errno));
	CONNECTION_SAME(outcome(fd), EHOSTUNREACH);
	connection->known = 0;
	failed(connection, EHOSTUNREACH);
	close(fd);
}

const failed_path failed_paths[] = {
	refused,    refused_later, timed_out, given_up,	     taken_back, bound_meanwhile,
	second_try, no_route,	   no_port,   never_written, prohibited,
};
const size_t failed_path_count = LIVE_COUNT(failed_paths);
