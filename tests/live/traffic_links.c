/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams between two hosts: fragments, multicast, broadcast and loss. */
#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <string.h>

#include "traffic_ways.h"
#include "two_hosts.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static const struct {
	const char *near, *far;
} pairs[] = {{NEAR4, FAR4}, {NEAR6, FAR6}};

static void set(int fd, int level, int option, const void *value, socklen_t size)
{
	LIVE_CHECK(!setsockopt(fd, level, option, value, size), "setsockopt %d, %d: %s", level,
		   option, strerror(errno));
}

/* Sends from one end to the other and back, up to the largest datagrams. */
static void both_ways(struct counted *c, int near, const struct connection_address *near_at,
		      int far, const struct connection_address *far_at)
{
	static const size_t sizes[] = {100, 1452, 1473, 5000, 60000};

	for (uint32_t i = 0; i < 4 * LIVE_COUNT(sizes); i++) {
		counted_send(c, near, sizes[i % LIVE_COUNT(sizes)], far_at);
		counted_receive(c, far, i + 1);
		counted_send(c, far, sizes[i % LIVE_COUNT(sizes)] + 1, near_at);
		counted_receive(c, near, i + 1);
	}
}

static void fragments(struct counted *c)
{
	struct connection_address near_at, far_at;

	for (size_t i = 0; i < LIVE_COUNT(pairs); i++) {
		int near = two_hosts_bound(c, "near", pairs[i].near, &near_at);
		int far = two_hosts_bound(c, "far", pairs[i].far, &far_at);

		both_ways(c, near, &near_at, far, &far_at);
	}
}

/* Options and extension headers are not payload; a fragment repeats some of them. */
static void options(struct counted *c)
{
	static const uint8_t options4[] = {1, 1, 1, 1, 1, 1, 1, 1}; /* IPOPT_NOOP */
	/* an option for experiments (RFC 4727), which a receiver skips */
	static const uint8_t options6[16] = {0, 1, 0x1e, 12};
	struct connection_address near_at, far_at;

	for (size_t i = 0; i < LIVE_COUNT(pairs); i++) {
		int near = two_hosts_bound(c, "near", pairs[i].near, &near_at);
		int far = two_hosts_bound(c, "far", pairs[i].far, &far_at);

		if (!i)
			set(near, IPPROTO_IP, IP_OPTIONS, options4, sizeof(options4));
		if (i)
			set(near, IPPROTO_IPV6, IPV6_HOPOPTS, options6, sizeof(options6));
		if (i)
			set(near, IPPROTO_IPV6, IPV6_DSTOPTS, options6, sizeof(options6));
		both_ways(c, near, &near_at, far, &far_at);
	}
}

/* The kernel may join datagrams that arrive one after the other. */
static void segments(struct counted *c)
{
	static char payload[60000];
	struct connection_address near_at, far_at;

	for (size_t i = 0; i < 2 * LIVE_COUNT(pairs); i++) {
		int near = two_hosts_bound(c, "near", pairs[i / 2].near, &near_at);
		int far = two_hosts_bound(c, "far", pairs[i / 2].far, &far_at);

		if (i % 2)
			set(far, SOL_UDP, UDP_GRO, &(int){1}, sizeof(int));
		set(near, SOL_UDP, UDP_SEGMENT, &(int){1400}, sizeof(int));
		for (int n = 0; n < 10; n++) {
			LIVE_CHECK(sendto(near, payload, sizeof(payload), 0, &far_at.sa.any,
					  far_at.size) == sizeof(payload),
				   "UDP_SEGMENT: %s", strerror(errno));
			counted_sent(c, near, 43, sizeof(payload));
			counted_receive(c, far, counted_of(c, near)->packets_sent);
		}
	}
}

/* ---- multicast and broadcast ----------------------------------------------- */

static int member4(struct counted *c, const char *name, const char *link,
		   const struct connection_address *group)
{
	const struct ip_mreqn join = {.imr_multiaddr = group->sa.v4.sin_addr,
				      .imr_ifindex = (int)if_nametoindex(link)};
	struct connection_address at = *group;
	int fd = counted_bound(c, name, &at);

	set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join));
	return fd;
}

static int member6(struct counted *c, const char *name, const char *link,
		   const struct connection_address *group)
{
	const struct ipv6_mreq join = {.ipv6mr_multiaddr = group->sa.v6.sin6_addr,
				       .ipv6mr_interface = if_nametoindex(link)};
	struct connection_address at = *group;
	int fd;

	at.sa.v6.sin6_scope_id = if_nametoindex(link);
	fd = counted_bound(c, name, &at);
	set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &join, sizeof(join));
	return fd;
}

