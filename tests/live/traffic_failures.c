/* SPDX-License-Identifier: Apache-2.0 */
/* Sends that fail. Only those that another program of the cgroup refuses are counted. */
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host_limits.h"
#include "traffic_ways.h"
#include "two_hosts.h"

#define PORT 4002

static int udp(struct counted *c, const char *name, int domain)
{
	return counted_socket(c, name, domain, SOCK_DGRAM, 0);
}

/* A datagram that must not be fragmented is too large for the link. */
static void too_large(struct counted *c)
{
	struct connection_address to4 = connection_address(FAR4, PORT),
				  to6 = connection_address(FAR6, PORT);
	int fd4 = udp(c, "IPv4", AF_INET), fd6 = udp(c, "IPv6", AF_INET6);
	int connected = udp(c, "connected", AF_INET);
	const int discover = IP_PMTUDISC_DO;

	LIVE_CHECK(
		!setsockopt(fd4, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(int)) &&
			!setsockopt(connected, IPPROTO_IP, IP_MTU_DISCOVER, &discover,
				    sizeof(int)) &&
			!setsockopt(fd6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover, sizeof(int)) &&
			!connect(connected, &to4.sa.any, to4.size),
		"IP_MTU_DISCOVER: %s", strerror(errno));
	counted_fail(c, fd4, 2000, &to4, EMSGSIZE);
	counted_fail(c, connected, 2000, NULL, EMSGSIZE);
	counted_fail(c, fd6, 2000, &to6, EMSGSIZE);
	counted_send(c, fd4, 1000, &to4);
}

/* The kernel refuses this size before it runs any program. */
static void above_64k(struct counted *c)
{
	struct connection_address to = connection_loopback(CONNECTION_V4, PORT);
	int fd = udp(c, "unconnected", AF_INET);

	counted_of(c, fd)->no_event = 1;
	counted_fail(c, fd, 65536, &to, EMSGSIZE);
}

/* Each send learns that the one before was refused, and sends nothing itself. */
static void refused(struct counted *c)
{
	struct connection_address to = connection_loopback(CONNECTION_V4, PORT);
	int fd = udp(c, "connected", AF_INET);
	struct pollfd error = {.fd = fd};

	LIVE_CHECK(!connect(fd, &to.sa.any, to.size), "connect: %s", strerror(errno));
	for (int i = 0; i < 3; i++) {
		counted_send(c, fd, 5, NULL);
		LIVE_CHECK(poll(&error, 1, LIVE_DEADLINE_MS) == 1, "no error");
		LIVE_CHECK(send(fd, "x", 1, 0) < 0 && errno == ECONNREFUSED, "send: %s",
			   strerror(errno));
	}
}

static void no_route(struct counted *c)
{
	struct connection_address to4 = connection_address("10.1.2.3", PORT),
				  to6 = connection_address("fd01::1", PORT);

	counted_fail(c, udp(c, "IPv4", AF_INET), 5, &to4, ENETUNREACH);
	counted_fail(c, udp(c, "IPv6", AF_INET6), 5, &to6, ENETUNREACH);
}

/* The rules of nftables run before the programs of the cgroup. */
static void refused_at(struct counted *c, const char *rules)
{
	struct connection_address to4 = connection_loopback(CONNECTION_V4, PORT),
				  to6 = connection_loopback(CONNECTION_V6, PORT);

	if (system("command -v nft >/dev/null")) { /* NOLINT(cert-env33-c): a fixed command */
		counted_absent(c, "no nft", 0);
		return;
	}
	LIVE_CHECK(!system(rules), "nft failed"); /* NOLINT(cert-env33-c): a fixed command */
	counted_fail(c, udp(c, "IPv4", AF_INET), 5, &to4, EPERM);
	counted_fail(c, udp(c, "IPv6", AF_INET6), 5, &to6, EPERM);
}

static void refused_at_output(struct counted *c)
{
	refused_at(c, "nft 'table inet t { chain c { type filter hook output priority 0; "
		      "udp dport 4002 drop; }; }'");
}

static void refused_at_postrouting(struct counted *c)
{
	refused_at(c, "nft 'table inet t { chain c { type filter hook postrouting priority 0; "
		      "udp dport 4002 drop; }; }'");
}

/* The kernel runs all programs of a cgroup, none of which learns that another one refuses. */
static void refused_by_program(struct counted *c)
{
	struct connection_address to4 = connection_loopback(CONNECTION_V4, PORT),
				  to6 = connection_loopback(CONNECTION_V6, PORT);
	int fd4 = udp(c, "IPv4", AF_INET), fd6 = udp(c, "IPv6", AF_INET6);

	/* ends with the cgroup */
	LIVE_CHECK(host_attach_firewall(traffic_cgroup.fd, BPF_CGROUP_INET_EGRESS,
					BPF_F_ALLOW_MULTI, 0) >= 0,
		   "BPF_PROG_ATTACH: %s", strerror(errno));
	counted_fail(c, fd4, 5, &to4, EPERM);
	counted_fail(c, fd6, 5, &to6, EPERM);
	counted_sent(c, fd4, 3, 15);
	counted_sent(c, fd6, 3, 15);
}

/* ---- a datagram that the receiver refuses was sent -------------------------- */

static void dropped_on_arrival(struct counted *c)
{
	struct connection_address to = connection_loopback(CONNECTION_V4, PORT);
	int fd = udp(c, "sender", AF_INET);

	if (system("command -v nft >/dev/null")) { /* NOLINT(cert-env33-c): a fixed command */
		counted_absent(c, "no nft", 0);
		return;
	}
	LIVE_CHECK(!system("nft 'table inet t { chain c { type filter hook input priority 0; "
			   "udp dport 4002 drop; }; }'"),
		   "nft failed"); /* NOLINT(cert-env33-c): a fixed command */
	to.sa.v4.sin_port = htons(PORT);
	counted_of(c, counted_bound(c, "receiver", &to))->no_event = 1;
	for (int i = 0; i < 3; i++)
		counted_send(c, fd, 5, &to);
}

const struct traffic_way traffic_failures[] = {
	{.name = "EMSGSIZE of the link", .go = too_large, .two_hosts = true},
	{.name = "EMSGSIZE above 64 KiB", .go = above_64k},
	{.name = "ECONNREFUSED", .go = refused},
	{.name = "ENETUNREACH", .go = no_route},
	{.name = "EPERM of nftables at output", .go = refused_at_output},
	{.name = "EPERM of nftables at postrouting", .go = refused_at_postrouting},
	{.name = "EPERM of another program of the cgroup", .go = refused_by_program},
	{.name = "dropped by nftables at input", .go = dropped_on_arrival},
};
const size_t traffic_failures_count = LIVE_COUNT(traffic_failures);
