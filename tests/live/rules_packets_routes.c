/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that get a source route or a routing header when their connection exists. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rules_packets_cases.h"
#include "source_routes.h"

enum { SOCKET, LISTENER, PEER, SERVER };

static struct far_sockets *const far = &packets_far;

static const struct source_route routes[] = {
	{"loose, tcp", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION_LATE, ROUTE_TCP},
	{"loose, udp", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION_LATE, ROUTE_UDP_CONNECT},
	{"strict, udp", CONNECTION_V4, ROUTE_STRICT, BY_OPTION_LATE, ROUTE_UDP_CONNECT},
	{"loose, mapped tcp", CONNECTION_MAPPED, ROUTE_LOOSE, BY_OPTION_LATE, ROUTE_TCP},
	{"loose, mapped udp", CONNECTION_MAPPED, ROUTE_LOOSE, BY_OPTION_LATE, ROUTE_UDP_CONNECT},
	{"segments, tcp", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION_LATE, ROUTE_TCP},
	{"segments, udp", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION_LATE, ROUTE_UDP_CONNECT},
	{"mobile, udp", CONNECTION_V6, ROUTE_MOBILE, BY_OPTION_LATE, ROUTE_UDP_CONNECT},
};

static const struct source_route *current;

/* live_fn: as route_begin(), but with privileges: newer kernels require CAP_NET_RAW for routes. */
static void begin_privileged(const void *unused, void *unused_out)
{
	route_begin(unused, unused_out);
	LIVE_CHECK(!seteuid(0), "seteuid: %s", strerror(errno));
}

/* Chooses the route for set_route(), which has no argument for it. live_fn. */
static void choose(const void *number, void *unused_out)
{
	(void)unused_out;
	current = &routes[*(const uint32_t *)number];
}

static int set_route(int fd)
{
	const struct connection_address hop = route_hop(current->family);
	int error = route_set(fd, current, &hop);

	/* The kernel looks the route up again after a change of TOS. */
	setsockopt(fd, IPPROTO_IP, IP_TOS, &(int){16}, sizeof(int));
	return error;
}

static struct connection_address with_port(struct connection_address at, uint16_t port)
{
	at.sa.v4.sin_port = htons(port); /* the same place in both */
	return at;
}

static int type_of(const struct source_route *way)
{
	return way->call == ROUTE_TCP ? SOCK_STREAM : SOCK_DGRAM;
}

static void begin(uint64_t missing)
{
	packets_open(missing, 0);
	far_start_in(far, &packets_cgroup, begin_privileged);
}

/* Each send on such a socket is a call with a destination, which may be judged before the packet.
 */
static bool judges_calls(const struct source_route *way)
{
	return way->family == CONNECTION_MAPPED && way->call != ROUTE_TCP;
}

/* Sends, and compares what leaves for the hop with what the rules say. */
static void expect_sent(const struct source_route *way, uint16_t port, bool denied, size_t reported,
			const char *what)
{
	const struct connection_address hop = with_port(route_hop(way->family), port);
	const struct connection_address named = with_port(route_named(way->family), port);
	uint32_t left;
	size_t events;
	int error;

	packets_mark();
	far_left(far, &hop);
	error = far_send(far, SOCKET, "x", 1);
	left = far_left(far, &hop);
	LIVE_CHECK(error == (denied && type_of(way) == SOCK_DGRAM ? EPERM : 0), "%s, %s: %s",
		   way->name, what, strerror(error));
	LIVE_CHECK((left > 0) == !denied, "%s, %s: %u packets to the first hop", way->name, what,
		   left);
	if (judges_calls(way))
		return;
	LIVE_CHECK((packets_denied() > 0) == denied, "%s, %s: %llu denied", way->name, what,
		   (unsigned long long)packets_denied());
	packets_event(&hop, &events);
	LIVE_CHECK(events == reported, "%s, %s: %zu events", way->name, what, events);
	packets_event(&named, &events);
	LIVE_CHECK(!events, "%s, %s: event of the named address", way->name, what);
}

