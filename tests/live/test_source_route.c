/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A routing header or a source route sends the packets to another address than the calls
 * name. What events say is compared with the destination of the packets on the wire.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <linux/in6.h> /* after netinet/in.h, which it would contradict with musl */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"
#include "source_routes.h"

#define HOOKS (CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_UDP)

static const struct source_route ways[] = {
	{"segments, tcp", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION, ROUTE_TCP},
	{"segments, sendto", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION, ROUTE_SENDTO},
	{"segments, udp connect", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION, ROUTE_UDP_CONNECT},
	{"segments, tcp, after connect", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION_LATE, ROUTE_TCP},
	{"segments, udp, after connect", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION_LATE,
	 ROUTE_UDP_CONNECT},
	{"no segment left, sendto", CONNECTION_V6, ROUTE_SEGMENTS_LAST, BY_OPTION, ROUTE_SENDTO},
	{"type 2, tcp", CONNECTION_V6, ROUTE_MOBILE, BY_OPTION, ROUTE_TCP},
	{"type 2, sendto", CONNECTION_V6, ROUTE_MOBILE, BY_OPTION, ROUTE_SENDTO},
	{"type 2, udp connect", CONNECTION_V6, ROUTE_MOBILE, BY_OPTION, ROUTE_UDP_CONNECT},
	{"type 2, packet options", CONNECTION_V6, ROUTE_MOBILE, BY_PKTOPTIONS, ROUTE_SENDTO},
	{"type 2, message", CONNECTION_V6, ROUTE_MOBILE, BY_MESSAGE, ROUTE_SENDTO},
	{"type 2, flow label", CONNECTION_V6, ROUTE_MOBILE, BY_FLOW_LABEL, ROUTE_SENDTO},
	{"loose, tcp", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION, ROUTE_TCP},
	{"loose, sendto", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION, ROUTE_SENDTO},
	{"loose, udp connect", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION, ROUTE_UDP_CONNECT},
	{"loose, tcp, after connect", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION_LATE, ROUTE_TCP},
	{"loose, udp, after connect", CONNECTION_V4, ROUTE_LOOSE, BY_OPTION_LATE,
	 ROUTE_UDP_CONNECT},
	{"loose, message", CONNECTION_V4, ROUTE_LOOSE, BY_MESSAGE, ROUTE_SENDTO},
	{"strict, tcp", CONNECTION_V4, ROUTE_STRICT, BY_OPTION, ROUTE_TCP},
	{"strict, sendto", CONNECTION_V4, ROUTE_STRICT, BY_OPTION, ROUTE_SENDTO},
	{"loose, mapped tcp", CONNECTION_MAPPED, ROUTE_LOOSE, BY_OPTION, ROUTE_TCP},
	{"loose, mapped sendto", CONNECTION_MAPPED, ROUTE_LOOSE, BY_OPTION, ROUTE_SENDTO},
};

/* Whether an event of this kind names the first hop. SECURITY.md lists what no hook sees. */
static bool is_seen(const struct source_route *way, uint32_t kind)
{
	if (kernel_hides_tasks() || way->by == BY_MESSAGE || way->by == BY_FLOW_LABEL)
		return false;
	if (way->by == BY_OPTION_LATE)
		return way->call == ROUTE_TCP && kind == AGENTSH_EBPF_EVENT_CLOSED;
	return true;
}

static void expect_remote(const struct agentsh_ebpf_event *event, const char *name,
			  enum connection_family family, const struct connection_address *remote,
			  bool routed)
{
	uint8_t addr[16] = {0};
	bool flagged = event->flags & AGENTSH_EBPF_FLAG_SOURCE_ROUTED;

	if (family == CONNECTION_V4)
		memcpy(addr, &remote->sa.v4.sin_addr, 4);
	else if (family == CONNECTION_MAPPED)
		memcpy(addr, remote->sa.v6.sin6_addr.s6_addr + 12, 4);
	else
		memcpy(addr, &remote->sa.v6.sin6_addr, 16);
	LIVE_CHECK(flagged == routed, "%s: event of kind %u has %s flag", name, event->kind,
		   flagged ? "a" : "no");
	LIVE_CHECK(!memcmp(event->remote_addr, addr, sizeof(addr)),
		   "%s: event of kind %u has another remote address", name, event->kind);
	CONNECTION_SAME(event->family, family == CONNECTION_V6 ? AF_INET6 : AF_INET);
}

