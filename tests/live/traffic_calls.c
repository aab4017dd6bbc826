/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that send, on the loopback interface. */
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#include "io_uring_ops.h"
#include "traffic_ways.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static int client(struct counted *c, enum connection_family family)
{
	return counted_socket(c, "client", family == CONNECTION_V4 ? AF_INET : AF_INET6, SOCK_DGRAM,
			      0);
}

static int server(struct counted *c, enum connection_family family, struct connection_address *at)
{
	*at = connection_loopback(family, 0);
	return counted_bound(c, "server", at);
}

static void set(int fd, int level, int option, int value)
{
	LIVE_CHECK(!setsockopt(fd, level, option, &value, sizeof(value)), "setsockopt %d: %s",
		   option, strerror(errno));
}

/* ---- one datagram a call -------------------------------------------------- */

/* Requests of all sizes, also 0, and longer answers. */
static void converse(struct counted *c, enum connection_family family, bool connected)
{
	static const size_t sizes[] = {0, 1, 17, 1400, 0, 9000, 60000};
	struct connection_address at, from;
	int to = server(c, family, &at), fd = client(c, family);

	if (connected)
		LIVE_CHECK(!connect(fd, &at.sa.any, at.size), "connect: %s", strerror(errno));
	for (uint32_t i = 0; i < 10 * LIVE_COUNT(sizes); i++) {
		size_t size = sizes[i % LIVE_COUNT(sizes)];

		counted_send(c, fd, size, connected ? NULL : &at);
		LIVE_CHECK(counted_receive_one(c, to, &from, LIVE_DEADLINE_MS), "no request");
		counted_send(c, to, size + 3, &from);
		counted_receive(c, fd, i + 1);
	}
}

static void sendto4(struct counted *c)
{
	converse(c, CONNECTION_V4, false);
}

static void sendto6(struct counted *c)
{
	converse(c, CONNECTION_V6, false);
}

static void sendto_mapped(struct counted *c)
{
	converse(c, CONNECTION_MAPPED, false);
}

static void send4(struct counted *c)
{
	converse(c, CONNECTION_V4, true);
}

static void send6(struct counted *c)
{
	converse(c, CONNECTION_V6, true);
}

static void send_mapped(struct counted *c)
{
	converse(c, CONNECTION_MAPPED, true);
}

/* ---- several calls or several datagrams ------------------------------------ */

static void more(struct counted *c, enum connection_family family)
{
	struct connection_address at;
	int to = server(c, family, &at), fd = client(c, family);

	for (int i = 0; i < 3; i++)
		LIVE_CHECK(sendto(fd, "abcd", 4, i < 2 ? MSG_MORE : 0, &at.sa.any, at.size) == 4,
			   "MSG_MORE: %s", strerror(errno));
	counted_sent(c, fd, 1, 12);
	LIVE_CHECK(!connect(fd, &at.sa.any, at.size), "connect: %s", strerror(errno));
	set(fd, IPPROTO_UDP, UDP_CORK, 1);
	for (int i = 0; i < 5; i++)
		LIVE_CHECK(send(fd, "abcd", 4, 0) == 4, "UDP_CORK: %s", strerror(errno));
	set(fd, IPPROTO_UDP, UDP_CORK, 0);
	counted_sent(c, fd, 1, 20);
	/* what is corked at the end is never sent */
	LIVE_CHECK(send(fd, "abcd", 4, MSG_MORE) == 4, "MSG_MORE: %s", strerror(errno));
	counted_receive(c, to, 2);
}

static void more4(struct counted *c)
{
	more(c, CONNECTION_V4);
}

static void more6(struct counted *c)
{
	more(c, CONNECTION_V6);
}

static void send_many(struct counted *c)
{
	struct connection_address at;
	int to = server(c, CONNECTION_V6, &at), fd = client(c, CONNECTION_V6);
	struct iovec iov = {.iov_base = (char[100]){0}, .iov_len = 100};
	struct mmsghdr messages[20];

	memset(messages, 0, sizeof(messages));
	for (size_t i = 0; i < LIVE_COUNT(messages); i++)
		messages[i].msg_hdr = (struct msghdr){.msg_name = &at.sa,
						      .msg_namelen = at.size,
						      .msg_iov = &iov,
						      .msg_iovlen = i % 3 ? 1 : 0};
	LIVE_CHECK(sendmmsg(fd, messages, LIVE_COUNT(messages), 0) == LIVE_COUNT(messages),
		   "sendmmsg: %s", strerror(errno));
	counted_sent(c, fd, 20, 13 * 100UL);
	counted_receive(c, to, 20);
}

