/* SPDX-License-Identifier: Apache-2.0 */
/* The end of datagram sockets: one CLOSED per socket that had an event, with its count. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connection.h"

#define HOOKS (CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_TRAFFIC)
#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define UDP_SEND AGENTSH_EBPF_EVENT_UDP_SEND

struct udp {
	enum connection_family family;
	int connects; /* number of connect() calls */
	int sends;    /* number of sendto() calls to each of two ports */
	int plain;    /* number of send() calls, without destination */
	bool forks;   /* a child sends as many and closes the socket last */
};

struct udp_seen {
	uint64_t cookie, start_ns[2], end_ns[2];
	uint16_t local_port, remote_port;
	uint32_t plain; /* number of send() calls that succeeded */
};

static int udp_socket(enum connection_family family)
{
	int fd = socket(family == CONNECTION_V4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	return fd;
}

static uint16_t send_all(const struct udp *u, int fd)
{
	uint16_t port = 0;

	for (int i = 0; i < u->sends; i++) {
		for (port = 26100; port < 26102; port++) {
			const struct connection_address to = connection_loopback(u->family, port);

			LIVE_CHECK(sendto(fd, "x", 1, 0, &to.sa.any, to.size) == 1, "sendto: %s",
				   strerror(errno));
		}
	}
	return port ? (uint16_t)(port - 1) : 0;
}

static void uses(const void *arg, void *out)
{
	const struct udp *u = arg;
	struct udp_seen *seen = out;
	struct connection_address own = {.size = sizeof(own.sa)};
	int fd = udp_socket(u->family), unused = udp_socket(u->family),
	    bound = udp_socket(u->family);
	struct connection_address any = connection_loopback(u->family, 0);
	struct expectation t;
	int status;

	LIVE_CHECK(!bind(bound, &any.sa.any, any.size), "bind: %s", strerror(errno));
	memset(&t, 0, sizeof(t));
	expectation_socket(&t, fd);
	seen->cookie = t.want.socket_cookie;
	seen->start_ns[0] = connection_now();
	for (int i = 0; i < u->connects; i++) {
		const struct connection_address to =
			connection_loopback(u->family, (uint16_t)(26200 + i));

		LIVE_CHECK(!connect(fd, &to.sa.any, to.size), "connect: %s", strerror(errno));
		seen->remote_port = (uint16_t)(26200 + i);
		if (!i)
			seen->start_ns[1] = connection_now();
	}
	if (u->sends)
		seen->remote_port = send_all(u, fd);
	if (!u->connects)
		seen->start_ns[1] = connection_now();
	for (int i = 0; i < u->plain; i++)
		seen->plain += send(fd, "x", 1, 0) == 1; /* or ECONNREFUSED of the last one */
	if (u->forks && !fork()) {
		send_all(u, fd);
		_exit(0);
	}
	LIVE_CHECK(!getsockname(fd, &own.sa.any, &own.size), "getsockname");
	seen->local_port = ntohs(own.sa.v4.sin_port);
	seen->end_ns[0] = connection_now();
	close(fd);
	if (u->forks)
		LIVE_CHECK(wait(&status) > 0 && !status, "child");
	seen->end_ns[1] = connection_now();
	close(unused); /* neither this one nor bound had an event */
	close(bound);
}

static const struct {
	struct udp use;
	uint32_t packets, connects, sends;
} uses_of[] = {
	{{.sends = 1}, 2, 0, 2},
	{{.sends = 1000}, 2000, 0, 2},
	{{.connects = 1, .plain = 5}, 0, 1, 0},
	{{.connects = 3}, 0, 3, 0},
	{{.sends = 5, .forks = true}, 20, 0, 2},
};

START_TEST(socket_ends)
{
	enum connection_family family = (enum connection_family)(_i % 3);
	struct agentsh_ebpf_tracer *tracer = connection_open(HOOKS);
	const struct agentsh_ebpf_event *e;
	struct live_cgroup session;
	struct live_worker worker;
	struct udp use = uses_of[_i / 3].use;
	uint32_t packets = uses_of[_i / 3].packets, sends = uses_of[_i / 3].sends;
	struct connection_address to;
	struct udp_seen seen;

	use.family = family;
	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, 4);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, uses, &use, sizeof(use), &seen, sizeof(seen));
	live_worker_stop(&worker);
	live_drain(tracer);
	if (family == CONNECTION_MAPPED && use.plain)
		sends = 1; /* the kernel passes the destination to the IPv4 hook */
	CONNECTION_SAME(connection_count(AGENTSH_EBPF_EVENT_CONNECT), uses_of[_i / 3].connects);
	CONNECTION_SAME(connection_count(UDP_SEND), sends);
	CONNECTION_SAME(connection_count(CLOSED), 1);
	e = connection_find(CLOSED, 0);
	CONNECTION_SAME(e->socket_cookie, seen.cookie);
	CONNECTION_SAME(e->packets_sent, packets + seen.plain);
	CONNECTION_SAME(e->bytes_sent, packets + seen.plain);
	CONNECTION_SAME(e->protocol, IPPROTO_UDP);
	CONNECTION_SAME(e->socket_type, SOCK_DGRAM);
	CONNECTION_SAME(e->remote_port, seen.remote_port);
	if (!connection_errors_hidden)
		CONNECTION_SAME(e->local_port, seen.local_port);
	CONNECTION_SAME(e->family, family == CONNECTION_V6 ? AF_INET6 : AF_INET);
	CONNECTION_SAME(e->flags, family == CONNECTION_MAPPED ? AGENTSH_EBPF_FLAG_V4_MAPPED : 0);
	CONNECTION_SAME(e->tgid, worker.pid);
	CONNECTION_SAME(e->error, 0);
	CONNECTION_SAME(e->packets_received + e->bytes_received + e->rtt_us + e->retransmits, 0);
	to = connection_loopback(family, 0);
	LIVE_CHECK(!memcmp(e->remote_addr,
			   family == CONNECTION_V4   ? (void *)&to.sa.v4.sin_addr
			   : family == CONNECTION_V6 ? (void *)&to.sa.v6.sin6_addr
						     : to.sa.v6.sin6_addr.s6_addr + 12,
			   family == CONNECTION_V6 ? 16 : 4),
		   "remote_addr");
	LIVE_CHECK(e->timestamp_ns >= seen.end_ns[0] && e->timestamp_ns <= seen.end_ns[1],
		   "timestamp_ns");
	LIVE_CHECK(e->timestamp_ns - e->duration_ns >= seen.start_ns[0] &&
			   e->timestamp_ns - e->duration_ns <= seen.start_ns[1],
		   "duration_ns is %llu", (unsigned long long)e->duration_ns);
}
END_TEST