static void expect_events(const struct source_route *way, const struct route_result *result)
{
	static const uint32_t kinds[][3] = {
		[ROUTE_TCP] = {AGENTSH_EBPF_EVENT_CONNECT, AGENTSH_EBPF_EVENT_CONNECTED,
			       AGENTSH_EBPF_EVENT_CLOSED},
		[ROUTE_SENDTO] = {AGENTSH_EBPF_EVENT_UDP_SEND, AGENTSH_EBPF_EVENT_CLOSED},
		[ROUTE_UDP_CONNECT] = {AGENTSH_EBPF_EVENT_CONNECT, AGENTSH_EBPF_EVENT_CLOSED},
	};
	static const uint32_t unanswered[3] = {AGENTSH_EBPF_EVENT_CONNECT,
					       AGENTSH_EBPF_EVENT_CONNECT_FAILED};
	bool fails =
		way->call == ROUTE_TCP && way->route != ROUTE_SEGMENTS && way->by != BY_OPTION_LATE;
	const uint32_t *kind = fails ? unanswered : kinds[way->call];
	struct connection_address named = route_named(way->family), hop = route_hop(way->family);
	size_t count = kind[2] ? 3 : 2;

	LIVE_CHECK(live_seen.count == count, "%s: %zu events", way->name, live_seen.count);
	for (size_t i = 0; i < count; i++) {
		const struct agentsh_ebpf_event *event = &live_seen.list[i];
		bool seen = is_seen(way, kind[i]);

		CONNECTION_SAME(event->kind, kind[i]);
		CONNECTION_SAME(event->remote_port, result->port);
		expect_remote(event, way->name, way->family, seen ? &hop : &named, seen);
	}
}

/* Takes the way in a worker of a session, after a call of close_ways if it is not NULL. */
static void take(const struct source_route *way, live_fn close_ways, struct route_result *result)
{
	struct agentsh_ebpf_tracer *tracer =
		live_open_kept(&(struct agentsh_ebpf_tracer_options){.hooks = HOOKS});
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, route_begin, NULL, 0, NULL, 0);
	if (close_ways)
		live_worker_call(&worker, close_ways, NULL, 0, NULL, 0);
	live_worker_call(&worker, route_take, way, sizeof(*way), result, sizeof(*result));
	live_worker_stop(&worker);
	live_drain(tracer);
}

/* A kernel without CONFIG_IPV6_MIP6 refuses headers of type 2. */
static bool is_unknown(const struct source_route *way, const struct route_result *result)
{
	return result->error == EINVAL && way->route == ROUTE_MOBILE;
}

START_TEST(first_hop)
{
	const struct source_route *way = &ways[_i];
	struct route_result result;

	take(way, NULL, &result);
	if (is_unknown(way, &result)) {
		fprintf(stderr, "left out: %s: the kernel has no CONFIG_IPV6_MIP6\n", way->name);
		return;
	}
	if (result.privileged)
		fprintf(stderr, "%s: the kernel demands CAP_NET_RAW\n", way->name);
	CONNECTION_SAME(result.error, 0);
	ck_assert_uint_gt(result.hop, 0);
	CONNECTION_SAME(result.elsewhere, 0);
	if (way->call == ROUTE_TCP && way->route == ROUTE_SEGMENTS)
		ck_assert(result.talked);
	expect_events(way, &result);
}
END_TEST

/* ---- recipes of docs/SECURITY.md ---------------------------------------- */

/* The list of options is the one in the document. */
static void refuse_options(const void *unused, void *unused_out)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_setsockopt, 0, 9),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IP, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IP_OPTIONS, 6, 5),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPV6, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPV6_RTHDR, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPV6_2292PKTOPTIONS, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPV6_FLOWLABEL_MGR, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = {.len = LIVE_COUNT(filter), .filter = filter};

	(void)unused;
	(void)unused_out;
	LIVE_CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
			   !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program),
		   "seccomp: %s", strerror(errno));
}

