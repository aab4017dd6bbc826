/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in6.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "source_routes.h"

#define NOBODY 65534
#define ROUTING_HEADER 43 /* IPPROTO_ROUTING, next header of IPv6 */

/* Of linux/ipv6.h, which cannot be included together with netinet/in.h. */
struct address6_request {
	struct in6_addr addr;
	uint32_t prefix;
	int ifindex;
};

static int capture; /* sees every packet of lo */

static struct connection_address address(enum connection_family family, unsigned int host)
{
	struct connection_address at = connection_loopback(family, 0);
	char text[INET6_ADDRSTRLEN];

	if (family == CONNECTION_V4) {
		at.sa.v4.sin_addr.s_addr = htonl(0x0a090000 | host);
		return at;
	}
	snprintf(text, sizeof(text), family == CONNECTION_V6 ? "2001:db8::%x" : "::ffff:10.9.0.%u",
		 host);
	inet_pton(AF_INET6, text, &at.sa.v6.sin6_addr);
	return at;
}

struct connection_address route_named(enum connection_family family)
{
	return address(family, 1);
}

struct connection_address route_hop(enum connection_family family)
{
	return address(family, 2);
}

struct connection_address route_other(enum connection_family family)
{
	return address(family, 3);
}

/* ---- the network -------------------------------------------------------- */

static void add_addresses(void)
{
	int fd4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned int host = 1; host <= 3; host++) {
		struct connection_address v4 = address(CONNECTION_V4, host);
		struct address6_request v6 = {
			.addr = address(CONNECTION_V6, host).sa.v6.sin6_addr,
			.prefix = 128,
			.ifindex = (int)if_nametoindex("lo"),
		};
		struct ifreq request = {0};

		snprintf(request.ifr_name, sizeof(request.ifr_name), "lo:%u", host);
		memcpy(&request.ifr_addr, &v4.sa, v4.size);
		LIVE_CHECK(!ioctl(fd4, SIOCSIFADDR, &request), "lo: %s", strerror(errno));
		LIVE_CHECK(!ioctl(fd6, SIOCSIFADDR, &v6), "lo: %s", strerror(errno));
	}
	close(fd4);
	close(fd6);
}

/* Until the kernel has checked an IPv6 address, which it does in the background, bind() fails. */
static void wait_for_addresses(void)
{
	for (unsigned int host = 1; host <= 3; host++) {
		struct connection_address at = address(CONNECTION_V6, host);
		int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), tries = 0;

		while (bind(fd, &at.sa.any, at.size) && tries++ < LIVE_DEADLINE_MS)
			usleep(1000);
		close(fd);
	}
}

void route_begin(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	live_own_netns(NULL, NULL);
	add_addresses();
	wait_for_addresses();
	/* The first hop, which is this machine too, passes the packets on to the address named. */
	connection_sysctl("net/ipv6/conf/all/seg6_enabled", "1");
	connection_sysctl("net/ipv6/conf/lo/seg6_enabled", "1");
	connection_sysctl("net/ipv4/conf/all/accept_source_route", "1");
	connection_sysctl("net/ipv4/conf/lo/accept_source_route", "1");
	capture = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	LIVE_CHECK(capture >= 0, "capture: %s", strerror(errno));
	LIVE_CHECK(!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) && !seteuid(NOBODY),
		   "seteuid: %s", strerror(errno));
}

/* Returns whether the packet goes to this port, and the destination in its IP header. */
static bool packet_to(const uint8_t *packet, uint16_t port, uint8_t destination[16])
{
	const uint8_t *transport = packet + 40;

	memset(destination, 0, 16);
	if (packet[0] >> 4 == 4) {
		memcpy(destination, packet + 16, 4);
		transport = packet + (packet[0] & 15) * 4;
	} else {
		memcpy(destination, packet + 24, 16);
		if (packet[6] == ROUTING_HEADER)
			transport += (transport[1] + 1) * 8;
	}
	return (transport[2] << 8 | transport[3]) == port;
}

/* Reads the packets that were sent since the last call. */
static void count_packets(struct route_result *result, enum connection_family family)
{
	struct connection_address hop = route_hop(family);
	uint8_t packet[2048], destination[16], expected[16] = {0};
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);

	if (family == CONNECTION_V4)
		memcpy(expected, &hop.sa.v4.sin_addr, 4);
	else if (family == CONNECTION_MAPPED)
		memcpy(expected, hop.sa.v6.sin6_addr.s6_addr + 12, 4);
	else
		memcpy(expected, &hop.sa.v6.sin6_addr, 16);
	while (recvfrom(capture, packet, sizeof(packet), 0, (void *)&from, &size) > 0) {
		if (from.sll_pkttype != PACKET_OUTGOING ||
		    !packet_to(packet, result->port, destination))
			continue;
		if (memcmp(destination, expected, 16) == 0)
			result->hop++;
		else
			result->elsewhere++;
	}
}