/* ---- several sessions, and one that ends before the socket ---------------- */

static int kept;

static void opens(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	kept = udp_socket(CONNECTION_V4);
}

static void sends_both(const void *count, void *unused)
{
	const struct udp use = {.family = CONNECTION_V4, .sends = *(const int *)count};

	(void)unused;
	send_all(&use, kept);
}

static void ends(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	close(kept);
}

START_TEST(counted_once_in_each)
{
	struct agentsh_ebpf_tracer *tracer = connection_open(HOOKS);
	struct live_cgroup outer, inner;
	struct agentsh_ebpf_session *session;
	struct live_worker worker;

	live_cgroup_make(&outer, NULL);
	live_cgroup_make(&inner, &outer);
	live_attach(tracer, &outer, 1);
	session = live_attach(tracer, &inner, 2);
	live_worker_start(&worker, &inner);
	live_worker_call(&worker, opens, NULL, 0, NULL, 0);
	live_worker_call(&worker, sends_both, &(int){10}, sizeof(int), NULL, 0);
	if (_i) /* the session that counted is gone: the other one goes on */
		live_detach(session);
	live_worker_call(&worker, sends_both, &(int){7}, sizeof(int), NULL, 0);
	live_worker_call(&worker, ends, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	CONNECTION_SAME(connection_count(CLOSED), _i ? 1 : 2);
	for (size_t i = 0; i < connection_count(CLOSED); i++)
		CONNECTION_SAME(connection_find(CLOSED, i)->packets_sent, 34);
}
END_TEST

/* Another process connects the socket again: CONNECT names that process, CLOSED the first one. */
static void connects(const void *port, void *unused)
{
	const struct connection_address to =
		connection_loopback(CONNECTION_V4, *(const uint16_t *)port);

	(void)unused;
	LIVE_CHECK(!connect(kept, &to.sa.any, to.size), "connect: %s", strerror(errno));
}

static void child_connects(const void *port, void *out)
{
	int status;
	pid_t child = fork();

	if (!child) {
		connects(port, NULL);
		_exit(0);
	}
	LIVE_CHECK(waitpid(child, &status, 0) == child && !status, "child");
	*(uint32_t *)out = (uint32_t)child;
}

START_TEST(connected_again_by_another)
{
	struct agentsh_ebpf_tracer *tracer = connection_open(HOOKS);
	struct live_cgroup session;
	struct live_worker worker;
	uint32_t child;

	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, 1);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, opens, NULL, 0, NULL, 0);
	live_worker_call(&worker, connects, &(uint16_t){26300}, 2, NULL, 0);
	live_worker_call(&worker, child_connects, &(uint16_t){26301}, 2, &child, sizeof(child));
	live_worker_call(&worker, ends, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	CONNECTION_SAME(live_seen.count, 3);
	CONNECTION_SAME(live_seen.list[0].tgid, worker.pid);
	CONNECTION_SAME(live_seen.list[1].tgid, child);
	CONNECTION_SAME(live_seen.list[2].kind, CLOSED);
	CONNECTION_SAME(live_seen.list[2].tgid, worker.pid);
	CONNECTION_SAME(live_seen.list[2].remote_port, 26301);
	LIVE_CHECK(live_seen.list[2].duration_ns >
			   live_seen.list[2].timestamp_ns - live_seen.list[1].timestamp_ns,
		   "duration_ns does not start at the first event");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: datagrams");
	TCase *tcase = live_case(suite, "datagrams");

	tcase_add_loop_test(tcase, socket_ends, 0, (int)LIVE_COUNT(uses_of) * 3);
	tcase_add_loop_test(tcase, counted_once_in_each, 0, 2);
	tcase_add_test(tcase, connected_again_by_another);
	return live_main(suite);
}
