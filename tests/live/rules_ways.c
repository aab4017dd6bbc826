/* SPDX-License-Identifier: Apache-2.0 */
#include "rules_ways.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io_uring_ops.h"
#include "live.h"

#define PROTOCOL_MPTCP 262

union destination {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t destination_of(const struct way *way, int family, union destination *to)
{
	memset(to, 0, sizeof(*to));
	if (family == AF_INET) {
		to->v4.sin_family = AF_INET;
		to->v4.sin_port = htons(way->port);
		LIVE_CHECK(inet_pton(AF_INET, way->to, &to->v4.sin_addr) == 1, "%s", way->name);
		return sizeof(to->v4);
	}
	to->v6.sin6_family = AF_INET6;
	to->v6.sin6_port = htons(way->port);
	LIVE_CHECK(inet_pton(AF_INET6, way->to, &to->v6.sin6_addr) == 1, "%s", way->name);
	return sizeof(to->v6);
}

static int go_connect(const struct way *way, int fd)
{
	union destination to;
	socklen_t size = destination_of(way, way->domain, &to);

	return connect(fd, &to.any, size) ? errno : 0;
}

static int send_to(const struct way *way, int fd, int family, int flags)
{
	union destination to;
	socklen_t size = destination_of(way, family, &to);

	return sendto(fd, "x", 1, flags, &to.any, size) < 0 ? errno : 0;
}

static int go_send(const struct way *way, int fd)
{
	return send_to(way, fd, way->domain, 0);
}

/* An IPv4 address on an IPv6 socket. */
static int go_send_plain4(const struct way *way, int fd)
{
	return send_to(way, fd, AF_INET, 0);
}

/* The kernel takes AF_UNSPEC for AF_INET. */
static int go_send_unspec(const struct way *way, int fd)
{
	union destination to;
	socklen_t size = destination_of(way, AF_INET, &to);

	to.any.sa_family = AF_UNSPEC;
	return sendto(fd, "x", 1, 0, &to.any, size) < 0 ? errno : 0;
}

static int go_send_connected(const struct way *way, int fd)
{
	const struct sockaddr_in other = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(0x7f636363),
	};

	(void)!connect(fd, (const void *)&other, sizeof(other));
	return send_to(way, fd, way->domain, 0);
}

static int go_sendmmsg(const struct way *way, int fd)
{
	struct iovec data = {.iov_base = "x", .iov_len = 1};
	union destination to;
	struct mmsghdr message = {
		.msg_hdr = {.msg_name = &to, .msg_iov = &data, .msg_iovlen = 1},
	};

	message.msg_hdr.msg_namelen = destination_of(way, way->domain, &to);
	return sendmmsg(fd, &message, 1, 0) < 0 ? errno : 0;
}

static int go_fastopen(const struct way *way, int fd)
{
	return send_to(way, fd, way->domain, MSG_FASTOPEN);
}

/* connect() only notes the destination, if it knows a cookie of it; else it sends a SYN. */
static int go_fastopen_connect(const struct way *way, int fd)
{
	int one = 1;

	(void)!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	return go_connect(way, fd);
}

static int of_ring(int ret)
{
	return ret == URING_ABSENT ? WAY_ABSENT : ret < 0 ? -ret : 0;
}

static int go_ring_connect(const struct way *way, int fd)
{
	union destination to;
	socklen_t size = destination_of(way, way->domain, &to);

	return of_ring(uring_connect(URING_WORKER, fd, &to.any, size));
}

static int go_ring_send(const struct way *way, int fd)
{
	struct iovec data = {.iov_base = "x", .iov_len = 1};
	union destination to;
	struct msghdr message = {.msg_name = &to, .msg_iov = &data, .msg_iovlen = 1};

	message.msg_namelen = destination_of(way, way->domain, &to);
	return of_ring(uring_sendmsg(URING_INLINE, fd, &message));
}

#define TCP SOCK_STREAM, IPPROTO_TCP
#define UDP SOCK_DGRAM, IPPROTO_UDP
#define CONNECT AGENTSH_EBPF_EVENT_CONNECT
#define SEND AGENTSH_EBPF_EVENT_UDP_SEND
#define V4 "127.7.7.7", "127.7.7.7"
#define V6 "::1", "::1"
#define MAPPED "::ffff:127.7.7.7", "127.7.7.7"

