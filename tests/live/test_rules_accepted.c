/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that judge packets let those of accepted connections pass, and no others of the same
 * sockets. The peers are outside of the session.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel.h"
#include "rules_packets.h"

enum { LISTENER, PEER, SERVER, CLIENT, SECOND, FAR_LISTENER };

static const enum connection_family families[] = {CONNECTION_V4, CONNECTION_V6, CONNECTION_MAPPED};
static const char *const names[] = {"IPv4", "IPv6", "mapped"};

#define MUST(call)                                                                                 \
	do {                                                                                       \
		int error_ = (call);                                                               \
		LIVE_CHECK(!error_, #call ": %s", strerror(error_));                               \
	} while (0)

static struct far_sockets *const far = &packets_far;

static int domain_of(enum connection_family family)
{
	return family == CONNECTION_V4 ? AF_INET : AF_INET6;
}

static struct connection_address make_listener(int n, enum connection_family family, int protocol)
{
	const struct connection_address any_port = connection_loopback(family, 0);

	MUST(far_socket(far, n, domain_of(family), SOCK_STREAM, protocol));
	MUST(far_bind(far, n, &any_port));
	MUST(far_listen(far, n));
	return far_name(far, n);
}

/* The peer connects from outside, and server becomes the session's end. */
static void meet(const struct connection_address *at, int listener, int peer, int server,
		 int protocol)
{
	far->outside = true;
	MUST(far_socket(far, peer, at->sa.any.sa_family, SOCK_STREAM, protocol));
	far->outside = false;
	MUST(far_connect(far, peer, at));
	MUST(far_accept(far, listener, server));
}

/* Data of both directions arrive. */
static void expect_talk(int peer, int server, const char *what)
{
	static const char data[1400];

	packets_mark();
	for (int i = 0; i < 3; i++) {
		MUST(far_send(far, peer, "?", 1));
		LIVE_CHECK(!far_receive(far, server, LIVE_DEADLINE_MS), "%s: no question", what);
		MUST(far_send(far, server, data, sizeof(data)));
		LIVE_CHECK(!far_receive(far, peer, LIVE_DEADLINE_MS), "%s: no answer", what);
	}
	LIVE_CHECK(!packets_denied() && !packets_events(), "%s: packets were denied", what);
}

/* Data of the session do not arrive at the peer. */
static void expect_stall(int server, const struct connection_address *to, const char *what)
{
	packets_mark();
	far_left(far, to);
	MUST(far_send(far, server, "!", 1));
	LIVE_CHECK(!far_left(far, to), "%s: the packet has left", what);
	LIVE_CHECK(packets_denied(), "%s: no packet was denied", what);
}

/* ---- replies -------------------------------------------------------------------- */

static void try_replies(enum connection_family family, int protocol, bool listens_before)
{
	struct connection_address at;
	char what[100];

	snprintf(what, sizeof(what), "%s, protocol %d, listener made %s", names[family], protocol,
		 listens_before ? "before attach" : "after attach");
	if (listens_before)
		live_detach(packets_session);
	at = make_listener(LISTENER, family, protocol);
	if (listens_before)
		packets_session = live_attach(packets_tracer, &packets_cgroup, PACKETS_SESSION);
	packets_default(DENY, 0);
	packets_mark();
	meet(&at, LISTENER, PEER, SERVER, protocol);
	expect_talk(PEER, SERVER, what);
	/* the set is replaced, but the connection remains an accepted one */
	packets_default(DENY, 0);
	expect_talk(PEER, SERVER, what);
	far_close(far, PEER);
	far_close(far, SERVER);
	meet(&at, LISTENER, PEER, SERVER, protocol);
	expect_talk(PEER, SERVER, what);
	far_close(far, SERVER);
	far_close(far, PEER);
	far_close(far, LISTENER);
	rules_set(packets_session, NULL);
}

START_TEST(replies)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		try_replies(families[i], 0, false);
		try_replies(families[i], 0, true);
	}
	packets_end();
}
END_TEST

static bool lacks_mptcp(void)
{
	if (kernel_lists("MPTCP"))
		return false;
	printf("not tried: this kernel has no MPTCP\n");
	return true;
}

START_TEST(replies_of_mptcp)
{
	if (lacks_mptcp())
		return;
	packets_begin(packets_missing[_i]);
	try_replies(CONNECTION_V4, IPPROTO_MPTCP, false);
	try_replies(CONNECTION_V4, IPPROTO_MPTCP, true);
	packets_end();
}
END_TEST

