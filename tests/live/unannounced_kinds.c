/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <net/if.h>
#include <unistd.h>

#include "kernel.h"
#include "unannounced_kinds.h"

#define LITE SOCK_DGRAM, IPPROTO_UDPLITE
#define DCCP 6, 33 /* SOCK_DCCP, IPPROTO_DCCP */
#define PROTOCOL_L2TP 115
#define L2TP SOCK_DGRAM, PROTOCOL_L2TP
#define LOCAL_PORT 26400
#define REMOTE_PORT 26500
#define TEXT_SIZE 8

const struct unannounced_kind unannounced_kinds[] = {
	{"raw4 ICMP", AF_INET, SOCK_RAW, IPPROTO_ICMP, PAYLOAD_ECHO, false, false, NULL},
	{"raw4 ICMP, connected", AF_INET, SOCK_RAW, IPPROTO_ICMP, PAYLOAD_ECHO, true, false, NULL},
	{"raw4 UDP", AF_INET, SOCK_RAW, IPPROTO_UDP, PAYLOAD_UDP, false, false, NULL},
	{"raw4 UDP, connected", AF_INET, SOCK_RAW, IPPROTO_UDP, PAYLOAD_UDP, true, false, NULL},
	{"raw4 TCP", AF_INET, SOCK_RAW, IPPROTO_TCP, PAYLOAD_UDP, false, false, NULL},
	{"raw4 TCP, connected", AF_INET, SOCK_RAW, IPPROTO_TCP, PAYLOAD_UDP, true, false, NULL},
	{"raw4 with its own header", AF_INET, SOCK_RAW, IPPROTO_RAW, PAYLOAD_IP, false, false,
	 NULL},
	{"raw4 ICMP with its own header", AF_INET, SOCK_RAW, IPPROTO_ICMP, PAYLOAD_IP, true, false,
	 NULL},
	{"raw6 ICMP", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, PAYLOAD_ECHO, false, false, NULL},
	{"raw6 UDP", AF_INET6, SOCK_RAW, IPPROTO_UDP, PAYLOAD_UDP, false, false, NULL},
	{"raw6 UDP, connected", AF_INET6, SOCK_RAW, IPPROTO_UDP, PAYLOAD_UDP, true, false, NULL},
	{"raw6 TCP", AF_INET6, SOCK_RAW, IPPROTO_TCP, PAYLOAD_UDP, false, false, NULL},
	{"raw6 with its own header", AF_INET6, SOCK_RAW, IPPROTO_RAW, PAYLOAD_IP, false, false,
	 NULL},
	{"ping4", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, PAYLOAD_ECHO, false, false, NULL},
	{"ping6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, PAYLOAD_ECHO, false, false, NULL},
	{"UDP-Lite4", AF_INET, LITE, PAYLOAD_TEXT, true, true, "UDP-Lite"},
	{"UDP-Lite6", AF_INET6, LITE, PAYLOAD_TEXT, true, true, "UDPLITEv6"},
	{"SCTP4", AF_INET, SOCK_STREAM, IPPROTO_SCTP, PAYLOAD_TEXT, true, true, "SCTP"},
	{"SCTP6", AF_INET6, SOCK_STREAM, IPPROTO_SCTP, PAYLOAD_TEXT, true, true, "SCTPv6"},
	{"SCTP4, one to many", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, PAYLOAD_TEXT, false, true,
	 "SCTP"},
	{"DCCP4", AF_INET, DCCP, PAYLOAD_TEXT, true, true, "DCCP"},
	{"DCCP6", AF_INET6, DCCP, PAYLOAD_TEXT, true, true, "DCCPv6"},
	{"L2TP4", AF_INET, L2TP, PAYLOAD_TEXT, false, false, "L2TP/IP"},
	{"L2TP6", AF_INET6, L2TP, PAYLOAD_TEXT, false, false, "L2TP/IPv6"},
};
const size_t unannounced_kinds_count = LIVE_COUNT(unannounced_kinds);

/* ---- addresses ------------------------------------------------------------ */

/* The two ends differ, so that a swap is found. */
static struct connection_address address(const struct unannounced_kind *k, bool remote)
{
	struct connection_address a;

	memset(&a, 0, sizeof(a));
	if (k->domain == AF_INET) {
		a.size = sizeof(a.sa.v4);
		a.sa.v4.sin_family = AF_INET;
		a.sa.v4.sin_addr.s_addr = htonl(remote ? 0x7f000009 : 0x7f000007);
	} else {
		a.size = sizeof(a.sa.v6);
		a.sa.v6.sin6_family = AF_INET6;
		inet_pton(AF_INET6, remote && k->protocol != IPPROTO_SCTP ? "fd77::9" : "::1",
			  &a.sa.v6.sin6_addr);
	}
	if (k->ports)
		a.sa.v4.sin_port = htons(remote ? REMOTE_PORT : LOCAL_PORT);
	return a;
}

/* A thread of the kernel completes the address: waits until a packet arrives there. */
static void wait_for_remote6(void)
{
	const struct connection_address at = {
		.sa.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(REMOTE_PORT)},
		.size = sizeof(at.sa.v6),
	};
	struct connection_address to = at;
	int fd = unannounced_outside(AF_INET6, SOCK_DGRAM, 0);
	struct pollfd arrival = {.fd = fd, .events = POLLIN};
	const int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	inet_pton(AF_INET6, "fd77::9", &to.sa.v6.sin6_addr);
	LIVE_CHECK(!bind(fd, &at.sa.any, at.size), "bind: %s", strerror(errno));
	do {
		LIVE_CHECK(live_now_ms() < end, "fd77::9 does not answer");
		sendto(fd, "x", 1, 0, &to.sa.any, to.size);
	} while (poll(&arrival, 1, 10) != 1);
	close(fd);
}

