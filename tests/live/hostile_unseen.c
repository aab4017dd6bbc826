/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of sockets that no call shows, only their packets or nothing, and those that need a
 * capability. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"

#define PORT 99
#define DCCP 6, 33
#define L2TP 115
#define SMC 43
#define XDP 44

/* A socket that is made, or refused. */
static int make(struct hostile_result *r, int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	if (fd < 0) {
		LIVE_CHECK(errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT ||
				   errno == EAFNOSUPPORT,
			   "socket: %s", strerror(errno));
		hostile_absent(r, "the kernel has no such protocol", 0);
	}
	return fd;
}

static void connects(struct hostile_result *r, int domain, int type, int protocol)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	int fd = make(r, domain, type, protocol);
	struct hostile_want *w;

	if (fd < 0)
		return;
	w = hostile_expect_packet(r, fd, &to, 0);
	LIVE_CHECK(!connect(fd, &to.sa.any, to.size) || errno == EINPROGRESS ||
			   errno == ECONNREFUSED,
		   "connect: %s", strerror(errno));
	if (type == SOCK_DGRAM)
		LIVE_CHECK(send(fd, "x", 1, 0) == 1, "send: %s", strerror(errno));
	close(fd);
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CLOSED, 0)->free |= HOSTILE_ANY_COUNT;
}

static void sends(struct hostile_result *r, int domain, int type, int protocol)
{
	struct connection_address to = connection_address("127.0.0.1", PORT), seen = to;
	int fd = make(r, domain, type, protocol);
	static const char echo[8] = {8};
	struct hostile_want *w;

	if (fd < 0)
		return;
	if (protocol != IPPROTO_SCTP)
		seen.sa.v4.sin_port = 0;
	w = hostile_expect_packet(r, fd, &seen, 0);
	LIVE_CHECK(sendto(fd, echo, sizeof(echo), 0, &to.sa.any, to.size) == 8, "sendto: %s",
		   strerror(errno));
	close(fd);
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CLOSED, 0)->free |= HOSTILE_ANY_COUNT;
}

static void sctp(struct hostile_result *r)
{
	connects(r, AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	if (!r->absent[0])
		sends(r, AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
}

static void dccp(struct hostile_result *r)
{
	connects(r, AF_INET, DCCP);
}

static void l2tp(struct hostile_result *r)
{
	sends(r, AF_INET, SOCK_DGRAM, L2TP);
}

static void udplite_connect(struct hostile_result *r)
{
	connects(r, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
}

static void allow_ping(struct hostile_result *r)
{
	(void)r;
	LIVE_CHECK(connection_sysctl("net/ipv4/ping_group_range", "0 2147483647"), "ping");
}

static void ping_send(struct hostile_result *r)
{
	sends(r, AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}

/* RDS makes its TCP connection in a thread of the kernel. */
static void rds(struct hostile_result *r)
{
	struct connection_address at = connection_address("127.0.0.1", 4000);
	struct connection_address to = connection_address("127.0.0.2", 4000);
	int fd = make(r, 21, SOCK_SEQPACKET, 0);

	if (fd < 0)
		return;
	if (bind(fd, &at.sa.any, at.size))
		hostile_absent(r, "RDS has no transport", 0);
	else
		LIVE_CHECK(sendto(fd, "rds", 3, 0, &to.sa.any, to.size) == 3, "sendto: %s",
			   strerror(errno));
	poll(NULL, 0, 200); /* the kernel's thread connects */
	close(fd);
}

static void unix_socket(struct hostile_result *r)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int listener = make(r, AF_UNIX, SOCK_STREAM, 0), fd = make(r, AF_UNIX, SOCK_STREAM, 0);
	socklen_t size = sizeof(at);

	LIVE_CHECK(!bind(listener, (const void *)&at, sizeof(sa_family_t)) &&
			   !listen(listener, 1) &&
			   !getsockname(listener, (struct sockaddr *)&at, &size) &&
			   !connect(fd, (const struct sockaddr *)&at, size),
		   "AF_UNIX: %s", strerror(errno));
	close(fd);
	close(listener);
}

static void vsock(struct hostile_result *r)
{
	const struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = 1, .svm_port = PORT};
	int fd = make(r, AF_VSOCK, SOCK_STREAM, 0);

	/* nobody listens; the address is right, so that the attempt counts */
	if (fd >= 0)
		LIVE_CHECK(connect(fd, (const void *)&to, sizeof(to)), "vsock is connected");
	close(fd);
}

static void netlink(struct hostile_result *r)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct nlmsghdr nothing = {.nlmsg_len = sizeof(nothing), .nlmsg_type = NLMSG_NOOP};
	int fd = make(r, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	LIVE_CHECK(sendto(fd, &nothing, sizeof(nothing), 0, (const void *)&kernel,
			  sizeof(kernel)) == sizeof(nothing),
		   "netlink: %s", strerror(errno));
	close(fd);
}

/* AF_ALG, TIPC and KCM sockets can be made, and reach nothing by themselves. */
static void other_families(struct hostile_result *r)
{
	static const struct {
		int domain, type;
	} families[] = {{38, SOCK_SEQPACKET}, {30, SOCK_SEQPACKET}, {41, SOCK_SEQPACKET}};
	uint32_t absent = 0;

	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		struct connection_address to = connection_address("127.0.0.1", PORT);
		int fd = make(r, families[i].domain, families[i].type, 0);

		absent += fd < 0;
		to.sa.any.sa_family = (sa_family_t)families[i].domain;
		if (fd >= 0)
			LIVE_CHECK(connect(fd, &to.sa.any, to.size), "family %d is connected",
				   families[i].domain);
		close(fd);
	}
	if (absent < LIVE_COUNT(families))
		r->absent[0] = '\0';
}

/* SMC falls back to TCP, whose socket the kernel makes. */
static void smc(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	int fd = make(r, SMC, SOCK_STREAM, 0);
	struct hostile_want *w;

	if (fd < 0)
		return;
	w = hostile_expect(r, AGENTSH_EBPF_EVENT_CONNECT, fd, &to);
	w->is.want.socket_cookie = 0;
	w->is.want.protocol = IPPROTO_TCP;
	fcntl(fd, F_SETFL, 0);
	hostile_connect(fd, &to, ECONNREFUSED);
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CONNECT_FAILED, 0)->is.want.error =
		ECONNREFUSED;
	close(fd);
}

