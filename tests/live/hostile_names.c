/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to name one address and reach another, or to hide which side opened a connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"
#include "kernel.h"
#include "source_routes.h"

#define CONNECT AGENTSH_EBPF_EVENT_CONNECT
#define CONNECTED AGENTSH_EBPF_EVENT_CONNECTED
#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define UDP_SEND AGENTSH_EBPF_EVENT_UDP_SEND
#define UNSPECIFIED AGENTSH_EBPF_FLAG_UNSPECIFIED
#define PORT 99

#define OWN_PORT 9998

static struct connection_address bind_to(int fd, const char *address, uint16_t port)
{
	struct connection_address at = connection_address(address, port);

	LIVE_CHECK(!bind(fd, &at.sa.any, at.size) && !getsockname(fd, &at.sa.any, &at.size),
		   "bind: %s", strerror(errno));
	return at;
}

static void disconnect(int fd)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	LIVE_CHECK(!connect(fd, &none, sizeof(none)), "AF_UNSPEC: %s", strerror(errno));
}

/* A socket that was connected to itself becomes a listener. */
static void self_connect(struct hostile_result *r)
{
	int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);
	struct connection_address at = bind_to(fd, "127.0.0.1", OWN_PORT);
	struct hostile_want *w;

	if (hostile_hooks & AGENTSH_EBPF_HOOK_CONNECT) {
		w = hostile_expect(r, CONNECT, fd, &at);
		hostile_expect_same(r, w, CONNECTED, 0);
		hostile_expect_same(r, w, CLOSED, 0);
	}
	hostile_connect(fd, &at, 0);
	disconnect(fd);
	LIVE_CHECK(!listen(fd, 8), "listen: %s", strerror(errno));
	hostile_converse(r, hostile_socket(AF_INET, SOCK_STREAM, 0), fd, &at, NULL, 0);
}

/* The data arrives where it came from, and the socket is closed. */
static void self_write(struct hostile_result *r)
{
	int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);
	struct connection_address at = bind_to(fd, "127.0.0.1", OWN_PORT);
	struct hostile_want *w;

	if (hostile_hooks & AGENTSH_EBPF_HOOK_CONNECT) {
		w = hostile_expect(r, CONNECT, fd, &at);
		hostile_expect_same(r, w, CONNECTED, 0);
		w = hostile_expect_same(r, w, CLOSED, AGENTSH_EBPF_FLAG_LOCAL_CLOSED);
		w->is.want.bytes_sent = 3;
		w->is.want.bytes_received = 3;
	}
	hostile_connect(fd, &at, 0);
	connection_write(fd, 3);
	connection_read(fd, 3);
	shutdown(fd, SHUT_WR);
	CONNECTION_SAME(connection_read_end(fd), 0);
	close(fd);
}

struct unspecified {
	const char *to, *bound; /* bound: NULL, or the socket's own address */
	const char *taken;	/* by the kernel */
};

static const struct unspecified unspecified[] = {
	{"0.0.0.0", NULL, "127.0.0.1"},
	{"0.0.0.0", "127.4.5.6", "127.4.5.6"},
	{"::", NULL, "::1"},
	{"::ffff:0.0.0.0", NULL, "::ffff:127.0.0.1"},
};

static int family_of(const char *address)
{
	return strchr(address, ':') ? AF_INET6 : AF_INET;
}

static void unspecified_tcp(struct hostile_result *r)
{
	for (size_t i = 0; i < LIVE_COUNT(unspecified); i++) {
		const struct unspecified *u = &unspecified[i];
		int family = family_of(u->to), listener = hostile_socket(family, SOCK_STREAM, 0);
		struct connection_address to, at = bind_to(listener, u->taken, 0);
		int fd = hostile_socket(family, SOCK_STREAM, 0);

		LIVE_CHECK(!listen(listener, 8), "listen: %s", strerror(errno));
		if (u->bound)
			bind_to(fd, u->bound, 0);
		to = connection_address(u->to, ntohs(at.sa.v4.sin_port));
		hostile_converse(r, fd, listener, &to, &at, UNSPECIFIED);
		close(listener);
	}
}

static void unspecified_udp(struct hostile_result *r)
{
	for (size_t i = 0; i < 2 * LIVE_COUNT(unspecified); i++) {
		const struct unspecified *u = &unspecified[i / 2];
		struct connection_address to = connection_address(u->to, PORT), peer;
		struct connection_address taken = connection_address(u->taken, PORT);
		int fd = hostile_socket(family_of(u->to), SOCK_DGRAM, 0);
		struct hostile_want *w;

		if (u->bound)
			bind_to(fd, u->bound, 0);
		w = hostile_expect(r, i % 2 ? UDP_SEND : CONNECT, fd, &taken);
		w->is.want.flags |= UNSPECIFIED;
		if (i % 2) {
			hostile_sendto(fd, &to);
		} else {
			hostile_connect(fd, &to, 0);
			peer.size = sizeof(peer.sa);
			LIVE_CHECK(!getpeername(fd, &peer.sa.any, &peer.size) &&
					   !memcmp(&peer.sa, &taken.sa, taken.size),
				   "%s: the kernel took another address", u->to);
		}
		close(fd);
		hostile_expect_sent(r, w, UNSPECIFIED, i % 2);
	}
}

