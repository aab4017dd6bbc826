/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sessions report a socket that only its packets show, and of which sockets; nothing is
 * lost that is not counted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netlink.h"
#include "unannounced.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define PORT 26700

static int raw = -1;

static void send_raw(const void *unused, void *out)
{
	struct connection_address to = connection_loopback(CONNECTION_V4, 0);
	struct unannounced_list *list = out;
	struct expectation *want;

	(void)unused;
	if (raw < 0)
		raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	LIVE_CHECK(raw >= 0, "raw socket: %s", strerror(errno));
	want = unannounced_expect(list, "raw", raw, 0);
	unannounced_remote(want, &to);
	to.sa.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	unannounced_local(want, &to);
	to = connection_loopback(CONNECTION_V4, 0);
	LIVE_CHECK(sendto(raw, "\0\0\0\0\0\0\0\0", 8, 0, &to.sa.any, to.size) == 8, "sendto: %s",
		   strerror(errno));
	unannounced_passed(list);
}

static void close_raw(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	close(raw);
	raw = -1;
}

/* Each of nested sessions has its own events; a session beside has none. */
START_TEST(nested)
{
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	struct agentsh_ebpf_session *inner_session;
	struct live_cgroup outer, inner, beside;
	struct live_worker worker;
	struct unannounced_list list;

	live_cgroup_make(&outer, NULL);
	live_cgroup_make(&inner, &outer);
	live_cgroup_make(&beside, &outer);
	live_attach(tracer, &outer, 1);
	inner_session = live_attach(tracer, &inner, 2);
	live_attach(tracer, &beside, 3);
	unannounced_start(&worker, &inner);
	live_worker_call(&worker, send_raw, NULL, 0, &list, sizeof(list));
	live_drain(tracer);
	unannounced_check(1, &list, 0);
	unannounced_check(2, &list, 0);
	CONNECTION_SAME(live_seen.count, 2);
	if (_i) { /* the other session goes on */
		live_detach(inner_session);
		live_drain(tracer);
		CONNECTION_SAME(connection_count(AGENTSH_EBPF_EVENT_PROGRESS), 1);
	}
	live_worker_call(&worker, close_raw, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	CONNECTION_SAME(unannounced_count(1, 0, CLOSED), 1);
	CONNECTION_SAME(unannounced_count(2, 0, CLOSED), !_i);
	CONNECTION_SAME(live_seen.count, 4);
}
END_TEST

/* A socket of a child cgroup, used in another network namespace and by another process. */
static void use_elsewhere(const void *unused, void *out)
{
	int status;
	pid_t pid;

	(void)unused;
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	pid = fork();
	if (!pid) {
		struct connection_address to = connection_loopback(CONNECTION_V4, 0);

		live_cgroup_enter(NULL);
		live_own_netns(NULL, NULL);
		sendto(raw, "\0\0\0\0\0\0\0\0", 8, 0, &to.sa.any, to.size);
		_exit(0);
	}
	LIVE_CHECK(waitpid(pid, &status, 0) == pid && !status, "child");
	memset(out, 0, sizeof(struct expectation));
	expectation_socket(out, raw);
	close_raw(NULL, NULL);
}

START_TEST(used_elsewhere)
{
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	struct live_cgroup outer, inner;
	struct live_worker worker;
	struct expectation want;

	live_cgroup_make(&outer, NULL);
	live_cgroup_make(&inner, &outer);
	live_attach(tracer, &outer, 1);
	unannounced_start(&worker, &inner);
	live_worker_call(&worker, use_elsewhere, NULL, 0, &want, sizeof(want));
	live_worker_stop(&worker);
	live_drain(tracer);
	CONNECTION_SAME(live_seen.count, 2);
	CONNECTION_SAME(live_seen.list[0].kind, UNANNOUNCED);
	CONNECTION_SAME(live_seen.list[0].socket_cookie, want.want.socket_cookie);
	/* the namespace of the socket, not of the process that sends */
	if (live_seen.list[0].netns_cookie && want.want.netns_cookie)
		CONNECTION_SAME(live_seen.list[0].netns_cookie, want.want.netns_cookie);
	CONNECTION_SAME(live_seen.list[1].kind, CLOSED);
	CONNECTION_SAME(live_seen.list[1].packets_sent, 1);
}
END_TEST

/* ---- sockets of the kernel -------------------------------------------------------- */

/* Waits until the kernel has sent messages of its own: it looks for neighbours. */
static void make_links(const void *unused, void *unused_out)
{
	const int64_t end = live_now_ms() + LIVE_DEADLINE_MS;
	unsigned long sent = 0, count;
	char line[128];

	(void)unused;
	(void)unused_out;
	live_own_netns(NULL, NULL);
	LIVE_CHECK(!netlink_add_veth("one", "two"), "no veth");
	while (sent < 2) {
		FILE *file = fopen("/proc/thread-self/net/snmp6", "re");

		LIVE_CHECK(file && live_now_ms() < end, "snmp6: %lu messages", sent);
		while (fgets(line, sizeof(line), file))
			if (sscanf(line, "Icmp6OutMsgs %lu", &count) == 1)
				sent = count;
		fclose(file);
		usleep(10000);
	}
}

/*
 * The kernel has sockets of its own in a network namespace, which belong to the cgroup of the
 * process that made the namespace. They are no sockets of a process, and no close() ends them.
 */
START_TEST(sockets_of_the_kernel)
{
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, make_links, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	for (size_t i = 0; i < live_seen.count; i++)
		LIVE_CHECK(connection_errors_hidden, "%s, protocol %u, type %u",
			   agentsh_ebpf_kind_name(live_seen.list[i].kind),
			   live_seen.list[i].protocol, live_seen.list[i].socket_type);
	CONNECTION_SAME(live_session_stats(session).untracked, 0);
}
END_TEST

/* ---- a reader that is too slow ---------------------------------------------------- */

#define FLOOD_SOCKETS 3000

static void open_many(const void *unused, void *unused_out)
{
	const struct connection_address to = connection_loopback(CONNECTION_V4, PORT);
	int fd;

	(void)unused;
	(void)unused_out;
	for (int i = 0; i < FLOOD_SOCKETS; i++) {
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		LIVE_CHECK(!connect(fd, &to.sa.any, to.size) && send(fd, "x", 1, 0) == 1,
			   "send: %s", strerror(errno));
		close(fd);
		fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
		LIVE_CHECK(sendto(fd, "12345678", 8, 0, &to.sa.any, to.size) == 8, "sendto: %s",
			   strerror(errno));
		close(fd);
	}
}

/* Every event is delivered or counted as lost, and only those of the session that floods. */
START_TEST(a_flood_of_sockets)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = UNANNOUNCED_HOOKS,
		.required_hooks = UNANNOUNCED_HOOKS,
		.ring_size = 1 << 16,
	};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	struct agentsh_ebpf_session *session, *other;
	struct live_cgroup cgroup, beside;
	struct live_worker worker, witness;
	struct agentsh_ebpf_stats stats;
	struct unannounced_list list;

	live_cgroup_make(&cgroup, NULL);
	live_cgroup_make(&beside, NULL);
	unannounced_start(&worker, &cgroup);
	unannounced_start(&witness, &beside);
	session = live_attach(tracer, &cgroup, 1);
	other = live_attach(tracer, &beside, 2);
	live_worker_call(&worker, open_many, NULL, 0, NULL, 0);
	live_worker_call(&witness, send_raw, NULL, 0, &list, sizeof(list));
	live_worker_call(&witness, close_raw, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_worker_stop(&witness);
	live_drain(tracer);
	stats = live_session_stats(session);
	LIVE_CHECK(stats.lost_quota, "nothing was lost");
	CONNECTION_SAME(stats.delivered + stats.lost, 5 * FLOOD_SOCKETS);
	CONNECTION_SAME(stats.untracked, 0);
	CONNECTION_SAME(live_session_stats(other).lost, 0);
	unannounced_check(2, &list, 0);
	CONNECTION_SAME(unannounced_count(2, 0, CLOSED), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unannounced: sessions");
	TCase *tcase = live_case(suite, "sessions");

	tcase_add_loop_test(tcase, nested, 0, 2);
	tcase_add_test(tcase, used_elsewhere);
	tcase_add_test(tcase, sockets_of_the_kernel);
	tcase_add_test(tcase, a_flood_of_sockets);
	return live_main(suite);
}
