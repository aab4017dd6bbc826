/* SPDX-License-Identifier: Apache-2.0 */
/* Packets whose source, or whose way, is not what their destination suggests. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "rules_packets_cases.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

#define PORT 82
#define FORGED6 "fd77::9"
#define FORGED4 "10.77.0.9"

enum { SOCKET, LISTENER, PEER, SERVER, FAR_LISTENER };

static struct far_sockets *const far = &packets_far;

#define MUST(call)                                                                                 \
	do {                                                                                       \
		int error_ = (call);                                                               \
		LIVE_CHECK(!error_, #call ": %s", strerror(error_));                               \
	} while (0)

/* ---- forged sources ---------------------------------------------------------------- */

/* Needs no privilege. Returns 0 or an errno value. */
static int send_forged6(void)
{
	const struct connection_address from = connection_address(FORGED6, 0),
					to = connection_address("::1", PORT);
	int error;

	MUST(far_socket(far, SOCKET, AF_INET6, SOCK_DGRAM, 0));
	MUST(far_option(far, SOCKET, IPPROTO_IPV6, IPV6_FREEBIND, 1));
	MUST(far_bind(far, SOCKET, &from));
	error = far_send_to(far, SOCKET, "x", 1, &to, 0);
	far_close(far, SOCKET);
	return error;
}

/* An IPv4 header and a UDP header, from a raw socket. */
static int send_forged4(void)
{
	const struct connection_address to = connection_address("127.0.0.1", PORT);
	uint8_t packet[28] = {0x45, 0, 0,  sizeof(packet), 0,		0,
			      0,    0, 64, IPPROTO_UDP,	   [23] = PORT, [25] = 8};
	int error;

	inet_pton(AF_INET, FORGED4, &packet[12]);
	inet_pton(AF_INET, "127.0.0.1", &packet[16]);
	MUST(far_socket(far, SOCKET, AF_INET, SOCK_RAW, IPPROTO_RAW));
	error = far_send_to(far, SOCKET, packet, sizeof(packet), &to, 0);
	far_close(far, SOCKET);
	return error;
}

static const struct forged {
	const char *source, *destination;
	int (*send)(void);
} forged[] = {
	{FORGED6, "::1", send_forged6},
	{FORGED4, "127.0.0.1", send_forged4},
};

static void expect(const struct forged *f, int error, const char *when)
{
	int got;

	packets_mark();
	got = f->send();
	LIVE_CHECK(got == error, "from %s, %s: %s", f->source, when, strerror(got));
	LIVE_CHECK(packets_denied() == (error ? 1 : 0), "from %s, %s: %llu denied", f->source, when,
		   (unsigned long long)packets_denied());
}

/* The answer to a packet on the loopback interface goes to its source. */
START_TEST(forged_source)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(forged); i++) {
		const struct connection_address source = connection_address(forged[i].source, 0),
						to = connection_address(forged[i].destination,
									PORT);

		packets_default(ALLOW, 0);
		expect(&forged[i], 0, "everything is allowed");
		packets_rule(packets_rule_for(&to, ALLOW, IPPROTO_UDP), DENY, 0);
		expect(&forged[i], EPERM, "only the destination is allowed");
		packets_rule(packets_rule_for(&source, DENY, 0), ALLOW, 0);
		expect(&forged[i], EPERM, "the source is denied");
		packets_rule(packets_rule_for(&to, DENY, IPPROTO_TCP), ALLOW, 0);
		expect(&forged[i], 0, "another protocol is denied");
	}
	packets_end();
}
END_TEST

/* ---- an earlier session -------------------------------------------------------------- */

/* The socket of a connection that an earlier session has accepted has a new peer. */
START_TEST(accepted_in_an_earlier_session)
{
	const struct connection_address any_port = connection_loopback(CONNECTION_V4, 0);
	struct connection_address at, other;

	packets_begin(packets_missing[_i]);
	MUST(far_socket(far, LISTENER, AF_INET, SOCK_STREAM, 0));
	MUST(far_bind(far, LISTENER, &any_port));
	MUST(far_listen(far, LISTENER));
	at = far_name(far, LISTENER);
	far->outside = true;
	MUST(far_socket(far, PEER, AF_INET, SOCK_STREAM, 0));
	MUST(far_socket(far, FAR_LISTENER, AF_INET, SOCK_STREAM, 0));
	far->outside = false;
	MUST(far_bind(far, FAR_LISTENER, &any_port));
	MUST(far_listen(far, FAR_LISTENER));
	other = far_name(far, FAR_LISTENER);
	MUST(far_connect(far, PEER, &at));
	MUST(far_accept(far, LISTENER, SERVER));
	packets_default(DENY, 0);
	packets_mark();
	MUST(far_send(far, SERVER, "x", 1));
	ck_assert_uint_eq(packets_denied(), 0);

	live_detach(packets_session);
	MUST(far_disconnect(far, SERVER));
	MUST(far_connect(far, SERVER, &other));
	packets_session = live_attach(packets_tracer, &packets_cgroup, PACKETS_SESSION);
	packets_default(DENY, 0);
	packets_mark();
	far_left(far, &other);
	MUST(far_send(far, SERVER, "x", 1));
	ck_assert_uint_gt(packets_denied(), 0);
	ck_assert_uint_eq(far_left(far, &other), 0);
	packets_end();
}
END_TEST

void packets_end_tests(TCase *tc)
{
	tcase_add_loop_test(tc, forged_source, 0, LIVE_COUNT(packets_missing));
	tcase_add_loop_test(tc, accepted_in_an_earlier_session, 0, LIVE_COUNT(packets_missing));
}