/* ---- routing headers and source routes ---------------------------------- */

/* Writes the routing header or the option; returns its size. */
static size_t build(enum route route, const struct connection_address *hop, uint8_t out[48])
{
	const uint8_t *v6 = hop->sa.v6.sin6_addr.s6_addr;
	const uint8_t *v4 =
		hop->sa.any.sa_family == AF_INET ? (void *)&hop->sa.v4.sin_addr : v6 + 12;
	struct connection_address other = route_other(CONNECTION_V6);

	memset(out, 0, 48);
	switch (route) {
	case ROUTE_SEGMENTS:
		/* next header, length, type, segments left, first segment; the kernel sets segment
		 * 0 */
		memcpy(out, (uint8_t[]){0, 4, 4, 1, 1}, 5);
		memcpy(out + 24, v6, 16);
		return 40;
	case ROUTE_SEGMENTS_LAST:
		memcpy(out, (uint8_t[]){0, 4, 4, 0, 1}, 5);
		memcpy(out + 8, v6, 16);
		memcpy(out + 24, &other.sa.v6.sin6_addr, 16);
		return 40;
	case ROUTE_MOBILE:
		memcpy(out, (uint8_t[]){0, 2, 2, 1}, 4);
		memcpy(out + 8, v6, 16);
		return 24;
	default: /* no operation, type, length, pointer */
		memcpy(out, (uint8_t[]){1, route == ROUTE_LOOSE ? 131 : 137, 7, 4}, 4);
		memcpy(out + 4, v4, 4);
		return 8;
	}
}

/* Ancillary data with the route. */
union ancillary {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(48)];
};

static size_t build_ancillary(const struct source_route *way, const struct connection_address *hop,
			      union ancillary *out)
{
	uint8_t data[48];
	size_t size = build(way->route, hop, data);
	bool v6 = way->family == CONNECTION_V6;

	memset(out, 0, sizeof(*out));
	out->header.cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	out->header.cmsg_type = v6 ? IPV6_RTHDR : IP_RETOPTS;
	out->header.cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(&out->header), data, size);
	return CMSG_SPACE(size);
}

/* A flow label carries options for the datagrams that name it. */
static int set_flow_label(int fd, const union ancillary *options, size_t size)
{
	struct {
		struct in6_flowlabel_req request;
		union ancillary options;
	} label = {
		.request = {.flr_action = IPV6_FL_A_GET,
			    .flr_share = IPV6_FL_S_EXCL,
			    .flr_flags = IPV6_FL_F_CREATE,
			    .flr_label = htonl(0x12345),
			    .flr_dst = route_named(CONNECTION_V6).sa.v6.sin6_addr},
		.options = *options,
	};

	if (setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &label,
		       (socklen_t)(sizeof(label.request) + size)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWINFO_SEND, &(int){1}, sizeof(int)))
		return errno;
	return 0;
}

int route_set(int fd, const struct source_route *way, const struct connection_address *hop)
{
	union ancillary ancillary;
	uint8_t data[48];
	size_t size = build(way->route, hop, data);
	int level = way->family == CONNECTION_V6 ? IPPROTO_IPV6 : IPPROTO_IP;
	int option = way->family == CONNECTION_V6 ? IPV6_RTHDR : IP_OPTIONS;

	if (way->by == BY_FLOW_LABEL)
		return set_flow_label(fd, &ancillary, build_ancillary(way, hop, &ancillary));
	if (way->by == BY_PKTOPTIONS) {
		size = build_ancillary(way, hop, &ancillary);
		return setsockopt(fd, level, IPV6_2292PKTOPTIONS, &ancillary, (socklen_t)size)
			       ? errno
			       : 0;
	}
	return setsockopt(fd, level, option, data, (socklen_t)size) ? errno : 0;
}

/* ---- the calls ---------------------------------------------------------- */

