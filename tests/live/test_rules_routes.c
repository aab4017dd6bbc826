/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls whose packets go, or can go, to another address than the call names: rules judge both
 * addresses.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"
#include "rules.h"
#include "source_routes.h"

#define ABSENT (-1) /* the kernel refuses the option */
#define PORT 99

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;
static struct live_worker worker;

static void begin(uint64_t missing)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS,
		.required_hooks = RULES_HOOKS,
		.flags = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP,
		.simulate_missing = missing,
	};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
}

static struct agentsh_ebpf_rule rule_for(const struct connection_address *at, uint16_t action,
					 uint32_t rule_id)
{
	struct agentsh_ebpf_rule rule = {.action = action, .rule_id = rule_id};
	uint16_t port;

	connection_end(at, rule.addr, &port);
	rule.family = at->sa.any.sa_family;
	if (rule.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&at->sa.v6.sin6_addr))
		rule.family = AF_INET;
	rule.prefix_len = rule.family == AF_INET ? 32 : 128;
	return rule;
}

/* Replaces the rules of the session by one rule and a default. */
static void set(struct agentsh_ebpf_rule rule, uint32_t default_action)
{
	rules_set(session, rules_create(tracer, &rule, 1, default_action, 0));
}

/* ---- source routes ---------------------------------------------------------- */

static const struct source_route routes[] = {
	{"segments, tcp", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION, ROUTE_TCP},
	{"segments, sendto", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION, ROUTE_SENDTO},
	{"segments, udp connect", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION, ROUTE_UDP_CONNECT},
	{"loose, tcp", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION, ROUTE_TCP},
	{"loose, sendto", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION, ROUTE_SENDTO},
	{"loose, udp connect", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION, ROUTE_UDP_CONNECT},
	{"loose, mapped tcp", CONNECTION_MAPPED, ROUTE_LOOSE, BY_OPTION, ROUTE_TCP},
	{"loose, mapped sendto", CONNECTION_MAPPED, ROUTE_LOOSE, BY_OPTION, ROUTE_SENDTO},
};

/* live_fn: a call with a route, which nobody answers. */
static void call_routed(const void *arg, void *error)
{
	const struct source_route *way = arg;
	struct connection_address named = route_named(way->family), hop = route_hop(way->family);
	int fd = socket(named.sa.any.sa_family,
			(way->call == ROUTE_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC |
				SOCK_NONBLOCK, /* the answer may never come */
			0);
	ssize_t ret;

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	*(int *)error = ABSENT;
	if (named.sa.any.sa_family == AF_INET)
		named.sa.v4.sin_port = htons(PORT);
	else
		named.sa.v6.sin6_port = htons(PORT);
	if (!route_set(fd, way, &hop)) {
		ret = way->call == ROUTE_SENDTO ? sendto(fd, "x", 1, 0, &named.sa.any, named.size)
						: connect(fd, &named.sa.any, named.size);
		*(int *)error = ret < 0 ? errno : 0;
	}
	close(fd);
}

static void expect_routed(const struct source_route *way, bool denied, const char *when)
{
	int error;

	live_seen.count = 0;
	live_worker_call(&worker, call_routed, way, sizeof(*way), &error, sizeof(error));
	live_drain(tracer);
	if (error == ABSENT)
		return;
	LIVE_CHECK((error == EPERM) == denied, "%s, %s: %s", way->name, when, strerror(error));
	LIVE_CHECK(live_seen.count == 1 &&
			   live_seen.list[0].verdict == (denied ? AGENTSH_EBPF_VERDICT_DENIED
								: AGENTSH_EBPF_VERDICT_ALLOWED),
		   "%s, %s: %zu events, verdict %u", way->name, when, live_seen.count,
		   live_seen.list[0].verdict);
	LIVE_CHECK(live_seen.list[0].rule_id == (denied ? 7 : 0), "%s, %s: rule %u", way->name,
		   when, live_seen.list[0].rule_id);
}

static void try_routes(bool hop_is_known)
{
	live_worker_call(&worker, route_begin, NULL, 0, NULL, 0);
	for (size_t i = 0; i < LIVE_COUNT(routes); i++) {
		const struct source_route *way = &routes[i];
		struct connection_address named = route_named(way->family);
		struct connection_address hop = route_hop(way->family);
		struct connection_address other = route_other(way->family);

		set(rule_for(&named, DENY, 7), ALLOW);
		expect_routed(way, true, "the named address is denied");
		set(rule_for(&hop, DENY, 7), ALLOW);
		expect_routed(way, hop_is_known, "the first hop is denied");
		set(rule_for(&other, DENY, 7), ALLOW);
		expect_routed(way, false, "another address is denied");
	}
	live_worker_stop(&worker);
}

START_TEST(both_ends_of_a_route)
{
	begin(0);
	try_routes(!kernel_hides_tasks());
}
END_TEST

/* Without BTF nothing shows the route. */
START_TEST(routes_without_btf)
{
	begin(1ULL << AGENTSH_EBPF_CHECK_BTF);
	try_routes(false);
}
END_TEST

/* ---- this machine -------------------------------------------------------------- */

/* live_fn: a socket of an interface, and the address that means this machine. */
static void call_this_machine(const void *family, void *error)
{
	const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	const struct sockaddr_in6 mapped = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(PORT),
		.sin6_addr.s6_addr = {[10] = 0xff, [11] = 0xff},
	};
	bool ipv4 = *(const int *)family == AF_INET;
	int fd = socket(*(const int *)family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3),
		   "SO_BINDTODEVICE: %s", strerror(errno));
	*(int *)error = connect(fd, ipv4 ? (const void *)&v4 : (const void *)&mapped,
				ipv4 ? sizeof(v4) : sizeof(mapped))
				? errno
				: 0;
	close(fd);
}