static void add_remote6(void)
{
	struct in6_ifreq request = {.ifr6_prefixlen = 128,
				    .ifr6_ifindex = (int)if_nametoindex("lo")};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET6, "fd77::9", &request.ifr6_addr);
	LIVE_CHECK(fd >= 0 && (!ioctl(fd, SIOCSIFADDR, &request) || errno == EEXIST), "fd77::9: %s",
		   strerror(errno));
	close(fd);
	wait_for_remote6();
}

/* ---- packets ---------------------------------------------------------------- */

/* Writes a UDP header and TEXT_SIZE bytes, too few for a TCP header; returns the size. */
static size_t put_udp(char *to)
{
	const struct udphdr udp = {
		.source = htons(LOCAL_PORT),
		.dest = htons(REMOTE_PORT),
		.len = htons(sizeof(udp) + TEXT_SIZE),
	};

	memcpy(to, &udp, sizeof(udp));
	return sizeof(udp) + TEXT_SIZE;
}

/* Writes a whole packet. */
static size_t put_ip(const struct unannounced_kind *k, char *to)
{
	const struct connection_address from = address(k, false), at = address(k, true);

	if (k->domain == AF_INET) {
		const struct iphdr ip = {
			.version = 4,
			.ihl = 5,
			.ttl = 9,
			.protocol = IPPROTO_UDP,
			.saddr = from.sa.v4.sin_addr.s_addr,
			.daddr = at.sa.v4.sin_addr.s_addr,
		};

		memcpy(to, &ip, sizeof(ip));
		return sizeof(ip) + put_udp(to + sizeof(ip));
	}
	{
		struct ip6_hdr ip;

		memset(&ip, 0, sizeof(ip));
		ip.ip6_vfc = 6 << 4;
		ip.ip6_plen = htons(sizeof(struct udphdr) + TEXT_SIZE);
		ip.ip6_nxt = IPPROTO_UDP;
		ip.ip6_hlim = 9;
		ip.ip6_src = from.sa.v6.sin6_addr;
		ip.ip6_dst = at.sa.v6.sin6_addr;
		memcpy(to, &ip, sizeof(ip));
		return sizeof(ip) + put_udp(to + sizeof(ip));
	}
}

static size_t put(const struct unannounced_kind *k, char to[128])
{
	memset(to, 0, 128);
	switch (k->payload) {
	case PAYLOAD_ECHO:
		to[0] = (char)(k->domain == AF_INET ? 8 : 128);
		return TEXT_SIZE;
	case PAYLOAD_UDP:
		return put_udp(to);
	case PAYLOAD_IP:
		return put_ip(k, to);
	default:
		return TEXT_SIZE;
	}
}