static void needs_capability(struct hostile_result *r)
{
	static const struct {
		int domain, type, protocol;
	} sockets[] = {
		{AF_INET, SOCK_RAW, IPPROTO_ICMP}, {AF_INET, SOCK_RAW, IPPROTO_RAW},
		{AF_INET6, SOCK_RAW, IPPROTO_UDP}, {AF_PACKET, SOCK_RAW, 0},
		{AF_PACKET, SOCK_DGRAM, 0},	   {XDP, SOCK_RAW, 0},
	};

	(void)r;
	for (size_t i = 0; i < LIVE_COUNT(sockets); i++) {
		int fd = socket(sockets[i].domain, sockets[i].type, sockets[i].protocol);

		LIVE_CHECK(fd < 0 && (errno == EPERM || errno == EAFNOSUPPORT),
			   "socket %zu is not refused: %s", i, strerror(errno));
	}
}

/* In namespaces of its own a process has CAP_NET_RAW, and no way out. */
static void raw_in_own_namespace(struct hostile_result *r)
{
	if (hostile_own_namespaces(r, "raw sockets"))
		sends(r, AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

const struct hostile_way hostile_unseen[] = {
	{.name = "raw, packet and XDP sockets", .go = needs_capability},
	{.name = "a raw socket in an own user namespace", .go = raw_in_own_namespace},
	{.name = "SCTP", .go = sctp},
	{.name = "DCCP", .go = dccp},
	{.name = "L2TP/IP", .go = l2tp},
	{.name = "UDP-Lite connect", .go = udplite_connect},
	{.name = "ping sendto", .prepare = allow_ping, .go = ping_send},
	{.name = "RDS", .go = rds},
	{.name = "AF_UNIX", .go = unix_socket},
	{.name = "AF_VSOCK", .go = vsock},
	{.name = "AF_NETLINK", .go = netlink},
	{.name = "AF_ALG, AF_TIPC, AF_KCM", .go = other_families},
	{.name = "AF_SMC", .go = smc},
};
const size_t hostile_unseen_count = LIVE_COUNT(hostile_unseen);