static void by_uring(struct counted *c, enum uring_how how)
{
	struct connection_address at;
	int to = server(c, CONNECTION_V4, &at), fd = client(c, CONNECTION_V4);
	struct iovec iov = {.iov_base = (char[100]){0}, .iov_len = 100};
	const struct msghdr message = {
		.msg_name = &at.sa, .msg_namelen = at.size, .msg_iov = &iov, .msg_iovlen = 1};

	for (int i = 0; i < 5; i++) {
		int result = uring_sendmsg(how, fd, &message);

		if (result == URING_ABSENT) {
			counted_absent(c, "no io_uring", 0);
			return;
		}
		LIVE_CHECK(result == 100, "io_uring: %s", strerror(-result));
		counted_sent(c, fd, 1, 100);
	}
	counted_receive(c, to, 5);
}

static void uring_inline(struct counted *c)
{
	by_uring(c, URING_INLINE);
}

static void uring_worker(struct counted *c)
{
	by_uring(c, URING_WORKER);
}

static void uring_polled(struct counted *c)
{
	by_uring(c, URING_POLLED);
}

/* ---- UDP_SEGMENT and UDP_GRO ----------------------------------------------- */

static void send_segments(struct counted *c, int fd, size_t size, size_t segment, bool by_message)
{
	static char payload[65536];
	uint16_t size16 = (uint16_t)segment;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(size16))];
	} control = {.align = {.cmsg_level = SOL_UDP,
			       .cmsg_type = UDP_SEGMENT,
			       .cmsg_len = CMSG_LEN(sizeof(size16))}};
	struct iovec iov = {.iov_base = payload, .iov_len = size};
	const struct msghdr m = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = by_message ? &control : NULL,
				 .msg_controllen = by_message ? sizeof(control.space) : 0};

	memcpy(CMSG_DATA(&control.align), &size16, sizeof(size16));
	set(fd, SOL_UDP, UDP_SEGMENT, by_message ? 0 : (int)segment);
	LIVE_CHECK(sendmsg(fd, &m, 0) == (ssize_t)size, "UDP_SEGMENT: %s", strerror(errno));
	counted_sent(c, fd, (uint32_t)((size + segment - 1) / segment), size);
}

/* One send of 40 datagrams, and others whose last datagram is short or the only one. */
static void segments(struct counted *c, enum connection_family family, bool joined)
{
	static const struct {
		size_t size, segment;
	} sends[] = {{40000, 1000}, {39001, 1000}, {1000, 1000}, {999, 1000},
		     {1001, 1000},  {60, 1},	   {0, 1000},	 {60000, 1400}};
	struct connection_address at;
	int to = server(c, family, &at), fd = client(c, family);

	if (joined)
		set(to, SOL_UDP, UDP_GRO, 1);
	LIVE_CHECK(!connect(fd, &at.sa.any, at.size), "connect: %s", strerror(errno));
	for (size_t i = 0; i < 2 * LIVE_COUNT(sends); i++) {
		if (!sends[i / 2].size)
			counted_send(c, fd, 0, NULL);
		else
			send_segments(c, fd, sends[i / 2].size, sends[i / 2].segment, i % 2);
		counted_receive(c, to, counted_of(c, fd)->packets_sent);
	}
}

static void segments4(struct counted *c)
{
	segments(c, CONNECTION_V4, false);
}

static void segments6(struct counted *c)
{
	segments(c, CONNECTION_V6, false);
}

static void segments_mapped(struct counted *c)
{
	segments(c, CONNECTION_MAPPED, false);
}

static void joined4(struct counted *c)
{
	segments(c, CONNECTION_V4, true);
}

static void joined6(struct counted *c)
{
	segments(c, CONNECTION_V6, true);
}

const struct traffic_way traffic_calls[] = {
	{.name = "sendto() with IPv4", .go = sendto4},
	{.name = "sendto() with IPv6", .go = sendto6},
	{.name = "sendto() with a mapped address", .go = sendto_mapped},
	{.name = "connect() and send() with IPv4", .go = send4},
	{.name = "connect() and send() with IPv6", .go = send6},
	{.name = "connect() and send() with a mapped address", .go = send_mapped},
	{.name = "MSG_MORE and UDP_CORK with IPv4", .go = more4},
	{.name = "MSG_MORE and UDP_CORK with IPv6", .go = more6},
	{.name = "sendmmsg()", .go = send_many},
	{.name = "io_uring", .go = uring_inline},
	{.name = "io_uring with IOSQE_ASYNC", .go = uring_worker},
	{.name = "io_uring with IORING_SETUP_SQPOLL", .go = uring_polled},
	{.name = "UDP_SEGMENT with IPv4", .go = segments4},
	{.name = "UDP_SEGMENT with IPv6", .go = segments6},
	{.name = "UDP_SEGMENT with a mapped address", .go = segments_mapped},
	{.name = "UDP_SEGMENT to UDP_GRO with IPv4", .go = joined4},
	{.name = "UDP_SEGMENT to UDP_GRO with IPv6", .go = joined6},
};
const size_t traffic_calls_count = LIVE_COUNT(traffic_calls);