/* Makes a connection to the named address; returns the port there. */
static uint16_t connect_one(const struct source_route *way)
{
	struct connection_address at = route_named(way->family);
	int error;

	far->outside = true;
	error = far_socket(far, LISTENER, at.sa.any.sa_family, type_of(way), 0);
	far->outside = false;
	LIVE_CHECK(!error && !far_bind(far, LISTENER, &at), "%s", way->name);
	if (way->call == ROUTE_TCP)
		LIVE_CHECK(!far_listen(far, LISTENER), "listen");
	at = far_name(far, LISTENER);
	LIVE_CHECK(!far_socket(far, SOCKET, at.sa.any.sa_family, type_of(way), 0) &&
			   !far_connect(far, SOCKET, &at),
		   "%s: connect", way->name);
	return far_remote(&at).port;
}

static bool choose_route(uint32_t number, int n)
{
	int error;

	live_worker_call(&far->worker, choose, &number, sizeof(number), NULL, 0);
	error = far_call(far, n, set_route);
	if (error)
		printf("not tried: %s: this kernel refuses the option: %s\n", routes[number].name,
		       strerror(error));
	return !error;
}

START_TEST(route_after_connect)
{
	size_t tried = 0;

	begin(packets_missing[_i]);
	for (uint32_t i = 0; i < LIVE_COUNT(routes); i++) {
		const struct source_route *way = &routes[i];
		const struct connection_address hop = route_hop(way->family);
		const struct connection_address other = route_other(way->family);
		const struct connection_address named = route_named(way->family);
		uint16_t port;

		packets_rule(packets_rule_for(&hop, DENY, 0), ALLOW, 0);
		port = connect_one(way);
		if (choose_route(i, SOCKET)) {
			expect_sent(way, port, true, 1, "the hop is denied");
			packets_rule(packets_rule_for(&other, DENY, 0), ALLOW, 0);
			expect_sent(way, port, false, 0, "another address is denied");
			packets_rule(packets_rule_for(&named, ALLOW, 0), DENY, 0);
			/* the pair of socket and destination has had its event */
			expect_sent(way, port, true, 0, "the named address alone is allowed");
			tried++;
		}
		far_close(far, SOCKET);
		far_close(far, LISTENER);
	}
	ck_assert_uint_ge(tried, 5);
	packets_end();
}
END_TEST

/* Replies pass, but the process can send the packets of an accepted connection elsewhere. */
START_TEST(route_of_an_accepted_connection)
{
	begin(packets_missing[_i]);
	for (uint32_t i = 0; i < LIVE_COUNT(routes); i++) {
		const struct source_route *way = &routes[i];
		struct connection_address at = route_named(way->family);

		if (way->call != ROUTE_TCP)
			continue;
		packets_default(DENY, 0);
		LIVE_CHECK(!far_socket(far, LISTENER, at.sa.any.sa_family, SOCK_STREAM, 0) &&
				   !far_bind(far, LISTENER, &at) && !far_listen(far, LISTENER),
			   "%s: listen", way->name);
		at = far_name(far, LISTENER);
		far->outside = true;
		LIVE_CHECK(!far_socket(far, PEER, at.sa.any.sa_family, SOCK_STREAM, 0) &&
				   !far_connect(far, PEER, &at) &&
				   !far_accept(far, LISTENER, SOCKET),
			   "%s: connect", way->name);
		far->outside = false;
		at = far_name(far, PEER);
		if (choose_route(i, SOCKET))
			expect_sent(way, far_remote(&at).port, true, 1, "accepted");
		far_close(far, SOCKET);
		far_close(far, PEER);
		far_close(far, LISTENER);
	}
	packets_end();
}
END_TEST

void packets_route_tests(TCase *tc)
{
	tcase_add_loop_test(tc, route_after_connect, 0, LIVE_COUNT(packets_missing));
	tcase_add_loop_test(tc, route_of_an_accepted_connection, 0, LIVE_COUNT(packets_missing));
}
