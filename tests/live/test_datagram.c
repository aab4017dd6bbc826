/* SPDX-License-Identifier: Apache-2.0 */
/* Which datagrams cause events: one per socket and destination, or all; and which hooks do. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rules.h"
#include "traffic.h"

static struct live_cgroup cgroup;
static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_worker worker;

static void begin(const struct agentsh_ebpf_tracer_options *options)
{
	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
}

static void expect_stats(uint64_t delivered, uint64_t deduplicated)
{
	struct agentsh_ebpf_stats stats = live_session_stats(session);

	ck_assert_uint_eq(stats.delivered, delivered);
	ck_assert_uint_eq(stats.deduplicated, deduplicated);
	ck_assert_uint_eq(stats.lost, 0);
	stats = live_tracer_stats(tracer);
	ck_assert_uint_eq(stats.delivered, delivered);
	ck_assert_uint_eq(stats.deduplicated, deduplicated);
	ck_assert_uint_eq(stats.lost, 0);
	ck_assert_uint_eq(stats.malformed, 0);
}

START_TEST(once_per_socket_and_destination)
{
	begin(NULL);
	traffic_of(&worker, SENDS(.first = 1, .count = 5, .repeat = 7));
	live_drain(tracer);
	traffic_expect(0, 1, 1, 5);
	expect_stats(5, 30);
	traffic_of(&worker, SENDS(.first = 1, .count = 5)); /* all are duplicates */
	ck_assert_uint_eq(live_drain(tracer), 0);
	expect_stats(5, 35);
	traffic_of(&worker, SENDS(.first = 1, .count = 5, .port = 53)); /* another port */
	live_drain(tracer);
	traffic_expect(5, 1, 1, 5);
	expect_stats(10, 35);
	traffic_of(&worker, SENDS(.first = 1, .count = 5, .repeat = 2, .socket = 1));
	live_drain(tracer);
	traffic_expect(10, 1, 1, 5);
	expect_stats(15, 40);
	ck_assert_uint_ne(live_seen.list[0].socket_cookie, live_seen.list[10].socket_cookie);
	live_worker_stop(&worker);
}
END_TEST

/* Destinations that differ in only one word of the address. */
static void send_v6(const void *unused, void *unused_out)
{
	static const char *const to[] = {
		"2001:db8::1", "2001:db9::1", "2001:db8:0:1::1", "2001:db8::1:0:1", "2001:db8::2",
	};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	(void)unused_out;
	live_own_netns(NULL, NULL); /* no route: nothing leaves */
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < LIVE_COUNT(to); i++) {
			struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(53)};

			inet_pton(AF_INET6, to[i], &a.sin6_addr);
			(void)!sendto(fd, "x", 1, 0, (void *)&a, sizeof(a));
		}
	}
	close(fd);
}

START_TEST(once_per_v6_destination)
{
	begin(NULL);
	live_worker_call(&worker, send_v6, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_drain(tracer), 5);
	expect_stats(5, 10);
}
END_TEST

START_TEST(nested_sessions_once_each)
{
	struct agentsh_ebpf_session *inner;
	struct live_cgroup child;
	struct live_worker deep;
	int of_inner = 0;

	begin(NULL);
	live_cgroup_make(&child, &cgroup);
	inner = live_attach(tracer, &child, 2);
	live_worker_start(&deep, &child);
	traffic_of(&deep, SENDS(.first = 1, .count = 3, .repeat = 4));
	ck_assert_uint_eq(live_drain(tracer), 6);
	for (size_t i = 0; i < live_seen.count; i++)
		of_inner += live_seen.list[i].session_id == 2;
	ck_assert_int_eq(of_inner, 3);
	ck_assert_uint_eq(live_session_stats(inner).deduplicated, 9);
	ck_assert_uint_eq(live_session_stats(session).deduplicated, 9);
	ck_assert_uint_eq(live_tracer_stats(tracer).deduplicated, 18);
	live_worker_stop(&deep);
	live_worker_stop(&worker);
}
END_TEST

/* The next session of the cgroup does not inherit known destinations. */
START_TEST(next_session_starts_empty)
{
	begin(NULL);
	traffic_of(&worker, SENDS(.first = 1, .count = 3, .repeat = 2));
	live_drain(tracer);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	session = live_attach(tracer, &cgroup, 2);
	traffic_of(&worker, SENDS(.first = 1, .count = 3, .repeat = 2));
	live_drain(tracer);
	traffic_expect(3, 2, 1, 3);
	ck_assert_uint_eq(live_session_stats(session).delivered, 3);
	ck_assert_uint_eq(live_session_stats(session).deduplicated, 3);
	ck_assert_uint_eq(live_tracer_stats(tracer).deduplicated, 6);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(every_datagram)
{
	const struct agentsh_ebpf_tracer_options options = {.flags =
								    AGENTSH_EBPF_OPEN_UDP_NO_DEDUP};

	begin(&options);
	traffic_of(&worker, SENDS(.first = 1, .count = 5, .repeat = 7));
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_drain(tracer), 35);
	for (size_t i = 0; i < 35; i++)
		ck_assert_uint_eq(traffic_number(&live_seen.list[i]), 1 + i / 7);
	expect_stats(35, 0);
}
END_TEST

