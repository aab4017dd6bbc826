/* SPDX-License-Identifier: Apache-2.0 */
/* The name of an event for each way to ask for it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "names_cases.h"

#define SERVER4 "127.0.53.1"
#define SERVER6 "::1"

struct seen {
	struct names_visit visit;
	uint64_t asked_ns;
};

enum server_family { V4, V6, MAPPED };

static const struct way {
	const char *title;
	enum names_way way;
	enum server_family family;
	uint16_t port;
} ways[] = {
	{"UDP over IPv4, connected", NAMES_CONNECTED, V4, 53},
	{"UDP over IPv6, connected", NAMES_CONNECTED, V6, 53},
	{"UDP, mapped, connected", NAMES_CONNECTED, MAPPED, 53},
	{"UDP over IPv4", NAMES_UNCONNECTED, V4, 53},
	{"UDP over IPv6", NAMES_UNCONNECTED, V6, 53},
	{"UDP, mapped", NAMES_UNCONNECTED, MAPPED, 53},
	{"TCP over IPv4", NAMES_TCP, V4, 53},
	{"TCP over IPv6", NAMES_TCP, V6, 53},
	{"TCP, mapped", NAMES_TCP, MAPPED, 53},
	{"a further port, UDP", NAMES_CONNECTED, V4, 5353},
	{"a further port, UDP without connect()", NAMES_UNCONNECTED, V6, 5353},
	{"a further port, TCP", NAMES_TCP, V4, 5353},
	{"another port, UDP", NAMES_CONNECTED, V4, 5354},
	{"another port, TCP", NAMES_TCP, V6, 5354},
};

static void run_way(const void *number, void *out)
{
	const struct way *w = &ways[*(const int *)number];
	const struct connection_address server =
		w->family == MAPPED
			? names_mapped(SERVER4, w->port)
			: connection_address(w->family == V4 ? SERVER4 : SERVER6, w->port);
	const struct connection_address to = w->family == MAPPED
						     ? names_mapped("127.0.1.1", NAMES_PORT)
						     : connection_address("127.0.1.1", NAMES_PORT);
	struct seen *seen = out;

	seen->asked_ns = connection_now();
	names_ask(w->way, &server, "a.test", NAMES_A, 7);
	names_visit(&to, &seen->visit);
}

static void try_way(int number, struct names_open how)
{
	const struct way *w = &ways[number];
	struct agentsh_ebpf_tracer *tracer = names_open(how);
	struct names_want want = {0};
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct seen seen;

	names_serve(w->family == V6 ? SERVER6 : SERVER4, w->port, names_cases_zone);
	names_serve_visits();
	names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, run_way, &number, sizeof(number), &seen, sizeof(seen));
	live_worker_stop(&worker);
	live_drain(tracer);
	if (w->port != 5354)
		want = (struct names_want){
			.asked = "a.test",
			.ttl_s = 300,
			.asker = seen.visit.tgid,
			.answered_ns = seen.asked_ns,
			.resolver = w->family == V6 ? SERVER6 : SERVER4,
			.resolver_port = w->port,
			.source = w->way == NAMES_TCP ? AGENTSH_EBPF_NAME_DNS_TCP
						      : AGENTSH_EBPF_NAME_DNS,
		};
	if (how.hooks && w->way == NAMES_UNCONNECTED)
		want.asker = 0;
	if (how.hooks) /* there is no UDP_SEND */
		names_expect_tcp(NAMES_SESSION, w->title, &seen.visit, &want);
	else
		names_expect(w->title, &seen.visit, &want);
	for (size_t i = 0; i < live_seen.count; i++) /* the name server itself has no name */
		if (live_seen.list[i].remote_port == w->port)
			names_expect_at(w->title, i, &(struct names_want){0});
}

START_TEST(ways_to_ask)
{
	try_way(_i, (struct names_open){.dns_port = 5353});
}
END_TEST

START_TEST(ways_to_ask_without_btf)
{
	try_way(_i, (struct names_open){.dns_port = 5353,
					.simulate_missing = 1ULL << AGENTSH_EBPF_CHECK_BTF});
}
END_TEST

/* Without the hook UDP it is unknown who asked with a socket that is not connected. */
START_TEST(ways_to_ask_without_the_udp_hook)
{
	try_way(_i, (struct names_open){.dns_port = 5353,
					.hooks = NAMES_HOOKS & ~AGENTSH_EBPF_HOOK_UDP});
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: ways to ask");
	TCase *tcase = live_case(suite, "ways to ask");

	tcase_add_loop_test(tcase, ways_to_ask, 0, (int)LIVE_COUNT(ways));
	tcase_add_loop_test(tcase, ways_to_ask_without_btf, 0, (int)LIVE_COUNT(ways));
	tcase_add_loop_test(tcase, ways_to_ask_without_the_udp_hook, 0, (int)LIVE_COUNT(ways));
	return names_main(suite);
}
