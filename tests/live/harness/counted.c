/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "counted.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static char data[65536];

void counted_absent(struct counted *c, const char *what, int error)
{
	snprintf(c->absent, sizeof(c->absent), "%s%s%s", what, error ? ": " : "",
		 error ? strerror(error) : "");
}

struct counts *counted_adopt(struct counted *c, const char *name, int fd)
{
	struct counts *s = &c->list[c->count];
	struct expectation t;

	LIVE_CHECK(c->count < COUNTED_MAX, "too many sockets");
	c->count++;
	memset(&t, 0, sizeof(t));
	expectation_socket(&t, fd);
	memset(s, 0, sizeof(*s));
	s->cookie = t.want.socket_cookie;
	s->fd = fd;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

int counted_try_socket(struct counted *c, const char *name, int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		counted_adopt(c, name, fd);
	return fd;
}

int counted_socket(struct counted *c, const char *name, int domain, int type, int protocol)
{
	int fd = counted_try_socket(c, name, domain, type, protocol);

	LIVE_CHECK(fd >= 0, "%s: socket: %s", name, strerror(errno));
	return fd;
}

int counted_bound(struct counted *c, const char *name, struct connection_address *at)
{
	int fd = counted_socket(c, name, at->sa.any.sa_family, SOCK_DGRAM, 0);

	LIVE_CHECK(!bind(fd, &at->sa.any, at->size) && !getsockname(fd, &at->sa.any, &at->size),
		   "%s: bind: %s", name, strerror(errno));
	return fd;
}

struct counts *counted_of(struct counted *c, int fd)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->list[i].fd == fd)
			return &c->list[i];
	LIVE_FAIL("descriptor %d is not counted", fd);
}

void counted_sent(struct counted *c, int fd, uint32_t packets, size_t bytes)
{
	struct counts *s = counted_of(c, fd);

	s->packets_sent += packets;
	s->bytes_sent += bytes;
}

static ssize_t send_to(int fd, size_t size, const struct connection_address *to)
{
	return sendto(fd, data, size, 0, to ? &to->sa.any : NULL, to ? to->size : 0);
}

void counted_send(struct counted *c, int fd, size_t size, const struct connection_address *to)
{
	LIVE_CHECK(send_to(fd, size, to) == (ssize_t)size, "%s: send of %zu bytes: %s",
		   counted_of(c, fd)->name, size, strerror(errno));
	counted_sent(c, fd, 1, size);
}

void counted_fail(struct counted *c, int fd, size_t size, const struct connection_address *to,
		  int error)
{
	for (int i = 0; i < 3; i++) {
		int is = send_to(fd, size, to) < 0 ? errno : 0;

		LIVE_CHECK(is == error, "%s: %s instead of %s", counted_of(c, fd)->name,
			   strerror(is), strerror(error));
	}
}

/* Bytes of each of the datagrams that the kernel has joined; 0: it is one. */
static size_t segment_size(struct msghdr *m)
{
	int size = 0;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(m); at; at = CMSG_NXTHDR(m, at))
		if (at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(at), sizeof(size));
	return (size_t)size;
}

bool counted_receive_one(struct counted *c, int fd, struct connection_address *from, int wait_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	struct counts *s = counted_of(c, fd);
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr m = {.msg_name = from ? &from->sa : NULL,
			   .msg_namelen = from ? sizeof(from->sa) : 0,
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control.space)};
	size_t segment;
	ssize_t n;

	if (poll(&ready, 1, wait_ms) <= 0)
		return false;
	n = recvmsg(fd, &m, MSG_DONTWAIT);
	LIVE_CHECK(n >= 0, "%s: recvmsg: %s", s->name, strerror(errno));
	if (from)
		from->size = m.msg_namelen;
	segment = segment_size(&m);
	s->packets_received += segment ? (uint32_t)(((size_t)n + segment - 1) / segment) : 1;
	s->bytes_received += (uint64_t)n;
	return true;
}

void counted_receive(struct counted *c, int fd, uint32_t packets)
{
	const struct counts *s = counted_of(c, fd);

	while (s->packets_received < packets)
		LIVE_CHECK(counted_receive_one(c, fd, NULL, LIVE_DEADLINE_MS),
			   "%s: %u of %u packets", s->name, s->packets_received, packets);
}

void counted_receive_rest(struct counted *c, int fd)
{
	while (counted_receive_one(c, fd, NULL, 0))
		;
}

void counted_close(struct counted *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		close(c->list[i].fd);
}

/* ---- comparison ----------------------------------------------------------- */

static void equal(const char *name, const struct counts *s, const char *what, uint64_t is,
		  uint64_t should)
{
	LIVE_CHECK(is == should, "%s: %s: %s is %llu, expected %llu", name, s->name, what,
		   (unsigned long long)is, (unsigned long long)should);
}

/* Returns the number of CLOSED events of the socket, at most one. */
static uint32_t expect_one(const char *name, const struct counts *s)
{
	const struct agentsh_ebpf_event *closed = NULL;

	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (e->socket_cookie != s->cookie)
			continue;
		LIVE_CHECK(!s->no_event, "%s: %s has an event: %s", name, s->name,
			   agentsh_ebpf_kind_name(e->kind));
		if (e->kind != AGENTSH_EBPF_EVENT_CLOSED)
			continue;
		LIVE_CHECK(!closed, "%s: %s was closed twice", name, s->name);
		closed = e;
	}
	if (s->no_event)
		return 0;
	LIVE_CHECK(closed, "%s: %s has no CLOSED", name, s->name);
	equal(name, s, "packets_sent", closed->packets_sent, s->packets_sent);
	equal(name, s, "bytes_sent", closed->bytes_sent, s->bytes_sent);
	equal(name, s, "packets_received", closed->packets_received, s->packets_received);
	equal(name, s, "bytes_received", closed->bytes_received, s->bytes_received);
	return 1;
}

void counted_drain(struct agentsh_ebpf_tracer *tracer, const struct counted *c)
{
	int64_t end = live_now_ms() + LIVE_DEADLINE_MS;
	size_t closed = 0;

	for (uint32_t i = 0; i < c->count; i++)
		closed += !c->list[i].no_event;
	live_drain(tracer);
	/* io_uring may keep a socket for longer than its process */
	while (connection_count(AGENTSH_EBPF_EVENT_CLOSED) < closed && live_now_ms() < end)
		LIVE_CHECK(agentsh_ebpf_poll(tracer, 100) >= 0, "poll failed");
}

void counted_expect(const char *name, const struct counted *c)
{
	size_t closed = 0;

	for (uint32_t i = 0; i < c->count; i++)
		closed += expect_one(name, &c->list[i]);
	LIVE_CHECK(closed == connection_count(AGENTSH_EBPF_EVENT_CLOSED),
		   "%s: CLOSED of an unknown socket", name);
}