/* More destinations than entries: some are reported twice, and the counts still add up. */
START_TEST(few_dedup_entries)
{
	const struct agentsh_ebpf_tracer_options options = {.udp_dedup_entries = 16};
	struct agentsh_ebpf_stats stats;
	bool seen[301] = {false};

	begin(&options);
	for (int round = 0; round < 3; round++)
		traffic_of(&worker, SENDS(.first = 1, .count = 300, .repeat = 2));
	live_worker_stop(&worker);
	live_drain(tracer);
	for (size_t i = 0; i < live_seen.count; i++)
		seen[traffic_number(&live_seen.list[i])] = true;
	for (int i = 1; i <= 300; i++)
		ck_assert_msg(seen[i], "destination %d was never seen", i);
	stats = live_session_stats(session);
	ck_assert_uint_eq(stats.lost, 0);
	ck_assert_uint_eq(stats.delivered + stats.deduplicated, 1800);
	ck_assert_uint_ge(stats.deduplicated, 600); /* the second of each pair */
}
END_TEST

/* ---- hooks -------------------------------------------------------------- */

START_TEST(connect_hooks_only)
{
	const struct agentsh_ebpf_tracer_options options = {.hooks = AGENTSH_EBPF_HOOK_CONNECT};

	begin(&options);
	traffic_of(&worker, SENDS(.first = 1, .count = 3));
	traffic_of(&worker, CONNECTS(.first = 4, .count = 3));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 1, 4, 3);
	ck_assert_uint_eq(live_seen.list[0].kind, AGENTSH_EBPF_EVENT_CONNECT);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
}
END_TEST

START_TEST(udp_hooks_only)
{
	const struct agentsh_ebpf_tracer_options options = {.hooks = AGENTSH_EBPF_HOOK_UDP};

	begin(&options);
	traffic_of(&worker, SENDS(.first = 1, .count = 3));
	traffic_of(&worker, CONNECTS(.first = 4, .count = 3));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 1, 1, 3);
	ck_assert_uint_eq(live_seen.list[0].kind, AGENTSH_EBPF_EVENT_UDP_SEND);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &session, NULL),
			 -EEXIST);
}
END_TEST

START_TEST(both_hooks)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_CONNECT,
	};

	begin(&options);
	traffic_of(&worker, SENDS(.first = 1, .count = 3));
	traffic_of(&worker, CONNECTS(.first = 4, .count = 3));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 1, 1, 6);
}
END_TEST

/* ---- without a destination ---------------------------------------------------- */

static const struct {
	int family, level, type;
} ancillary[] = {
	{AF_INET, IPPROTO_IP, IP_TOS},
	{AF_INET, IPPROTO_IP, IP_TTL},
	{AF_INET6, IPPROTO_IPV6, IPV6_TCLASS},
	{AF_INET6, IPPROTO_IPV6, IPV6_HOPLIMIT},
};

/* live_fn: sends on connected sockets, with ancillary data for which the kernel runs the hook. */
static void send_ancillary(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	for (size_t i = 0; i < LIVE_COUNT(ancillary); i++) {
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
					  .sin6_port = htons(9),
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
		struct sockaddr_in v4 = {.sin_family = AF_INET,
					 .sin_port = htons(9),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		union {
			struct cmsghdr header;
			char bytes[CMSG_SPACE(sizeof(int))];
		} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
					.cmsg_level = ancillary[i].level,
					.cmsg_type = ancillary[i].type}};
		struct iovec data = {.iov_base = (char[]){"x"}, .iov_len = 1};
		struct msghdr message = {.msg_iov = &data,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};
		int fd = socket(ancillary[i].family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

		memcpy(CMSG_DATA(&control.header), &one, sizeof(one));
		LIVE_CHECK(!connect(fd, ancillary[i].family == AF_INET ? (void *)&v4 : (void *)&v6,
				    ancillary[i].family == AF_INET ? sizeof(v4) : sizeof(v6)),
			   "connect: %s", strerror(errno));
		LIVE_CHECK(sendmsg(fd, &message, 0) == 1, "row %zu: %s", i, strerror(errno));
		close(fd);
	}
}

/* A send without a destination is neither reported nor judged: the connect() was. */
START_TEST(ancillary_data)
{
	static const struct agentsh_ebpf_rule allowed = {
		.action = AGENTSH_EBPF_RULE_ALLOW, .protocol = IPPROTO_UDP, .first_port = 9};
	const struct agentsh_ebpf_tracer_options options = {.hooks = RULES_HOOKS,
							    .required_hooks = RULES_HOOKS};

	begin(&options);
	if (_i)
		rules_set(session, rules_create(tracer, &allowed, 1, AGENTSH_EBPF_RULE_DENY, 0));
	live_worker_call(&worker, send_ancillary, NULL, 0, NULL, 0);
	live_drain(tracer);
	ck_assert_uint_eq(live_seen.count, LIVE_COUNT(ancillary));
	for (size_t i = 0; i < live_seen.count; i++)
		ck_assert_uint_eq(live_seen.list[i].kind, AGENTSH_EBPF_EVENT_CONNECT);
	expect_stats(LIVE_COUNT(ancillary), 0);
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("datagram");
	TCase *tcase = live_case(suite, "datagrams and hooks");

	tcase_add_test(tcase, once_per_socket_and_destination);
	tcase_add_test(tcase, once_per_v6_destination);
	tcase_add_test(tcase, nested_sessions_once_each);
	tcase_add_test(tcase, next_session_starts_empty);
	tcase_add_test(tcase, every_datagram);
	tcase_add_test(tcase, few_dedup_entries);
	tcase_add_test(tcase, connect_hooks_only);
	tcase_add_test(tcase, udp_hooks_only);
	tcase_add_test(tcase, both_hooks);
	tcase_add_loop_test(tcase, ancillary_data, 0, 2);
	return live_main(suite);
}