/* Without the loop no member on the sender's host gets the datagrams. */
static void multicast(struct counted *c, bool v6, int loop)
{
	int (*member)(struct counted *, const char *, const char *,
		      const struct connection_address *) = v6 ? member6 : member4;
	struct connection_address group = connection_address(v6 ? "ff02::99" : "239.9.9.9", 4000);
	const struct ip_mreqn link = {.imr_ifindex = (int)if_nametoindex(NEAR_LINK)};
	int fd = counted_socket(c, "sender", v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	int near = member(c, "near member", NEAR_LINK, &group), far;

	two_hosts_enter(true);
	far = member(c, "far member", FAR_LINK, &group);
	two_hosts_enter(false);
	if (v6) {
		set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &link.imr_ifindex, sizeof(int));
		set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &loop, sizeof(loop));
	} else {
		set(fd, IPPROTO_IP, IP_MULTICAST_IF, &link, sizeof(link));
		set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof(loop));
	}
	counted_of(c, near)->no_event = !loop;
	for (uint32_t i = 1; i <= 10; i++) {
		counted_send(c, fd, i % 2 ? 100 : 3000, &group);
		counted_receive(c, far, i);
		if (loop)
			counted_receive(c, near, i);
	}
	counted_receive_rest(c, near);
	LIVE_CHECK(counted_of(c, near)->packets_received == (loop ? 10U : 0), "near member");
}

static void multicast4_loop(struct counted *c)
{
	multicast(c, false, 1);
}

static void multicast4(struct counted *c)
{
	multicast(c, false, 0);
}

static void multicast6_loop(struct counted *c)
{
	multicast(c, true, 1);
}

static void multicast6(struct counted *c)
{
	multicast(c, true, 0);
}

/* The sender's host gets a copy, too. */
static void broadcast(struct counted *c)
{
	struct connection_address any = connection_address("0.0.0.0", 4001),
				  to = connection_address(BROADCAST4, 4001);
	int fd = counted_socket(c, "sender", AF_INET, SOCK_DGRAM, 0);
	int near = counted_bound(c, "near", &any), far;

	two_hosts_enter(true);
	far = counted_bound(c, "far", &any);
	two_hosts_enter(false);
	set(fd, SOL_SOCKET, SO_BROADCAST, &(int){1}, sizeof(int));
	for (uint32_t i = 1; i <= 10; i++) {
		counted_send(c, fd, 100, &to);
		counted_receive(c, far, i);
		counted_receive(c, near, i);
	}
}

/* ---- loss ------------------------------------------------------------------ */

#define DATAGRAMS 3000
#define ONE_OF 33 /* 3 % */

/* Datagrams arrive in their order, so behind the last one, of a size of its own, nothing comes. */
static void last(struct counted *c, int from, int to, const struct connection_address *at)
{
	const struct counts *s = counted_of(c, to);

	for (size_t size = 1; size < 100; size++) {
		uint64_t before = s->bytes_received;

		counted_send(c, from, size, at);
		while (counted_receive_one(c, to, NULL, 1000)) {
			if (s->bytes_received == before + size)
				return;
			before = s->bytes_received;
		}
	}
	LIVE_FAIL("the last datagram did not arrive");
}

/* Each end counts its own: the sender what was sent, the receiver what has arrived. */
static void loss(struct counted *c)
{
	struct connection_address near_at, far_at;

	two_hosts_lose(false, ONE_OF);
	two_hosts_lose(true, ONE_OF);
	for (size_t i = 0; i < LIVE_COUNT(pairs); i++) {
		int near = two_hosts_bound(c, "near", pairs[i].near, &near_at);
		int far = two_hosts_bound(c, "far", pairs[i].far, &far_at);

		for (int n = 0; n < DATAGRAMS; n++) {
			counted_send(c, near, n % 100 ? 1200 : 4000, &far_at);
			counted_send(c, far, n % 100 ? 1200 : 4000, &near_at);
			counted_receive_rest(c, near);
			counted_receive_rest(c, far);
		}
		last(c, near, far, &far_at);
		last(c, far, near, &near_at);
		LIVE_CHECK(counted_of(c, far)->packets_received < DATAGRAMS &&
				   counted_of(c, near)->packets_received < DATAGRAMS,
			   "nothing was lost");
	}
}

const struct traffic_way traffic_links[] = {
	{.name = "fragments", .go = fragments, .two_hosts = true},
	{.name = "IP_OPTIONS, IPV6_HOPOPTS and IPV6_DSTOPTS", .go = options, .two_hosts = true},
	{.name = "UDP_SEGMENT over a link", .go = segments, .two_hosts = true},
	{.name = "multicast with IP_MULTICAST_LOOP", .go = multicast4_loop, .two_hosts = true},
	{.name = "multicast without IP_MULTICAST_LOOP", .go = multicast4, .two_hosts = true},
	{.name = "multicast with IPV6_MULTICAST_LOOP", .go = multicast6_loop, .two_hosts = true},
	{.name = "multicast without IPV6_MULTICAST_LOOP", .go = multicast6, .two_hosts = true},
	{.name = "broadcast", .go = broadcast, .two_hosts = true},
	{.name = "3 % loss", .go = loss, .two_hosts = true},
};
const size_t traffic_links_count = LIVE_COUNT(traffic_links);