START_TEST(this_machine_by_an_interface)
{
	static const int families[] = {AF_INET, AF_INET6};
	const struct connection_address loopback = connection_address("127.0.0.1", PORT);
	const struct connection_address zero = connection_address("0.0.0.0", PORT);
	int error;

	begin(0);
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		set(rule_for(&loopback, DENY, 7), ALLOW);
		live_worker_call(&worker, call_this_machine, &families[i], sizeof(families[i]),
				 &error, sizeof(error));
		ck_assert_int_eq(error, EPERM);
		set(rule_for(&zero, DENY, 7), ALLOW);
		live_worker_call(&worker, call_this_machine, &families[i], sizeof(families[i]),
				 &error, sizeof(error));
		ck_assert_int_eq(error, EPERM);
		set(rule_for(&zero, ALLOW, 7), ALLOW);
		live_worker_call(&worker, call_this_machine, &families[i], sizeof(families[i]),
				 &error, sizeof(error));
		ck_assert_int_eq(error, 0);
	}
	live_worker_stop(&worker);
}
END_TEST

/* live_fn: a socket that is bound to an address from which the kernel cannot send. */
static void call_from_multicast(const void *unused, void *error)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xe0000001)};
	const struct sockaddr_in zero = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	LIVE_CHECK(fd >= 0 && !bind(fd, (void *)&from, sizeof(from)), "bind: %s", strerror(errno));
	*(int *)error = connect(fd, (const void *)&zero, sizeof(zero)) ? errno : 0;
	close(fd);
}

START_TEST(this_machine_from_a_multicast_address)
{
	const struct connection_address loopback = connection_address("127.0.0.1", PORT);
	const struct connection_address zero = connection_address("0.0.0.0", PORT);
	const struct connection_address other = connection_address("127.0.0.2", PORT);
	int error;

	begin(0);
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
	set(rule_for(&loopback, DENY, 7), ALLOW);
	live_worker_call(&worker, call_from_multicast, NULL, 0, &error, sizeof(error));
	ck_assert_int_eq(error, EPERM);
	set(rule_for(&zero, DENY, 7), ALLOW);
	live_worker_call(&worker, call_from_multicast, NULL, 0, &error, sizeof(error));
	ck_assert_int_eq(error, EPERM);
	set(rule_for(&other, DENY, 7), ALLOW);
	live_worker_call(&worker, call_from_multicast, NULL, 0, &error, sizeof(error));
	ck_assert_int_ne(error, EPERM);
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules and other addresses");
	TCase *tc = live_case(s, "addresses");

	tcase_add_test(tc, both_ends_of_a_route);
	tcase_add_test(tc, routes_without_btf);
	tcase_add_test(tc, this_machine_by_an_interface);
	tcase_add_test(tc, this_machine_from_a_multicast_address);
	return live_main(s);
}