/* ---- sockets ---------------------------------------------------------------- */

static int make(const struct unannounced_kind *k, struct unannounced_sent *sent)
{
	const struct connection_address from = address(k, false);
	int fd = socket(k->domain, k->type | SOCK_CLOEXEC, k->protocol);
	struct {
		struct connection_address at;
		char more[8]; /* struct sockaddr_l2tpip6 is longer */
	} padded = {.at = from};

	if (fd < 0) {
		LIVE_CHECK(k->protocol_name && !kernel_lists(k->protocol_name), "%s: socket: %s",
			   k->name, strerror(errno));
		snprintf(sent->absent, sizeof(sent->absent), "the kernel has no such protocol");
		return -1;
	}
	if (k->payload == PAYLOAD_IP && k->domain == AF_INET)
		LIVE_CHECK(!setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &(int){1}, sizeof(int)),
			   "IP_HDRINCL: %s", strerror(errno));
	else if (k->payload != PAYLOAD_IP)
		LIVE_CHECK(!bind(fd, (const void *)&padded,
				 k->protocol != PROTOCOL_L2TP ? from.size
				 : k->domain == AF_INET	      ? 16
							      : 32),
			   "%s: bind: %s", k->name, strerror(errno));
	if (k->type == SOCK_RAW && k->protocol == IPPROTO_ICMPV6) {
		struct icmp6_filter nothing; /* the kernel sends messages of its own, too */

		ICMP6_FILTER_SETBLOCKALL(&nothing);
		LIVE_CHECK(!setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &nothing, sizeof(nothing)),
			   "ICMP6_FILTER: %s", strerror(errno));
	}
	return fd;
}

/* A stream socket sends by itself, and nobody answers. */
static bool is_datagram(const struct unannounced_kind *k)
{
	return k->type == SOCK_RAW || k->type == SOCK_DGRAM;
}

static void send_one(const struct unannounced_kind *k, int fd, const struct connection_address *to)
{
	char packet[128];
	size_t size = put(k, packet);
	ssize_t n;

	do { /* an earlier packet may have been answered by an ICMP error */
		n = k->connects ? send(fd, packet, size, 0)
				: sendto(fd, packet, size, 0, &to->sa.any, to->size);
	} while (n < 0 && errno == ECONNREFUSED);
	LIVE_CHECK(n == (ssize_t)size || !is_datagram(k), "%s: send: %s", k->name, strerror(errno));
}

void unannounced_send(const void *number, void *out)
{
	const struct unannounced_kind *k = &unannounced_kinds[*(const size_t *)number];
	const struct connection_address from = address(k, false), to = address(k, true);
	struct connection_address ends[2] = {from, to};
	struct unannounced_sent *sent = out;
	struct expectation *want;
	char packet[128];
	int fd;

	if (k->domain == AF_INET6)
		add_remote6();
	fd = make(k, sent);
	if (fd < 0)
		return;
	if (k->payload == PAYLOAD_UDP || k->payload == PAYLOAD_IP) {
		ends[0].sa.v4.sin_port = htons(LOCAL_PORT);
		ends[1].sa.v4.sin_port = htons(REMOTE_PORT);
	}
	if (is_datagram(k)) {
		sent->packets = UNANNOUNCED_PACKETS;
		sent->bytes = (uint32_t)put(k, packet);
		if (k->protocol == PROTOCOL_L2TP)
			sent->bytes += 4; /* the number of the session */
	}
	want = unannounced_expect(&sent->list, k->name, fd, 0);
	unannounced_local(want, &ends[0]);
	unannounced_remote(want, &ends[1]);
	if (k->connects)
		LIVE_CHECK(!connect(fd, &to.sa.any, to.size) || !is_datagram(k), "%s: connect: %s",
			   k->name, strerror(errno));
	for (int i = 0; i < UNANNOUNCED_PACKETS && (is_datagram(k) || !k->connects); i++)
		send_one(k, fd, &to);
	unannounced_passed(&sent->list);
	sent->closed_ns[0] = connection_now();
	close(fd);
	sent->closed_ns[1] = connection_now();
}
