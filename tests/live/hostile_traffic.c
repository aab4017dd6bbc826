/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to fool what counts and reports packets, with datagram sockets of an ordinary process. */
#include <errno.h>
#include <linux/udp.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

#define CONNECT AGENTSH_EBPF_EVENT_CONNECT
#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define FIRST_DATA AGENTSH_EBPF_EVENT_FIRST_DATA
#define UDP_SEND AGENTSH_EBPF_EVENT_UDP_SEND
#define UNANNOUNCED AGENTSH_EBPF_EVENT_UNANNOUNCED
#define INBOUND AGENTSH_EBPF_FLAG_INBOUND
#define PORT 99

static int bound(struct connection_address *at)
{
	int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0);

	*at = connection_address("127.0.0.1", 0);
	LIVE_CHECK(!bind(fd, &at->sa.any, at->size) && !getsockname(fd, &at->sa.any, &at->size),
		   "bind: %s", strerror(errno));
	return fd;
}

/* A socket that sends one datagram of one byte to another, whose address is to. */
static void send_one(struct hostile_result *r, struct connection_address *from,
		     const struct connection_address *to)
{
	int fd = bound(from);
	struct hostile_want *w = hostile_expect(r, UDP_SEND, fd, to);

	hostile_sendto(fd, to);
	close(fd);
	hostile_expect_sent(r, w, 0, 1);
}

/*
 * The process sends itself a packet first, so that the flag of an inbound packet stands in the
 * events of what it sends then. connect() names the destination without the flag.
 */
static void be_inbound(struct hostile_result *r)
{
	struct connection_address at, peer, to = connection_address("127.0.0.3", PORT);
	int fd = bound(&at);
	struct hostile_want *w, *first;

	send_one(r, &peer, &at);
	first = hostile_expect_packet(r, fd, &peer, INBOUND);
	w = hostile_expect(r, UDP_SEND, fd, &to);
	w->is.want.flags |= INBOUND;
	hostile_expect_same(r, w, FIRST_DATA, 0);
	hostile_sendto(fd, &to);
	to = connection_address("127.0.0.4", PORT);
	w = hostile_expect(r, CONNECT, fd, &to);
	hostile_connect(fd, &to, 0);
	w = hostile_expect_same(r, w, FIRST_DATA, INBOUND);
	LIVE_CHECK(send(fd, "x", 1, 0) == 1, "send: %s", strerror(errno));
	close(fd);
	w = hostile_expect_same(r, w, CLOSED, 0);
	w->is.want.packets_sent = w->is.want.bytes_sent = 2;
	w->is.want.packets_received = w->is.want.bytes_received = 1;
	(void)first;
}

static void no_payload(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0);
	struct hostile_want *w = hostile_expect(r, UDP_SEND, fd, &to);

	LIVE_CHECK(!sendto(fd, "", 0, 0, &to.sa.any, to.size), "sendto: %s", strerror(errno));
	close(fd);
	hostile_expect_sent(r, w, 0, 1)->is.want.bytes_sent = 0;
}

/* Several calls make one packet; what is still held back when the socket is closed is not sent. */
static void cork(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);

	for (int pushed = 0; pushed < 2; pushed++) {
		int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0);
		struct hostile_want *w = hostile_expect(r, CONNECT, fd, &to);

		hostile_connect(fd, &to, 0);
		LIVE_CHECK(!setsockopt(fd, IPPROTO_UDP, UDP_CORK, &(int){1}, sizeof(int)),
			   "UDP_CORK: %s", strerror(errno));
		for (int i = 0; i < 3; i++)
			LIVE_CHECK(send(fd, "x", 1, 0) == 1, "send: %s", strerror(errno));
		if (pushed)
			LIVE_CHECK(!setsockopt(fd, IPPROTO_UDP, UDP_CORK, &(int){0}, sizeof(int)),
				   "UDP_CORK: %s", strerror(errno));
		close(fd);
		w = hostile_expect_sent(r, w, 0, (uint32_t)pushed);
		w->is.want.bytes_sent = pushed ? 3 : 0;
	}
}

/* What a socket with encapsulation takes for itself is not counted; the rest is. */
static void encapsulation(struct hostile_result *r)
{
	static const char keep_alive[] = {(char)0xff}, other[8] = {0};
	struct connection_address at, peer;
	int fd = bound(&at), sender = bound(&peer);
	struct hostile_want *w, *sent;

	if (setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &(int){UDP_ENCAP_ESPINUDP}, sizeof(int))) {
		hostile_absent(r, "UDP_ENCAP", errno);
		return;
	}
	sent = hostile_expect(r, UDP_SEND, sender, &at);
	w = hostile_expect_packet(r, fd, &peer, INBOUND);
	LIVE_CHECK(sendto(sender, keep_alive, 1, 0, &at.sa.any, at.size) == 1 &&
			   sendto(sender, other, 8, 0, &at.sa.any, at.size) == 8,
		   "sendto: %s", strerror(errno));
	r->deduplicated = 1;
	close(sender);
	close(fd);
	hostile_expect_sent(r, sent, 0, 2)->is.want.bytes_sent = 9;
	w = hostile_expect_same(r, w, CLOSED, 0);
	w->is.want.packets_received = 1;
	w->is.want.bytes_received = 8;
}

