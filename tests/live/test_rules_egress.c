/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that judge packets: connections that are older than the rules, events and counters. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel.h"
#include "rules_packets_cases.h"

enum { SOCKET, LISTENER, SERVER, OTHER };

static struct far_sockets *const far = &packets_far;

static const struct old {
	const char *name;
	enum connection_family family;
	int type, protocol;
} olds[] = {
	{"tcp4", CONNECTION_V4, SOCK_STREAM, IPPROTO_TCP},
	{"tcp6", CONNECTION_V6, SOCK_STREAM, IPPROTO_TCP},
	{"tcp mapped", CONNECTION_MAPPED, SOCK_STREAM, IPPROTO_TCP},
	{"mptcp4", CONNECTION_V4, SOCK_STREAM, IPPROTO_MPTCP},
	{"udp4", CONNECTION_V4, SOCK_DGRAM, IPPROTO_UDP},
	{"udp6", CONNECTION_V6, SOCK_DGRAM, IPPROTO_UDP},
	{"udplite4", CONNECTION_V4, SOCK_DGRAM, IPPROTO_UDPLITE},
};

static bool lacks(const struct old *old)
{
	bool is_absent = (old->protocol == IPPROTO_MPTCP && !kernel_lists("MPTCP")) ||
			 (old->protocol == IPPROTO_UDPLITE && !kernel_lists("UDP-Lite"));

	if (is_absent)
		printf("not tried: this kernel has no %s\n", old->name);
	return is_absent;
}

/* Makes a connection to a peer outside, whose end is SERVER; returns the peer's address. */
static struct connection_address connect_old(const struct old *old)
{
	struct connection_address at = connection_loopback(old->family, 0);
	int domain = at.sa.any.sa_family;

	far->outside = true;
	LIVE_CHECK(!far_socket(far, LISTENER, domain, old->type, old->protocol) &&
			   !far_bind(far, LISTENER, &at),
		   "%s: listener", old->name);
	far->outside = false;
	if (old->type == SOCK_STREAM)
		LIVE_CHECK(!far_listen(far, LISTENER), "%s: listen", old->name);
	at = far_name(far, LISTENER);
	LIVE_CHECK(!far_socket(far, SOCKET, domain, old->type, old->protocol) &&
			   !far_connect(far, SOCKET, &at),
		   "%s: connect", old->name);
	if (old->type == SOCK_STREAM)
		LIVE_CHECK(!far_accept(far, LISTENER, SERVER), "%s: accept", old->name);
	return at;
}

static int receiver_of(const struct old *old)
{
	return old->type == SOCK_STREAM ? SERVER : LISTENER;
}

static void close_old(const struct old *old)
{
	far_close(far, SOCKET);
	if (old->type == SOCK_STREAM)
		far_close(far, SERVER);
	far_close(far, LISTENER);
}

/* ---- connections before the rules ------------------------------------------------ */

static void expect_passes(const struct old *old, const struct connection_address *at,
			  const char *when)
{
	int error;

	packets_mark();
	error = far_send(far, SOCKET, "x", 1);
	LIVE_CHECK(!error, "%s, %s: %s", old->name, when, strerror(error));
	error = far_receive(far, receiver_of(old), LIVE_DEADLINE_MS);
	LIVE_CHECK(!error, "%s, %s: %s", old->name, when, strerror(error));
	LIVE_CHECK(!packets_denied() && !packets_events(), "%s, %s: denied", old->name, when);
	far_left(far, at);
}