static bool talk(int fd, int listener)
{
	struct pollfd ready = {.fd = listener, .events = POLLIN};
	char byte = 'x';
	bool talked;
	int server;

	/* On the other machines of the kernel matrix, which are slow, this takes less than 1 s. */
	if (poll(&ready, 1, 5000) != 1)
		return false;
	server = accept(listener, NULL, NULL);
	talked = write(fd, &byte, 1) == 1 && read(server, &byte, 1) == 1 &&
		 write(server, &byte, 1) == 1 && read(fd, &byte, 1) == 1;
	connection_close_hard(server);
	return talked;
}

static int send_to(int fd, const struct source_route *way, struct connection_address to)
{
	struct connection_address hop = route_hop(way->family);
	struct iovec data = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {
		.msg_name = &to.sa, .msg_namelen = to.size, .msg_iov = &data, .msg_iovlen = 1};
	union ancillary ancillary;

	if (way->by == BY_FLOW_LABEL)
		to.sa.v6.sin6_flowinfo = htonl(0x12345);
	if (way->by == BY_MESSAGE) {
		message.msg_control = &ancillary;
		message.msg_controllen = build_ancillary(way, &hop, &ancillary);
	}
	return sendmsg(fd, &message, 0) == 1 ? 0 : errno;
}

/* Newer kernels allow a source route only with CAP_NET_RAW, and events must show that one, too. */
static int set(int fd, const struct source_route *way, struct route_result *result)
{
	struct connection_address hop = route_hop(way->family);
	int error = route_set(fd, way, &hop);

	if (error != EPERM)
		return error;
	result->privileged = true;
	LIVE_CHECK(!seteuid(0), "seteuid: %s", strerror(errno));
	return route_set(fd, way, &hop);
}

static int send_any(int fd, const struct source_route *way, const struct connection_address *to,
		    struct route_result *result)
{
	int error = send_to(fd, way, *to);

	if (error != EPERM)
		return error;
	result->privileged = true;
	LIVE_CHECK(!seteuid(0), "seteuid: %s", strerror(errno));
	return send_to(fd, way, *to);
}

/*
 * Whether the first hop forwards TCP: a receiver refuses headers of type 2 that it did not
 * ask for, and the kernel gives a looped IPv4 source route to no listener.
 */
static bool answers(const struct source_route *way)
{
	return way->route == ROUTE_SEGMENTS;
}

/* The peer, at the address that the calls name. */
static int open_peer(const struct source_route *way, struct connection_address *named)
{
	int type = way->call == ROUTE_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int fd = socket(named->sa.any.sa_family, type | SOCK_CLOEXEC, 0);

	LIVE_CHECK(!bind(fd, &named->sa.any, named->size) &&
			   (type == SOCK_DGRAM || !listen(fd, 1)) &&
			   !getsockname(fd, &named->sa.any, &named->size),
		   "%s: %s", way->name, strerror(errno));
	return fd;
}

/* Without an answer to expect, connect() must not wait. */
static int open_client(const struct source_route *way)
{
	int family = way->family == CONNECTION_V4 ? AF_INET : AF_INET6;

	if (way->call != ROUTE_TCP)
		return socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (way->by == BY_OPTION_LATE || answers(way))
		return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void route_take(const void *route, void *result_out)
{
	const struct source_route *way = route;
	struct route_result *result = result_out;
	struct connection_address named = route_named(way->family);
	int peer = open_peer(way, &named), fd = open_client(way);

	result->port =
		ntohs(way->family == CONNECTION_V4 ? named.sa.v4.sin_port : named.sa.v6.sin6_port);
	if (way->by != BY_OPTION_LATE && way->by != BY_MESSAGE)
		result->error = set(fd, way, result);
	if (!result->error && way->call != ROUTE_SENDTO)
		LIVE_CHECK(!connect(fd, &named.sa.any, named.size) || errno == EINPROGRESS,
			   "%s: connect: %s", way->name, strerror(errno));
	if (way->by == BY_OPTION_LATE) {
		count_packets(result, way->family);
		result->hop = result->elsewhere = 0;
		result->error = set(fd, way, result);
		/* The kernel looks the route up again after a change of TOS. */
		setsockopt(fd, IPPROTO_IP, IP_TOS, &(int){16}, sizeof(int));
	}
	if (!result->error && way->call == ROUTE_SENDTO)
		result->error = send_any(fd, way, &named, result);
	else if (!result->error && way->call == ROUTE_TCP && answers(way))
		result->talked = talk(fd, peer);
	else if (!result->error)
		(void)!send(fd, "x", 1, MSG_NOSIGNAL);
	count_packets(result, way->family);
	close(fd);
	close(peer);
}