#define TABLE_ROOM 2

/* Sockets without room have no events of their packets, however many these are. */
static void full_table(struct hostile_result *r)
{
	struct connection_address to, at, peer;
	struct hostile_want *w[TABLE_ROOM];
	int held[TABLE_ROOM], fd;

	for (int i = 0; i < TABLE_ROOM; i++) {
		to = connection_address("127.0.0.1", (uint16_t)(PORT + i));
		held[i] = hostile_socket(AF_INET, SOCK_DGRAM, 0);
		w[i] = hostile_expect(r, CONNECT, held[i], &to);
		hostile_connect(held[i], &to, 0);
	}
	fd = bound(&at);
	hostile_expect(r, UDP_SEND, held[0], &at);
	for (int i = 0; i < 100; i++)
		hostile_sendto(held[0], &at);
	r->deduplicated = 99;
	r->untracked = 100; /* each packet that arrived */
	close(fd);
	w[0] = &r->want[r->count - 1];
	close(held[0]);
	hostile_expect_sent(r, w[0], 0, 100);
	close(held[1]);
	hostile_expect_same(r, w[1], CLOSED, 0);
	send_one(r, &peer, &to); /* there is room again */
}

#define MANY 300

/* Each socket has all of its events, and no more. */
static void many_sockets(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);

	(void)r;
	for (int i = 0; i < MANY; i++) {
		int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0);

		hostile_connect(fd, &to, 0);
		LIVE_CHECK(send(fd, "x", 1, 0) == 1, "send: %s", strerror(errno));
		close(fd);
	}
}

static uint32_t count_kind(uint32_t kind)
{
	uint32_t count = 0;

	for (size_t i = 0; i < live_seen.count; i++)
		count += live_seen.list[i].session_id == HOSTILE_SESSION &&
			 live_seen.list[i].kind == kind;
	return count;
}

static uint32_t check_many(const struct hostile_result *r)
{
	(void)r;
	CONNECTION_SAME(count_kind(CONNECT), MANY);
	CONNECTION_SAME(count_kind(FIRST_DATA), MANY);
	CONNECTION_SAME(count_kind(CLOSED), MANY);
	CONNECTION_SAME(count_kind(UNANNOUNCED), 0);
	return 3 * MANY;
}

#define GROUP 3
#define GROUP_PACKETS 12

/* Which socket of the group gets a packet, the kernel decides. */
static void reuse_port(struct hostile_result *r)
{
	struct connection_address at = connection_address("127.0.0.1", 0), peer;
	int fds[GROUP];

	for (int i = 0; i < GROUP; i++) {
		fds[i] = hostile_socket(AF_INET, SOCK_DGRAM, 0);
		LIVE_CHECK(!setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) &&
				   !bind(fds[i], &at.sa.any, at.size) &&
				   !getsockname(fds[i], &at.sa.any, &at.size),
			   "SO_REUSEPORT: %s", strerror(errno));
	}
	for (int i = 0; i < GROUP_PACKETS; i++)
		send_one(r, &peer, &at);
	for (int i = 0; i < GROUP; i++)
		close(fds[i]);
	r->count = 0;
}

static uint32_t check_group(const struct hostile_result *r)
{
	uint32_t members = count_kind(UNANNOUNCED), received = 0;

	(void)r;
	LIVE_CHECK(members >= 1 && members <= GROUP, "%u members", members);
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (e->session_id != HOSTILE_SESSION)
			continue;
		LIVE_CHECK(e->kind != UNANNOUNCED || e->flags & INBOUND, "flags 0x%x", e->flags);
		received += e->packets_received;
	}
	CONNECTION_SAME(received, GROUP_PACKETS);
	CONNECTION_SAME(count_kind(CLOSED), GROUP_PACKETS + members);
	return 3 * GROUP_PACKETS + 2 * members;
}

const struct hostile_way hostile_traffic[] = {
	{.name = "sending itself a packet first", .go = be_inbound},
	{.name = "a datagram without payload", .go = no_payload},
	{.name = "UDP_CORK", .go = cork},
	{.name = "UDP_ENCAP", .go = encapsulation},
	{.name = "packets of sockets without room", .go = full_table, .max_sockets = TABLE_ROOM},
	{.name = "many sockets that send", .go = many_sockets, .check = check_many},
	{.name = "SO_REUSEPORT", .go = reuse_port, .check = check_group},
};
const size_t hostile_traffic_count = LIVE_COUNT(hostile_traffic);