/* The expected event of a socket whose connect() no LIFECYCLE has kept. */
static void expect_event(const struct old *old, const struct connection_address *at,
			 uint32_t verdict, uint32_t rule_id)
{
	size_t count;
	const struct agentsh_ebpf_event *e = packets_event(at, &count);

	LIVE_CHECK(count == 1, "%s: %zu events", old->name, count);
	LIVE_CHECK(packets_events() == 1, "%s: events of other destinations", old->name);
	LIVE_CHECK(e->session_id == PACKETS_SESSION && e->verdict == verdict &&
			   e->rule_id == rule_id && e->socket_type == old->type &&
			   e->flags ==
				   (AGENTSH_EBPF_FLAG_UNATTRIBUTED |
				    (old->family == CONNECTION_MAPPED ? AGENTSH_EBPF_FLAG_V4_MAPPED
								      : 0)) &&
			   e->local_port && !expectation_has_task(e),
		   "%s: verdict %u, rule %u, type %u, flags %u", old->name, e->verdict, e->rule_id,
		   e->socket_type, e->flags);
	if (old->protocol != IPPROTO_MPTCP)
		LIVE_CHECK(e->socket_cookie == far_cookie(far, SOCKET) &&
				   e->protocol == old->protocol,
			   "%s: socket", old->name);
}

static void expect_denied(const struct old *old, const struct connection_address *at,
			  uint32_t rule_id, const char *when)
{
	int error, wanted = old->type == SOCK_STREAM ? 0 : EPERM;

	packets_mark();
	far_left(far, at);
	for (int i = 0; i < 3; i++) {
		error = far_send(far, SOCKET, "x", 1);
		LIVE_CHECK(error == wanted, "%s, %s: %s", old->name, when, strerror(error));
	}
	LIVE_CHECK(!far_left(far, at), "%s, %s: packets have left", old->name, when);
	LIVE_CHECK(far_receive(far, receiver_of(old), 100) == EAGAIN, "%s, %s: arrived", old->name,
		   when);
	LIVE_CHECK(old->type == SOCK_STREAM ? packets_denied() >= 1 : packets_denied() == 3,
		   "%s, %s: %llu denied", old->name, when, (unsigned long long)packets_denied());
	LIVE_CHECK(packets_deduplicated() + 1 == packets_denied(), "%s, %s: %llu deduplicated",
		   old->name, when, (unsigned long long)packets_deduplicated());
	expect_event(old, at, AGENTSH_EBPF_VERDICT_DENIED, rule_id);
}

/* What was not delivered while it was denied is sent again. */
static void expect_recovers(const struct old *old, const struct connection_address *at)
{
	if (old->type == SOCK_STREAM)
		for (int i = 0; i < 3; i++)
			LIVE_CHECK(!far_receive(far, SERVER, LIVE_DEADLINE_MS),
				   "%s: stalls although it is allowed", old->name);
	expect_passes(old, at, "allowed again");
}

static void try_old(const struct old *old)
{
	struct connection_address at = connect_old(old);
	bool is_tcp = old->type == SOCK_STREAM;

	expect_passes(old, &at, "without rules");
	rules_set(packets_session, rules_create(packets_tracer, NULL, 0, DENY, 0));
	expect_passes(old, &at, "without EGRESS");
	packets_rule(packets_rule_for(&at, DENY, is_tcp ? IPPROTO_UDP : IPPROTO_TCP), ALLOW, 0);
	expect_passes(old, &at, "another protocol is denied");
	packets_default(DENY, 0);
	expect_denied(old, &at, 0, "everything is denied");
	packets_default(ALLOW, 0);
	expect_recovers(old, &at);
	close_old(old);
	at = connect_old(old);
	packets_rule(packets_rule_for(&at, DENY, is_tcp ? IPPROTO_TCP : IPPROTO_UDP), ALLOW, 0);
	expect_denied(old, &at, PACKETS_RULE, "a rule denies it");
	packets_rule(packets_rule_for(&at, ALLOW, 0), DENY, 0);
	expect_recovers(old, &at);
	rules_set(packets_session, NULL);
	expect_passes(old, &at, "without rules again");
	close_old(old);
}

START_TEST(before_the_rules)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(olds); i++)
		if (!lacks(&olds[i]))
			try_old(&olds[i]);
	packets_end();
}
END_TEST

