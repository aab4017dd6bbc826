/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of sockets that only packets show: each socket is reported once in each session,
 * none without room floods the ring, and none stays in the table after its end.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netlink.h"
#include "unannounced.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define INBOUND AGENTSH_EBPF_FLAG_INBOUND
#define PORT 26600

static struct agentsh_ebpf_session *attach(struct agentsh_ebpf_tracer *tracer,
					   const struct live_cgroup *cgroup, uint64_t session_id,
					   uint32_t max_sockets)
{
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options), .session_id = session_id, .max_sockets = max_sockets};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_session *session;

	LIVE_CHECK(!agentsh_ebpf_session_attach(tracer, cgroup->fd, &options, &session, &err),
		   "attach: %s", err.message);
	return session;
}

static struct agentsh_ebpf_tracer *open_with(uint32_t max_sockets)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = UNANNOUNCED_HOOKS,
		.required_hooks = UNANNOUNCED_HOOKS,
		.max_sockets = max_sockets,
		.ring_size = 1 << 22,
		.ring_quota = 100,
	};

	return live_open(&options);
}

static int bound(uint16_t port)
{
	const struct connection_address at = connection_loopback(CONNECTION_V4, port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !bind(fd, &at.sa.any, at.size), "bind: %s", strerror(errno));
	return fd;
}

/* ---- a flood of packets while sockets are opened and closed -------------------- */

#define ROUNDS 20
#define ROUND_SOCKETS 500

static struct {
	pid_t pid;
	_Atomic bool *stop;
} flood;

/* Two processes on one processor would not run at the same time. */
static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set); /* fails if there is only one */
}

/* Starts a process outside the session that sends to the port without a pause. */
static void start_flood(const void *unused, void *unused_out)
{
	const struct connection_address to = connection_loopback(CONNECTION_V4, PORT);
	int fd = unannounced_outside(AF_INET, SOCK_DGRAM, 0);

	(void)unused;
	(void)unused_out;
	flood.stop = mmap(NULL, sizeof(*flood.stop), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	LIVE_CHECK(flood.stop != MAP_FAILED, "mmap: %s", strerror(errno));
	flood.pid = fork();
	LIVE_CHECK(flood.pid >= 0, "fork: %s", strerror(errno));
	if (flood.pid) {
		close(fd);
		run_on(0);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on(1);
	while (!atomic_load(flood.stop))
		sendto(fd, "x", 1, 0, &to.sa.any, to.size);
	_exit(0);
}

static void end_flood(const void *unused, void *unused_out)
{
	int status;

	(void)unused;
	(void)unused_out;
	atomic_store(flood.stop, true);
	LIVE_CHECK(waitpid(flood.pid, &status, 0) == flood.pid && !status, "flood");
}

static void open_and_close(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	for (int i = 0; i < ROUND_SOCKETS; i++) {
		int fd = bound(PORT);
		struct pollfd arrival = {.fd = fd, .events = POLLIN};

		LIVE_CHECK(poll(&arrival, 1, LIVE_DEADLINE_MS) == 1, "no packet has arrived");
		close(fd);
	}
}

static int compare_cookies(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t cookies[ROUNDS * ROUND_SOCKETS];

/* A state that stays would sooner or later take the room of the next socket. */
START_TEST(closing_under_a_flood)
{
	struct agentsh_ebpf_tracer *tracer = open_with(0);
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;
	size_t count = 0;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	session = attach(tracer, &cgroup, 1, 2);
	live_worker_call(&worker, start_flood, NULL, 0, NULL, 0);
	for (int round = 0; round < ROUNDS; round++) {
		live_worker_call(&worker, open_and_close, NULL, 0, NULL, 0);
		live_seen.count = 0;
		live_drain(tracer);
		CONNECTION_SAME(connection_count(UNANNOUNCED), ROUND_SOCKETS);
		CONNECTION_SAME(connection_count(CLOSED), ROUND_SOCKETS);
		CONNECTION_SAME(live_seen.count, 2 * ROUND_SOCKETS);
		for (size_t i = 0; i < live_seen.count; i++) {
			const struct agentsh_ebpf_event *e = &live_seen.list[i];

			LIVE_CHECK(e->flags & INBOUND, "flags 0x%x", e->flags);
			if (e->kind == UNANNOUNCED)
				cookies[count++] = e->socket_cookie;
			else
				LIVE_CHECK(e->packets_received && !e->packets_sent, "packets");
		}
		CONNECTION_SAME(live_session_stats(session).untracked, 0);
	}
	live_worker_call(&worker, end_flood, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	qsort(cookies, count, sizeof(cookies[0]), compare_cookies);
	for (size_t i = 1; i < count; i++)
		LIVE_CHECK(cookies[i] != cookies[i - 1], "a socket was reported twice");
	CONNECTION_SAME(live_session_stats(session).lost, 0);
}
END_TEST

/* ---- no room -------------------------------------------------------------------- */

#define MANY 40
#define TRACKED 16

static int many[MANY];

/* Sockets that receive packets before they send. */
static void receive_many(const void *packets, void *unused)
{
	int sender = unannounced_outside(AF_INET, SOCK_DGRAM, 0);

	(void)unused;
	for (int i = 0; i < MANY; i++)
		many[i] = bound((uint16_t)(PORT + i));
	for (int n = 0; n < *(const int *)packets; n++) {
		for (int i = 0; i < MANY; i++) {
			const struct connection_address to =
				connection_loopback(CONNECTION_V4, (uint16_t)(PORT + i));

			LIVE_CHECK(sendto(sender, "x", 1, 0, &to.sa.any, to.size) == 1,
				   "sendto: %s", strerror(errno));
		}
	}
	close(sender);
}

static void close_many(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	for (int i = 0; i < MANY; i++)
		close(many[i]);
}

START_TEST(without_room)
{
	struct agentsh_ebpf_tracer *tracer = open_with(MANY);
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_stats stats;
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	session = attach(tracer, &cgroup, 1, TRACKED);
	for (int round = 0; round < 3; round++) {
		uint64_t before = live_session_stats(session).untracked;

		live_seen.count = 0;
		live_worker_call(&worker, receive_many, &(int){100}, sizeof(int), NULL, 0);
		live_drain(tracer);
		CONNECTION_SAME(connection_count(UNANNOUNCED), TRACKED);
		CONNECTION_SAME(live_seen.count, TRACKED);
		stats = live_session_stats(session);
		LIVE_CHECK(stats.untracked - before >= MANY - TRACKED, "untracked: %llu",
			   (unsigned long long)(stats.untracked - before));
		live_worker_call(&worker, close_many, NULL, 0, NULL, 0);
		live_drain(tracer);
		CONNECTION_SAME(connection_count(CLOSED), TRACKED);
		CONNECTION_SAME(live_seen.count, 2 * TRACKED);
	}
	live_worker_stop(&worker);
	CONNECTION_SAME(stats.lost, 0);
}
END_TEST

/* ---- sessions --------------------------------------------------------------------- */

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
	session = attach(tracer, &cgroup, 1, 4);
	other = attach(tracer, &beside, 2, 0);
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
	Suite *suite = suite_create("unannounced: table");
	TCase *tcase = live_case(suite, "table");

	tcase_add_test(tcase, closing_under_a_flood);
	tcase_add_test(tcase, without_room);
	tcase_add_loop_test(tcase, nested, 0, 2);
	tcase_add_test(tcase, used_elsewhere);
	tcase_add_test(tcase, sockets_of_the_kernel);
	tcase_add_test(tcase, a_flood_of_sockets);
	return live_main(suite);
}
