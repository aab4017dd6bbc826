/* SPDX-License-Identifier: Apache-2.0 */
/* Datagram sockets of other protocols than UDP. */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "traffic_ways.h"

#ifndef SOL_UDPLITE
#define SOL_UDPLITE 136
#endif
#ifndef UDPLITE_SEND_CSCOV
#define UDPLITE_SEND_CSCOV 10
#endif

#define ECHOES 10

/* ---- ICMP ------------------------------------------------------------------ */

struct echo {
	uint8_t type, code;
	uint16_t checksum, id, number;
	uint8_t data[50];
};

static uint16_t checksum(const struct echo *e)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < sizeof(*e); i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)e + i, sizeof(word));
		sum += word;
	}
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void request(struct counted *c, int fd, const struct connection_address *to, uint16_t number)
{
	struct echo e = {.type = to->sa.any.sa_family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
			 .number = htons(number)};

	if (to->sa.any.sa_family == AF_INET)
		e.checksum = checksum(&e);
	LIVE_CHECK(sendto(fd, &e, sizeof(e), 0, &to->sa.any, to->size) == sizeof(e), "sendto: %s",
		   strerror(errno));
	counted_sent(c, fd, 1, sizeof(e));
}

/* Takes the IP headers out of the count, which a raw IPv4 socket delivers. */
static void echoes(struct counted *c, int fd, const char *to, bool own_requests, size_t header)
{
	struct connection_address at = connection_loopback(CONNECTION_V4, 0);
	uint32_t each = own_requests ? 2 : 1;

	if (!strcmp(to, "::1"))
		at = connection_loopback(CONNECTION_V6, 0);
	for (uint16_t i = 1; i <= ECHOES; i++) {
		request(c, fd, &at, i);
		counted_receive(c, fd, each * i);
	}
	counted_of(c, fd)->bytes_received -= (uint64_t)each * ECHOES * header;
}

/* A raw socket gets the request, too, which arrives at the same host. */
static void raw4(struct counted *c)
{
	int fd = counted_socket(c, "raw", AF_INET, SOCK_RAW, IPPROTO_ICMP);

	echoes(c, fd, "127.0.0.1", true, sizeof(struct iphdr));
}

static void raw6(struct counted *c)
{
	int fd = counted_socket(c, "raw", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);

	echoes(c, fd, "::1", true, 0);
}

static void ping(struct counted *c, int domain, int protocol, const char *to, bool connects)
{
	struct connection_address at =
		connection_loopback(domain == AF_INET ? CONNECTION_V4 : CONNECTION_V6, 0);
	int fd;

	LIVE_CHECK(connection_sysctl("net/ipv4/ping_group_range", "0 0"), "no ping_group_range");
	fd = counted_socket(c, "ping", domain, SOCK_DGRAM, protocol);
	if (connects)
		LIVE_CHECK(!connect(fd, &at.sa.any, at.size), "connect: %s", strerror(errno));
	echoes(c, fd, to, false, 0);
}

static void ping4(struct counted *c)
{
	ping(c, AF_INET, IPPROTO_ICMP, "127.0.0.1", false);
}

static void ping6(struct counted *c)
{
	ping(c, AF_INET6, IPPROTO_ICMPV6, "::1", false);
}

static void ping4_connected(struct counted *c)
{
	ping(c, AF_INET, IPPROTO_ICMP, "127.0.0.1", true);
}

/* ---- packets with a header of the process's own ----------------------------- */

/* The payload of a raw socket's packets follows the IP header, whoever has written it. */
static void own_header(struct counted *c)
{
	struct {
		struct iphdr ip;
		char data[60];
	} packet = {.ip = {.version = 4,
			   .ihl = 5,
			   .ttl = 64,
			   .protocol = 253, /* RFC 3692: for experiments */
			   .saddr = htonl(INADDR_LOOPBACK),
			   .daddr = htonl(INADDR_LOOPBACK)}};
	struct connection_address to = connection_loopback(CONNECTION_V4, 0);
	int receiver = counted_socket(c, "receiver", AF_INET, SOCK_RAW, 253);
	int fd = counted_socket(c, "IP_HDRINCL", AF_INET, SOCK_RAW, IPPROTO_RAW);

	for (uint32_t i = 1; i <= 5; i++) {
		LIVE_CHECK(sendto(fd, &packet, sizeof(packet), 0, &to.sa.any, to.size) ==
				   sizeof(packet),
			   "sendto: %s", strerror(errno));
		counted_sent(c, fd, 1, sizeof(packet.data));
		counted_receive(c, receiver, i);
	}
	counted_of(c, receiver)->bytes_received -= 5 * sizeof(packet.ip);
}

/* ---- UDP-Lite -------------------------------------------------------------- */

static void lite(struct counted *c, enum connection_family family, bool connects)
{
	struct connection_address at = connection_loopback(family, 0), from;
	int to = counted_try_socket(c, "server", at.sa.any.sa_family, SOCK_DGRAM, IPPROTO_UDPLITE);
	int fd;

	if (to < 0) { /* removed from newer kernels */
		LIVE_CHECK(errno == EPROTONOSUPPORT, "socket: %s", strerror(errno));
		counted_absent(c, "no UDP-Lite", errno);
		return;
	}
	fd = counted_socket(c, "client", at.sa.any.sa_family, SOCK_DGRAM, IPPROTO_UDPLITE);
	LIVE_CHECK(!bind(to, &at.sa.any, at.size) && !getsockname(to, &at.sa.any, &at.size) &&
			   !setsockopt(fd, SOL_UDPLITE, UDPLITE_SEND_CSCOV, &(int){8}, sizeof(int)),
		   "UDP-Lite: %s", strerror(errno));
	if (connects)
		LIVE_CHECK(!connect(fd, &at.sa.any, at.size), "connect: %s", strerror(errno));
	for (uint32_t i = 1; i <= 10; i++) {
		counted_send(c, fd, 100 * (i - 1), connects ? NULL : &at);
		LIVE_CHECK(counted_receive_one(c, to, &from, LIVE_DEADLINE_MS), "no request");
		counted_send(c, to, 7, &from);
		counted_receive(c, fd, i);
	}
}

static void lite4(struct counted *c)
{
	lite(c, CONNECTION_V4, false);
}

static void lite6(struct counted *c)
{
	lite(c, CONNECTION_V6, false);
}

static void lite4_connected(struct counted *c)
{
	lite(c, CONNECTION_V4, true);
}

const struct traffic_way traffic_protocols[] = {
	{.name = "ICMP by a raw socket", .go = raw4},
	{.name = "ICMPv6 by a raw socket", .go = raw6},
	{.name = "ICMP by a ping socket", .go = ping4},
	{.name = "ICMPv6 by a ping socket", .go = ping6},
	{.name = "ICMP by a connected ping socket", .go = ping4_connected},
	{.name = "IP_HDRINCL", .go = own_header},
	{.name = "UDP-Lite with IPv4", .go = lite4},
	{.name = "UDP-Lite with IPv6", .go = lite6},
	{.name = "connected UDP-Lite", .go = lite4_connected},
};
const size_t traffic_protocols_count = LIVE_COUNT(traffic_protocols);