START_TEST(audit)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(olds); i++) {
		struct connection_address at;

		if (lacks(&olds[i]))
			continue;
		at = connect_old(&olds[i]);
		packets_default(DENY, AUDIT);
		packets_mark();
		LIVE_CHECK(!far_send(far, SOCKET, "x", 1) &&
				   !far_receive(far, receiver_of(&olds[i]), LIVE_DEADLINE_MS),
			   "%s: does not pass", olds[i].name);
		expect_event(&olds[i], &at, AGENTSH_EBPF_VERDICT_WOULD_DENY, 0);
		ck_assert_uint_ge(packets_would_deny(), 1);
		ck_assert_uint_eq(packets_denied(), 0);
		rules_set(packets_session, NULL);
		close_old(&olds[i]);
	}
	packets_end();
}
END_TEST

/* ---- events ------------------------------------------------------------------------ */

#define UDP4 (&olds[4])

/* With LIFECYCLE the process of an earlier connect() is known. */
START_TEST(process_of_an_earlier_event)
{
	const struct agentsh_ebpf_event *e;
	struct connection_address at;
	size_t count;

	packets_open(0, AGENTSH_EBPF_HOOK_LIFECYCLE);
	far_start(far, &packets_cgroup);
	at = connect_old(UDP4);
	packets_default(DENY, 0);
	packets_mark();
	ck_assert_int_eq(far_send(far, SOCKET, "x", 1), EPERM);
	e = packets_event(&at, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(e->flags, 0);
	ck_assert_uint_eq(e->tgid, (uint32_t)far->worker.pid);
	ck_assert_uint_eq(e->cgroup_id, packets_cgroup.id);
	packets_end();
}
END_TEST

#define DESTINATIONS 60
#define REPEATS 3

static struct connection_address destination(uint8_t last)
{
	struct connection_address at = connection_address("127.9.9.0", 0);

	at.sa.v4.sin_addr.s_addr |= htonl(last);
	return at;
}

/* A raw socket has no other events. */
static void send_to_all(void)
{
	for (int i = 0; i < REPEATS; i++)
		for (uint8_t to = 0; to < DESTINATIONS; to++) {
			const struct connection_address at = destination(to);

			ck_assert_int_eq(far_send_to(far, SOCKET, "x", 1, &at, 0), EPERM);
		}
}

START_TEST(one_event_per_socket_and_destination)
{
	const struct connection_address one = destination(1);
	struct agentsh_ebpf_stats stats;

	packets_begin(packets_missing[_i]);
	packets_default(DENY, 0);
	for (uint64_t sockets = 1; sockets <= 2; sockets++) {
		ck_assert_int_eq(far_socket(far, SOCKET, AF_INET, SOCK_RAW, 200), 0);
		send_to_all();
		ck_assert_uint_eq(packets_events(), sockets * DESTINATIONS);
		stats = live_session_stats(packets_session);
		ck_assert_uint_eq(stats.packets_denied, sockets * DESTINATIONS * REPEATS);
		ck_assert_uint_eq(stats.delivered, sockets * DESTINATIONS);
		ck_assert_uint_eq(stats.deduplicated, sockets * DESTINATIONS * (REPEATS - 1));
		ck_assert_uint_eq(stats.lost + stats.denied + stats.would_deny, 0);
		far_close(far, SOCKET);
	}
	/* with another verdict, the same packets are reported once more */
	ck_assert_int_eq(far_socket(far, SOCKET, AF_INET, SOCK_RAW, 200), 0);
	send_to_all();
	packets_default(DENY, AUDIT);
	packets_mark();
	ck_assert_int_eq(far_send_to(far, SOCKET, "x", 1, &one, 0), 0);
	ck_assert_uint_eq(packets_events(), 1);
	packets_end();
}
END_TEST

/* A lost event is lost; the next packet to its destination is reported again. */
START_TEST(events_that_are_lost)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = PACKETS_HOOKS,
		.required_hooks = PACKETS_HOOKS,
		.ring_size = 4096,
		.ring_quota = 100,
		.flags = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP, /* has no effect on packets */
	};
	struct agentsh_ebpf_stats stats;

	live_cgroup_make(&packets_cgroup, NULL);
	packets_tracer = live_open(&options);
	packets_session = live_attach(packets_tracer, &packets_cgroup, PACKETS_SESSION);
	far_start(far, &packets_cgroup);
	packets_default(DENY, 0);
	packets_mark();
	ck_assert_int_eq(far_socket(far, SOCKET, AF_INET, SOCK_RAW, 200), 0);
	send_to_all();
	live_drain(packets_tracer);
	stats = live_session_stats(packets_session);
	ck_assert_uint_eq(stats.packets_denied, DESTINATIONS * REPEATS);
	ck_assert_uint_gt(stats.lost, 0);
	ck_assert_uint_gt(stats.deduplicated, 0);
	ck_assert_uint_eq(stats.delivered, packets_events());
	ck_assert_uint_eq(stats.delivered + stats.lost + stats.deduplicated,
			  DESTINATIONS * REPEATS);
	for (uint8_t to = 0; to < DESTINATIONS; to++) {
		const struct connection_address at = destination(to);
		size_t count;

		ck_assert_int_eq(far_send_to(far, SOCKET, "x", 1, &at, 0), EPERM);
		packets_event(&at, &count);
		LIVE_CHECK(count == 1, "127.9.9.%u: %zu events", to, count);
	}
	far_stop(far);
}
END_TEST