const struct way ways[] = {
	{"tcp4", AF_INET, TCP, go_connect, V4, CONNECT, 81, false},
	{"tcp6", AF_INET6, TCP, go_connect, V6, CONNECT, 81, false},
	{"tcp mapped", AF_INET6, TCP, go_connect, MAPPED, CONNECT, 81, false},
	{"tcp4 to 0.0.0.0", AF_INET, TCP, go_connect, "0.0.0.0", "127.0.0.1", CONNECT, 81, false},
	{"tcp6 to ::", AF_INET6, TCP, go_connect, "::", "::1", CONNECT, 81, false},
	{"tcp to ::ffff:0.0.0.0", AF_INET6, TCP, go_connect, "::ffff:0.0.0.0", "127.0.0.1", CONNECT,
	 81, false},
	{"tcp4 MSG_FASTOPEN", AF_INET, TCP, go_fastopen, V4, CONNECT, 82, false},
	{"tcp6 MSG_FASTOPEN", AF_INET6, TCP, go_fastopen, V6, CONNECT, 82, false},
	{"tcp4 TCP_FASTOPEN_CONNECT", AF_INET, TCP, go_fastopen_connect, V4, CONNECT, 83, false},
	{"tcp4 io_uring", AF_INET, TCP, go_ring_connect, V4, CONNECT, 84, false},
	{"mptcp4", AF_INET, SOCK_STREAM, PROTOCOL_MPTCP, go_connect, V4, CONNECT, 81, false},
	{"udp4 connect", AF_INET, UDP, go_connect, V4, CONNECT, 81, false},
	{"udp6 connect", AF_INET6, UDP, go_connect, V6, CONNECT, 81, false},
	{"udp mapped connect", AF_INET6, UDP, go_connect, MAPPED, CONNECT, 81, false},
	{"udp4 sendto", AF_INET, UDP, go_send, V4, SEND, 85, false},
	{"udp6 sendto", AF_INET6, UDP, go_send, V6, SEND, 85, false},
	{"udp mapped sendto", AF_INET6, UDP, go_send, MAPPED, SEND, 85, false},
	{"udp4 sendto 0.0.0.0", AF_INET, UDP, go_send, "0.0.0.0", "127.0.0.1", SEND, 85, false},
	{"udp6 sendto ::", AF_INET6, UDP, go_send, "::", "::1", SEND, 85, false},
	{"udp6 sendto IPv4", AF_INET6, UDP, go_send_plain4, V4, SEND, 86, false},
	{"udp4 sendto AF_UNSPEC", AF_INET, UDP, go_send_unspec, V4, SEND, 86, false},
	{"udp4 sendmmsg", AF_INET, UDP, go_sendmmsg, V4, SEND, 87, false},
	{"udp6 sendmmsg", AF_INET6, UDP, go_sendmmsg, V6, SEND, 87, false},
	{"udp4 io_uring", AF_INET, UDP, go_ring_send, V4, SEND, 88, false},
	{"ping4 connect", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, go_connect, V4, CONNECT, 0, true},
	{"ping6 connect", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, go_connect, V6, CONNECT, 0, true},
	/* the last one: the connect() before it is an event, too */
	{"udp4 sendto elsewhere", AF_INET, UDP, go_send_connected, V4, SEND, 89, false},
};
const size_t ways_count = LIVE_COUNT(ways);

static void *go(void *ctx)
{
	struct way_result *result = ctx;
	const struct way *way = &ways[result->error];
	int fd = socket(way->domain, way->type | SOCK_CLOEXEC, way->protocol);

	result->error = errno == EACCES ? WAY_FORBIDDEN : WAY_ABSENT;
	if (fd < 0)
		return NULL;
	result->error = way->go(way, fd);
	close(fd);
	return NULL;
}

void way_own_netns(const void *unused, void *unused_out)
{
	FILE *file;

	live_own_netns(unused, unused_out);
	file = fopen("/proc/sys/net/ipv4/ping_group_range", "w");
	LIVE_CHECK(file && fputs("0 2147483647", file) >= 0 && !fclose(file), "ping_group_range");
}

/* The child tells the result through a pipe. */
static void go_in_child(struct way_result *result)
{
	int ends[2], status;
	pid_t pid;

	LIVE_CHECK(!pipe(ends), "pipe: %s", strerror(errno));
	pid = fork();
	LIVE_CHECK(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		way_own_netns(NULL, NULL);
		go(result);
		_exit(write(ends[1], result, sizeof(*result)) != sizeof(*result));
	}
	close(ends[1]);
	LIVE_CHECK(read(ends[0], result, sizeof(*result)) == sizeof(*result) &&
			   waitpid(pid, &status, 0) == pid && !status,
		   "the child has not told its result");
	close(ends[0]);
}

void way_go(const void *arg, void *out)
{
	const struct way_try *try = arg;
	struct way_result *result = out;
	pthread_t thread;

	result->error = (int)try->number;
	if (try->who == BY_THREAD)
		LIVE_CHECK(!pthread_create(&thread, NULL, go, result) &&
				   !pthread_join(thread, NULL),
			   "pthread_create");
	else if (try->who == BY_CHILD)
		go_in_child(result);
	else
		go(result);
}

struct agentsh_ebpf_address way_remote(const struct way *way)
{
	struct agentsh_ebpf_address remote = {.port = way->port};

	remote.family = strchr(way->at, ':') ? AF_INET6 : AF_INET;
	LIVE_CHECK(inet_pton(remote.family, way->at, remote.addr) == 1, "%s", way->name);
	return remote;
}

uint8_t way_protocol(const struct way *way)
{
	if (way->type == SOCK_STREAM)
		return IPPROTO_TCP;
	return way->protocol == IPPROTO_UDP ? IPPROTO_UDP : AGENTSH_EBPF_RULE_OTHER_PROTOCOLS;
}