/* An address of IPv4 in the form of IPv6 is IPv4. */
static void mapped(struct hostile_result *r)
{
	struct connection_address at, to = connection_address("::ffff:127.8.9.10", PORT);
	int listener = connection_listen(CONNECTION_MAPPED, 0, 8, &at);
	int fd = hostile_socket(AF_INET6, SOCK_DGRAM, 0);
	struct hostile_want *w;

	hostile_converse(r, hostile_socket(AF_INET6, SOCK_STREAM, 0), listener, &at, NULL, 0);
	w = hostile_expect(r, UDP_SEND, fd, &to);
	hostile_sendto(fd, &to);
	close(fd);
	hostile_expect_sent(r, w, 0, 1);
}

/* The kernel takes AF_UNSPEC for AF_INET. */
static void family_unspecified(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT), same = to;
	int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0);
	struct hostile_want *w = hostile_expect(r, UDP_SEND, fd, &to);

	same.sa.any.sa_family = AF_UNSPEC;
	hostile_sendto(fd, &same);
	hostile_sendto(fd, &to);
	close(fd);
	r->deduplicated = 1;
	hostile_expect_sent(r, w, 0, 2);
}

/* live-source_route tries all kinds. */
static void source_route(struct hostile_result *r)
{
	const struct source_route way = {
		.family = CONNECTION_V6, .route = ROUTE_SEGMENTS, .by = BY_OPTION};
	struct connection_address to = route_named(CONNECTION_V6), hop = route_hop(CONNECTION_V6);
	int fd = hostile_socket(AF_INET6, SOCK_DGRAM, 0);
	struct hostile_want *w;

	LIVE_CHECK(!route_set(fd, &way, &hop), "IPV6_RTHDR: %s", strerror(errno));
	to.sa.v6.sin6_port = hop.sa.v6.sin6_port = htons(PORT);
	w = hostile_expect(r, UDP_SEND, fd, kernel_hides_tasks() ? &to : &hop);
	w->is.want.flags = kernel_hides_tasks() ? 0 : AGENTSH_EBPF_FLAG_SOURCE_ROUTED;
	/* whether there is a route does not matter */
	sendto(fd, "x", 1, 0, &to.sa.any, to.size);
	close(fd);
	hostile_expect_same(r, w, CLOSED, w->is.want.flags);
}

static void route_by_known(struct hostile_result *r)
{
	const struct source_route way = {
		.family = CONNECTION_V6, .route = ROUTE_SEGMENTS, .by = BY_OPTION};
	struct connection_address to = route_named(CONNECTION_V6), hop = route_hop(CONNECTION_V6);
	uint32_t flags = kernel_hides_tasks() ? 0 : AGENTSH_EBPF_FLAG_SOURCE_ROUTED;
	int fd = hostile_socket(AF_INET6, SOCK_DGRAM, 0);
	struct hostile_want *w;

	to.sa.v6.sin6_port = hop.sa.v6.sin6_port = htons(PORT);
	hostile_expect(r, UDP_SEND, fd, &hop);
	sendto(fd, "x", 1, 0, &hop.sa.any, hop.size);
	LIVE_CHECK(!route_set(fd, &way, &hop), "IPV6_RTHDR: %s", strerror(errno));
	w = hostile_expect(r, UDP_SEND, fd, kernel_hides_tasks() ? &to : &hop);
	w->is.want.flags = flags;
	sendto(fd, "x", 1, 0, &to.sa.any, to.size);
	close(fd);
	hostile_expect_same(r, w, CLOSED, flags);
}

const struct hostile_way hostile_names[] = {
	{.name = "self-connect, connect(AF_UNSPEC), listen()", .go = self_connect},
	{.name = "self-connect, connect(AF_UNSPEC), listen(), with ACCEPT alone",
	 .go = self_connect,
	 .hooks = AGENTSH_EBPF_HOOK_ACCEPT},
	{.name = "self-connect with data", .go = self_write},
	{.name = "self-connect with data, with ACCEPT alone",
	 .go = self_write,
	 .hooks = AGENTSH_EBPF_HOOK_ACCEPT},
	{.name = "TCP to 0.0.0.0 and ::", .go = unspecified_tcp},
	{.name = "UDP to 0.0.0.0 and ::", .go = unspecified_udp},
	{.name = "IPv4 as ::ffff:a.b.c.d", .go = mapped},
	{.name = "sendto() with the family AF_UNSPEC", .go = family_unspecified},
	{.name = "a routing header", .go = source_route, .hooks = HOSTILE_CALLS},
	{.name = "a routing header to a host that was named before",
	 .go = route_by_known,
	 .hooks = HOSTILE_CALLS},
};
const size_t hostile_names_count = LIVE_COUNT(hostile_names);