/* ---- sessions ------------------------------------------------------------------------ */

/* Either session can deny; each that does so counts and reports. */
START_TEST(nested_sessions)
{
	struct agentsh_ebpf_session *outer, *inner;
	struct connection_address at;
	struct live_cgroup child;

	packets_open(packets_missing[_i], 0);
	outer = packets_session;
	live_cgroup_make(&child, &packets_cgroup);
	inner = live_attach(packets_tracer, &child, PACKETS_SESSION + 1);
	far_start(far, &child);
	at = connect_old(UDP4);
	packets_default(DENY, 0);
	ck_assert_int_eq(far_send(far, SOCKET, "x", 1), EPERM);
	ck_assert_uint_eq(live_session_stats(outer).packets_denied, 1);
	ck_assert_uint_eq(live_session_stats(inner).packets_denied, 0);
	packets_session = inner;
	packets_default(ALLOW, 0);
	ck_assert_int_eq(far_send(far, SOCKET, "x", 1), EPERM);
	ck_assert_uint_eq(live_session_stats(inner).packets_denied, 0);
	packets_default(DENY, 0);
	rules_set(outer, NULL);
	ck_assert_int_eq(far_send(far, SOCKET, "x", 1), EPERM);
	ck_assert_uint_eq(live_session_stats(inner).packets_denied, 1);
	ck_assert_uint_eq(live_session_stats(outer).packets_denied, 2);
	live_detach(inner);
	ck_assert_int_eq(far_send(far, SOCKET, "x", 1), 0);
	ck_assert_int_eq(far_receive(far, LISTENER, LIVE_DEADLINE_MS), 0);
	ck_assert_uint_eq(packets_events(), 2); /* one per session */
	(void)at;
	packets_session = outer;
	packets_end();
}
END_TEST

START_TEST(requires_its_hook)
{
	const struct agentsh_ebpf_tracer_options options = {.hooks = RULES_HOOKS,
							    .required_hooks = RULES_HOOKS};
	const struct agentsh_ebpf_rules_options egress = {.size = sizeof(egress), .flags = EGRESS};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_rules *rules;

	ck_assert_int_eq(
		agentsh_ebpf_rules_create(live_open(&options), NULL, 0, &egress, &rules, &err),
		-EOPNOTSUPP);
	live_expect_message(&err, "EGRESS");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules and packets");
	TCase *tc = live_case(s, "packets");
	const int both = LIVE_COUNT(packets_missing);

	tcase_add_loop_test(tc, before_the_rules, 0, both);
	tcase_add_loop_test(tc, audit, 0, both);
	tcase_add_test(tc, process_of_an_earlier_event);
	tcase_add_loop_test(tc, one_event_per_socket_and_destination, 0, both);
	tcase_add_test(tc, events_that_are_lost);
	tcase_add_loop_test(tc, nested_sessions, 0, both);
	tcase_add_test(tc, requires_its_hook);
	packets_route_tests(tc);
	packets_kind_tests(tc);
	packets_header_tests(tc);
	packets_end_tests(tc);
	packets_netns_tests(tc);
	return live_main(s);
}