/* The peer connects before there are rules, but after the session was attached. */
START_TEST(accepted_before_the_rules)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		struct connection_address at = make_listener(LISTENER, families[i], 0);

		meet(&at, LISTENER, PEER, SERVER, 0);
		packets_default(DENY, 0);
		expect_talk(PEER, SERVER, names[i]);
		rules_set(packets_session, NULL);
		far_close(far, PEER);
		far_close(far, SERVER);
	}
	packets_end();
}
END_TEST

/* A connection whose peer the rules deny. Returns the address of the listening socket. */
static struct connection_address accept_denied(size_t family)
{
	const struct connection_address at = make_listener(LISTENER, families[family], 0);

	packets_default(DENY, 0);
	meet(&at, LISTENER, PEER, SERVER, 0);
	expect_talk(PEER, SERVER, names[family]);
	return at;
}

static int always_cookies(int unused)
{
	(void)unused;
	return connection_sysctl("net/ipv4/tcp_syncookies", "2") ? 0 : ENOENT;
}

/* The kernel's answer to a SYN belongs to no socket then. */
START_TEST(first_connection_with_a_syn_cookie)
{
	packets_begin(packets_missing[_i]);
	MUST(far_call(far, 0, always_cookies));
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		accept_denied(i);
		far_close(far, PEER);
		far_close(far, SERVER);
	}
	packets_end();
}
END_TEST

/* ---- connections that are judged --------------------------------------------------- */

/* The peer connected before the session was attached. */
START_TEST(accepted_before_attach)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		struct connection_address at, peer;

		live_detach(packets_session);
		at = make_listener(LISTENER, families[i], 0);
		meet(&at, LISTENER, PEER, SERVER, 0);
		peer = far_name(far, PEER);
		packets_session = live_attach(packets_tracer, &packets_cgroup, PACKETS_SESSION);
		packets_default(DENY, 0);
		expect_stall(SERVER, &peer, names[i]);
		far_close(far, PEER);
		far_close(far, SERVER);
	}
	packets_end();
}
END_TEST

/* Connects while that is allowed, and denies it later. Returns the error of connect(). */
static int connect_and_deny(int n, enum connection_family family, const char *what)
{
	struct connection_address at;
	int error;

	far->outside = true;
	at = make_listener(FAR_LISTENER, family, 0);
	far->outside = false;
	packets_default(ALLOW, 0);
	error = far_connect(far, n, &at);
	if (error)
		return error;
	MUST(far_accept(far, FAR_LISTENER, SECOND));
	expect_talk(SECOND, n, what);
	packets_default(DENY, 0);
	expect_stall(n, &at, what);
	far_close(far, SECOND);
	far_close(far, FAR_LISTENER);
	return 0;
}

START_TEST(accepted_socket_connects_elsewhere)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		const struct connection_address at = accept_denied(i);

		MUST(far_disconnect(far, SERVER));
		/* the call is judged, too */
		ck_assert_int_eq(far_connect(far, SERVER, &at), EPERM);
		MUST(connect_and_deny(SERVER, families[i], names[i]));
		far_close(far, SERVER);
		far_close(far, PEER);
	}
	packets_end();
}
END_TEST

START_TEST(listener_becomes_a_client)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		accept_denied(i);
		MUST(far_disconnect(far, LISTENER));
		MUST(connect_and_deny(LISTENER, families[i], names[i]));
		/* and what it had accepted before goes on */
		expect_talk(PEER, SERVER, names[i]);
		far_close(far, LISTENER);
		far_close(far, SERVER);
		far_close(far, PEER);
	}
	packets_end();
}
END_TEST

/* An accepted socket listens, and then connects; both of its lives end with the listening. */
START_TEST(accepted_socket_listens)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		struct connection_address at = make_listener(LISTENER, families[i], 0);
		const struct connection_address any = connection_loopback(families[i], 0);

		packets_default(DENY, 0);
		meet(&at, LISTENER, PEER, SERVER, 0);
		MUST(far_disconnect(far, SERVER));
		(void)far_bind(far, SERVER, &any);
		MUST(far_listen(far, SERVER));
		at = far_name(far, SERVER);
		meet(&at, SERVER, SECOND, CLIENT, 0);
		expect_talk(SECOND, CLIENT, names[i]);
		far_close(far, SECOND);
		far_close(far, CLIENT);
		MUST(far_disconnect(far, SERVER));
		MUST(connect_and_deny(SERVER, families[i], names[i]));
		far_close(far, SERVER);
		far_close(far, PEER);
		far_close(far, LISTENER);
	}
	packets_end();
}
END_TEST

