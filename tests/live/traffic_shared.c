/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of several processes, and receive buffers without room. */
#include <errno.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "traffic_ways.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

#define SENDERS 2
#define EACH 20000
#define AHEAD 100 /* so that the receive buffer always has room */

static int wait_for(pid_t pid)
{
	int status = -1;

	LIVE_CHECK(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
	return status;
}

static pid_t child(void)
{
	pid_t pid = fork();

	LIVE_CHECK(pid >= 0, "fork: %s", strerror(errno));
	return pid;
}

/* Two processes send at the same time on one socket, never far ahead of the receiver. */
static void send_ahead(int fd, const struct connection_address *to, _Atomic uint32_t *received,
		       _Atomic uint32_t *sent)
{
	for (uint32_t i = 0; i < EACH; i++) {
		while (*sent - *received > AHEAD)
			sched_yield();
		++*sent;
		if (sendto(fd, (char[40]){0}, i % 40, 0, &to->sa.any, to->size) != i % 40)
			_exit(1);
	}
	_exit(0);
}

static void at_the_same_time(struct counted *c, enum connection_family family)
{
	struct connection_address at = connection_loopback(family, 0);
	int to = counted_bound(c, "receiver", &at);
	int fd = counted_socket(c, "shared", at.sa.any.sa_family, SOCK_DGRAM, 0);
	_Atomic uint32_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[SENDERS];

	LIVE_CHECK(shared != MAP_FAILED, "mmap: %s", strerror(errno));
	for (int i = 0; i < SENDERS; i++) {
		pids[i] = child();
		if (!pids[i])
			send_ahead(fd, &at, &shared[0], &shared[1]);
	}
	while (counted_of(c, to)->packets_received < SENDERS * EACH) {
		LIVE_CHECK(counted_receive_one(c, to, NULL, LIVE_DEADLINE_MS), "%u of %u",
			   counted_of(c, to)->packets_received, SENDERS * EACH);
		shared[0] = counted_of(c, to)->packets_received;
	}
	for (int i = 0; i < SENDERS; i++) {
		LIVE_CHECK(!wait_for(pids[i]), "a sender failed");
		counted_sent(c, fd, EACH, EACH / 40 * (39 * 40 / 2));
	}
	munmap((void *)shared, 4096);
}

static void at_the_same_time4(struct counted *c)
{
	at_the_same_time(c, CONNECTION_V4);
}

static void at_the_same_time6(struct counted *c)
{
	at_the_same_time(c, CONNECTION_V6);
}

/* The child closes the socket last. */
static void inherited(struct counted *c)
{
	struct connection_address at = connection_loopback(CONNECTION_V4, 0);
	int to = counted_bound(c, "receiver", &at);
	int fd = counted_socket(c, "inherited", AF_INET, SOCK_DGRAM, 0), gate[2];
	char byte;
	pid_t pid;

	counted_send(c, fd, 10, &at);
	LIVE_CHECK(!pipe(gate), "pipe: %s", strerror(errno));
	pid = child();
	if (!pid) {
		close(gate[1]);
		(void)!read(gate[0], &byte, 1); /* until the parent has closed the socket */
		_exit(sendto(fd, "abc", 3, 0, &at.sa.any, at.size) != 3);
	}
	close(gate[0]);
	close(fd);
	counted_of(c, fd)->fd = -1;
	close(gate[1]);
	LIVE_CHECK(!wait_for(pid), "the child failed");
	counted_of(c, -1)->packets_sent++;
	counted_of(c, -1)->bytes_sent += 3;
	counted_receive(c, to, 2);
}

/* Number of datagrams for which the socket had no room. */
static uint32_t dropped(int fd)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t size = sizeof(info);

	LIVE_CHECK(!getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size), "SO_MEMINFO: %s",
		   strerror(errno));
	return info[SK_MEMINFO_DROPS];
}

/* What found no room has arrived at the socket all the same. */
static void overflow(struct counted *c)
{
	struct connection_address at = connection_loopback(CONNECTION_V4, 0);
	int to = counted_bound(c, "receiver", &at),
	    fd = counted_socket(c, "sender", AF_INET, SOCK_DGRAM, 0);
	struct counts *s = counted_of(c, to);
	uint32_t drops;

	LIVE_CHECK(!setsockopt(to, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int)),
		   "SO_RCVBUF: %s", strerror(errno));
	for (int i = 0; i < 1000; i++) {
		counted_send(c, fd, 1000, &at);
		if (i % 100 == 99) /* the kernel delivers before sendto() returns, or soon after */
			while (counted_receive_one(c, to, NULL, 0) ||
			       s->packets_received + dropped(to) < (uint32_t)i + 1)
				sched_yield();
	}
	drops = dropped(to);
	LIVE_CHECK(drops, "the receive buffer had room for everything");
	s->packets_received += drops;
	s->bytes_received += drops * 1000UL;
}

/* A process that never reads does not hide what it got. */
static void unread(struct counted *c)
{
	struct connection_address at = connection_loopback(CONNECTION_V6, 0);
	int to = counted_bound(c, "receiver", &at);
	int fd = counted_socket(c, "sender", AF_INET6, SOCK_DGRAM, 0);
	struct pollfd ready = {.fd = to, .events = POLLIN};

	counted_send(c, fd, 333, &at);
	LIVE_CHECK(poll(&ready, 1, LIVE_DEADLINE_MS) == 1, "nothing arrives");
	counted_of(c, to)->packets_received = 1;
	counted_of(c, to)->bytes_received = 333;
}

const struct traffic_way traffic_shared[] = {
	{.name = "two processes send at the same time with IPv4", .go = at_the_same_time4},
	{.name = "two processes send at the same time with IPv6", .go = at_the_same_time6},
	{.name = "a socket that a child has inherited", .go = inherited},
	{.name = "a receive buffer without room", .go = overflow},
	{.name = "a datagram that is never read", .go = unread},
};
const size_t traffic_shared_count = LIVE_COUNT(traffic_shared);
