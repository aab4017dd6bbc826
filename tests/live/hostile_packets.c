/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets with headers that the process writes itself, in namespaces of its own, where it has
 * CAP_NET_RAW and no way out. Each socket is reported once, with the ends of its first packet,
 * as far as the headers tell them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/udp.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define PORT 99

/* How the packet differs from an orderly UDP datagram. */
struct odd4 {
	const char *name;
	uint8_t header_words;
	uint16_t fragment; /* as in the header, host order */
	size_t size;	   /* of the whole packet */
	uint16_t port;	   /* that the event names */
};

static const struct odd4 odd4[] = {
	{"no header length", 0, 0, 36, PORT},
	{"a header length of 4", 1, 0, 36, PORT},
	{"a header length of 16", 4, 0, 36, PORT},
	{"a first fragment", 5, IP_MF, 36, PORT},
	{"a later fragment", 5, 1, 36, 0},
	{"a last fragment far behind", 5, 0x1fff, 36, 0},
	{"no transport header", 5, 0, 20, 0},
	{"half a transport header", 5, 0, 23, 0},
	{"a header as long as the packet", 9, 0, 36, 0},
};

static int raw_socket(int domain)
{
	return hostile_socket(domain, SOCK_RAW, IPPROTO_RAW);
}

/* Sends it twice, with different ends: only the first is reported. */
static void send_odd4(struct hostile_result *r, const struct odd4 *odd)
{
	struct connection_address to = connection_address("127.0.0.1", 0), seen;
	int fd = raw_socket(AF_INET);
	struct hostile_want *w;
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char data[8];
	} packet;

	memset(&packet, 0, sizeof(packet));
	packet.ip.version = 4;
	packet.ip.ihl = odd->header_words & 0xf;
	packet.ip.frag_off = htons(odd->fragment);
	packet.ip.ttl = 1;
	packet.ip.protocol = IPPROTO_UDP;
	packet.ip.tot_len = htons((uint16_t)odd->size);
	packet.ip.saddr = htonl(0x7f111111);
	packet.ip.daddr = htonl(0x7f222222);
	packet.udp.source = packet.udp.dest = htons(PORT);
	packet.udp.len = htons(16);
	seen = connection_address("127.34.34.34", odd->port);
	w = hostile_expect_packet(r, fd, &seen, 0);
	for (int i = 0; i < 2; i++) {
		if (sendto(fd, &packet, odd->size, 0, &to.sa.any, to.size) < 0) {
			/* newer kernels refuse such a packet */
			LIVE_CHECK(errno == EINVAL && odd->header_words < 5, "%s: %s", odd->name,
				   strerror(errno));
			r->count--;
			close(fd);
			return;
		}
		packet.ip.daddr = htonl(0x7f333333);
	}
	close(fd);
	hostile_expect_same(r, w, CLOSED, 0)->free |= HOSTILE_ANY_COUNT;
}

static void headers4(struct hostile_result *r)
{
	if (!hostile_own_namespaces(r, "raw sockets"))
		return;
	for (size_t i = 0; i < LIVE_COUNT(odd4); i++)
		send_odd4(r, &odd4[i]);
}

struct odd6 {
	const char *name;
	int headers;	    /* number of extension headers, of 8 bytes each */
	uint8_t type;	    /* of the extension headers */
	uint8_t last_words; /* length of the last one, which may be too long */
	bool cut;	    /* the packet ends within the last one */
	uint16_t port;
};

static const struct odd6 odd6[] = {
	{"one extension", 1, IPPROTO_DSTOPTS, 0, false, PORT},
	{"eight extensions", 8, IPPROTO_DSTOPTS, 0, false, PORT},
	{"40 extensions", 40, IPPROTO_DSTOPTS, 0, false, 0},
	{"an extension that is cut", 3, IPPROTO_DSTOPTS, 0, true, 0},
	{"an extension longer than the packet", 1, IPPROTO_DSTOPTS, 255, false, 0},
	{"a routing header", 1, IPPROTO_ROUTING, 0, false, PORT},
};

static void send_odd6(struct hostile_result *r, const struct odd6 *odd)
{
	struct connection_address to = connection_address("::1", 0);
	struct connection_address seen = connection_address("::1", odd->port);
	size_t size = sizeof(struct ip6_hdr);
	char packet[512] = {0};
	struct ip6_hdr ip;
	const struct udphdr udp = {
		.source = htons(PORT), .dest = htons(PORT), .len = htons(sizeof(udp))};
	int fd = raw_socket(AF_INET6);
	struct hostile_want *w;

	for (int i = 0; i < odd->headers; i++) {
		bool last = i == odd->headers - 1;

		packet[size] = (char)(last ? IPPROTO_UDP : odd->type);
		packet[size + 1] = (char)(last ? odd->last_words : 0);
		size += last && odd->cut ? 2 : 8;
	}
	if (!odd->cut) {
		memcpy(packet + size, &udp, sizeof(udp));
		size += sizeof(udp);
	}
	memset(&ip, 0, sizeof(ip));
	ip.ip6_vfc = 6 << 4;
	ip.ip6_plen = htons((uint16_t)(size - sizeof(ip)));
	ip.ip6_nxt = odd->type;
	ip.ip6_hlim = 1;
	ip.ip6_src = ip.ip6_dst = in6addr_loopback;
	memcpy(packet, &ip, sizeof(ip));
	w = hostile_expect_packet(r, fd, &seen, 0);
	LIVE_CHECK(sendto(fd, packet, size, 0, &to.sa.any, to.size) == (ssize_t)size, "%s: %s",
		   odd->name, strerror(errno));
	close(fd);
	hostile_expect_same(r, w, CLOSED, 0)->free |= HOSTILE_ANY_COUNT;
}

static void headers6(struct hostile_result *r)
{
	if (!hostile_own_namespaces(r, "raw sockets"))
		return;
	for (size_t i = 0; i < LIVE_COUNT(odd6); i++)
		send_odd6(r, &odd6[i]);
}

const struct hostile_way hostile_packets[] = {
	{.name = "broken headers of IPv4", .go = headers4},
	{.name = "broken headers of IPv6", .go = headers6},
};
const size_t hostile_packets_count = LIVE_COUNT(hostile_packets);