/* Without a listener each end has sent a SYN, and the kernel takes both for passive. */
START_TEST(connection_to_itself)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		struct connection_address at = connection_loopback(families[i], 0);

		MUST(far_socket(far, CLIENT, domain_of(families[i]), SOCK_STREAM, 0));
		MUST(far_bind(far, CLIENT, &at));
		at = far_name(far, CLIENT);
		packets_default(ALLOW, 0);
		MUST(far_connect(far, CLIENT, &at));
		MUST(far_send(far, CLIENT, "?", 1));
		MUST(far_receive(far, CLIENT, LIVE_DEADLINE_MS));
		packets_default(DENY, 0);
		expect_stall(CLIENT, &at, names[i]);
		far_close(far, CLIENT);
	}
	packets_end();
}
END_TEST

START_TEST(accepted_mptcp_socket_connects_elsewhere)
{
	struct connection_address at;
	int error;

	if (lacks_mptcp())
		return;
	packets_begin(packets_missing[_i]);
	at = make_listener(LISTENER, CONNECTION_V4, IPPROTO_MPTCP);
	packets_default(DENY, 0);
	meet(&at, LISTENER, PEER, SERVER, IPPROTO_MPTCP);
	expect_talk(PEER, SERVER, "MPTCP");
	error = far_disconnect(far, SERVER);
	if (!error)
		error = connect_and_deny(SERVER, CONNECTION_V4, "MPTCP");
	/* 6.1 has lost the socket of TCP after an accepted connection */
	LIVE_CHECK(!error || error == EINVAL, "MPTCP: %s", strerror(error));
	if (error)
		printf("not tried: this kernel does not use an accepted MPTCP socket again\n");
	packets_end();
}
END_TEST

/* ---- TCP Fast Open ---------------------------------------------------------------- */

static int fast_open_without_cookies(int unused)
{
	(void)unused;
	return connection_sysctl("net/ipv4/tcp_fastopen", "0x607") ? 0 : ENOENT;
}

static int has_sent_data_in_syn(int fd)
{
	return connection_info(fd).tcpi_options & TCPI_OPT_SYN_DATA ? 0 : EPROTO;
}

/* The kernel makes the socket of the connection before it answers the SYN. */
START_TEST(first_connection_with_fast_open)
{
	packets_begin(packets_missing[_i]);
	MUST(far_call(far, 0, fast_open_without_cookies));
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		struct connection_address at = make_listener(LISTENER, families[i], 0);

		MUST(far_option(far, LISTENER, IPPROTO_TCP, TCP_FASTOPEN, 10));
		packets_default(DENY, 0);
		far->outside = true;
		MUST(far_socket(far, PEER, domain_of(families[i]), SOCK_STREAM, 0));
		far->outside = false;
		MUST(far_send_to(far, PEER, "?", 1, &at, MSG_FASTOPEN));
		MUST(far_accept(far, LISTENER, SERVER));
		MUST(far_call(far, PEER, has_sent_data_in_syn));
		expect_talk(PEER, SERVER, names[i]);
		far_close(far, PEER);
		far_close(far, SERVER);
		far_close(far, LISTENER);
	}
	packets_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules and accepted connections");
	TCase *tc = live_case(s, "accepted");
	const int both = LIVE_COUNT(packets_missing);

	tcase_add_loop_test(tc, replies, 0, both);
	tcase_add_loop_test(tc, replies_of_mptcp, 0, both);
	tcase_add_loop_test(tc, accepted_before_the_rules, 0, both);
	tcase_add_loop_test(tc, first_connection_with_a_syn_cookie, 0, both);
	tcase_add_loop_test(tc, first_connection_with_fast_open, 0, both);
	tcase_add_loop_test(tc, accepted_before_attach, 0, both);
	tcase_add_loop_test(tc, accepted_socket_connects_elsewhere, 0, both);
	tcase_add_loop_test(tc, listener_becomes_a_client, 0, both);
	tcase_add_loop_test(tc, accepted_socket_listens, 0, both);
	tcase_add_loop_test(tc, connection_to_itself, 0, both);
	tcase_add_loop_test(tc, accepted_mptcp_socket_connects_elsewhere, 0, both);
	return live_main(s);
}