/* seccomp cannot read ancillary data, which is behind a pointer. */
START_TEST(seccomp_recipe)
{
	const struct source_route *way = &ways[_i];
	struct route_result result;

	if (way->by == BY_MESSAGE)
		return;
	take(way, refuse_options, &result);
	CONNECTION_SAME(result.error, EPERM);
	CONNECTION_SAME(result.hop, 0);
}
END_TEST

/* The file that the document names. The call needs the privileges of the network namespace. */
static void load_nft_rules(const void *unused, void *unused_out)
{
	uid_t user = geteuid();

	(void)unused;
	(void)unused_out;
	LIVE_CHECK(!seteuid(0) && !system("nft -f " NFT_RULES) && !seteuid(user), "nft failed");
}

START_TEST(nft_recipe)
{
	const struct source_route *way = &ways[_i];
	struct route_result result;

	/* These two would wait for the dropped packets. */
	if (way->call == ROUTE_TCP && way->route == ROUTE_SEGMENTS)
		return;
	take(way, load_nft_rules, &result);
	if (is_unknown(way, &result))
		return;
	CONNECTION_SAME(result.hop, 0);
	CONNECTION_SAME(result.elsewhere, 0);
}
END_TEST

/* ---- one event per first hop -------------------------------------------- */

static const struct source_route by_option = {"", CONNECTION_V6, ROUTE_SEGMENTS, BY_OPTION,
					      ROUTE_SENDTO};

/* Sends to one address by no, one and another first hop, each time twice. */
static void sends_by_hops(const void *unused, void *unused_out)
{
	struct connection_address to = route_named(CONNECTION_V6);
	struct connection_address hops[] = {route_hop(CONNECTION_V6), route_other(CONNECTION_V6)};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	(void)unused_out;
	to.sa.v6.sin6_port = htons(26020);
	for (int i = -1; i < 2; i++) {
		LIVE_CHECK(i < 0 || !route_set(fd, &by_option, &hops[i]), "IPV6_RTHDR: %s",
			   strerror(errno));
		for (int repeat = 0; repeat < 2; repeat++)
			(void)!sendto(fd, "x", 1, 0, &to.sa.any, to.size);
	}
	LIVE_CHECK(!setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, NULL, 0), "IPV6_RTHDR: %s",
		   strerror(errno));
	(void)!sendto(fd, "x", 1, 0, &to.sa.any, to.size);
	close(fd);
}

START_TEST(once_per_first_hop)
{
	struct agentsh_ebpf_tracer *tracer =
		live_open_kept(&(struct agentsh_ebpf_tracer_options){.hooks = HOOKS});
	struct connection_address remotes[] = {route_named(CONNECTION_V6), route_hop(CONNECTION_V6),
					       route_other(CONNECTION_V6),
					       route_named(CONNECTION_V6)};
	bool hidden = kernel_hides_tasks();
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, route_begin, NULL, 0, NULL, 0);
	live_worker_call(&worker, sends_by_hops, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	ck_assert_uint_eq(live_seen.count, hidden ? 2 : 4);
	ck_assert_uint_eq(live_session_stats(session).deduplicated, hidden ? 6 : 4);
	/* CLOSED names the destination of the last datagram. */
	for (size_t i = 0; i < live_seen.count; i++)
		expect_remote(&live_seen.list[i], "hops", CONNECTION_V6, &remotes[hidden ? 0 : i],
			      !hidden && (i == 1 || i == 2));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("source_route");
	TCase *tcase = live_case(suite, "source routes");

	tcase_add_loop_test(tcase, first_hop, 0, LIVE_COUNT(ways));
	tcase_add_loop_test(tcase, seccomp_recipe, 0, LIVE_COUNT(ways));
	if (system("command -v nft >/dev/null"))
		fprintf(stderr, "left out: nft rules: nft is not installed\n");
	else
		tcase_add_loop_test(tcase, nft_recipe, 0, LIVE_COUNT(ways));
	tcase_add_test(tcase, once_per_first_hop);
	return live_main(suite);
}
