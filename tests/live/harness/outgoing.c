/* SPDX-License-Identifier: Apache-2.0 */
#include "outgoing.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "live.h"

#define IPV6_HEADER 40
#define IPV6_FRAGMENT 44

static int capture = -1;

void outgoing_begin(const void *unused, void *unused_out)
{
	int size = 1 << 22;

	(void)unused;
	(void)unused_out;
	capture = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	LIVE_CHECK(capture >= 0 &&
			   !setsockopt(capture, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)),
		   "capture: %s", strerror(errno));
}

static bool is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPV6_FRAGMENT;
}

/* Returns the port to which the packet goes; 0 if its protocol has none. */
static uint16_t port_of(const uint8_t *packet, size_t size)
{
	size_t at = IPV6_HEADER;
	uint8_t protocol = packet[6];

	if (packet[0] >> 4 == 4) {
		at = (size_t)(packet[0] & 15) * 4;
		protocol = packet[9];
	}
	while (packet[0] >> 4 == 6 && is_extension(protocol) && at + 8 <= size) {
		protocol = packet[at];
		at += (size_t)(packet[at + 1] + 1) * 8;
	}
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 || at + 4 > size)
		return 0;
	return (uint16_t)(packet[at + 2] << 8 | packet[at + 3]);
}

static bool goes_to(const uint8_t *packet, size_t size, const struct agentsh_ebpf_address *to)
{
	bool v4 = packet[0] >> 4 == 4;

	if (v4 != (to->family == AF_INET) || size < (v4 ? 20 : IPV6_HEADER))
		return false;
	if (memcmp(packet + (v4 ? 16 : 24), to->addr, v4 ? 4 : 16) != 0)
		return false;
	return !to->port || port_of(packet, size) == to->port;
}

uint32_t outgoing_count(const struct agentsh_ebpf_address *to)
{
	uint8_t packet[2048] = {0};
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	uint32_t count = 0;
	ssize_t n;

	while ((n = recvfrom(capture, packet, sizeof(packet), 0, (void *)&from, &size)) > 0) {
		count += from.sll_pkttype == PACKET_OUTGOING && goes_to(packet, (size_t)n, to);
		size = sizeof(from);
	}
	return count;
}

void outgoing_count_call(const void *address, void *count)
{
	*(uint32_t *)count = outgoing_count(address);
}
