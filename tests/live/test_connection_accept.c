/* SPDX-License-Identifier: Apache-2.0 */
/* Events of inbound connections: process, end and bytes; none without HOOK_ACCEPT. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "connection.h"

#define SESSION_ID 77
#define ACCEPT AGENTSH_EBPF_HOOK_ACCEPT
#define ESTABLISHED 1
#define CLOSED 7

struct listener {
	struct expectation task; /* that called bind() */
	struct connection_address at;
	int fd;
};

/* Runs in the session. */
static void listens(const void *family, void *out)
{
	struct listener *l = out;

	expectation_task(&l->task);
	l->fd = connection_listen(*(const enum connection_family *)family, 0, 8, &l->at);
}

/* What an accepted socket reports about itself. */
struct accepted {
	uint64_t cookie;
	uint16_t local_port, remote_port;
	uint8_t local_addr[16];
	uint32_t rtt_us;
	uint64_t received, sent;
};

struct served {
	int listener;
	size_t read, write;
	bool first; /* closes first */
};

/* Runs in the session: accepts one connection, reads, writes and closes. */
static void serves(const void *arg, void *out)
{
	const struct served *s = arg;
	struct accepted *a = out;
	struct connection_address from = {.size = sizeof(from.sa)};
	struct expectation socket;
	int fd = accept4(s->listener, &from.sa.any, &from.size, SOCK_CLOEXEC);

	LIVE_CHECK(fd >= 0, "accept: %s", strerror(errno));
	memset(&socket, 0, sizeof(socket));
	expectation_socket(&socket, fd);
	a->cookie = socket.want.socket_cookie;
	a->remote_port = ntohs(from.sa.v4.sin_port);
	a->rtt_us = connection_info(fd).tcpi_rtt;
	connection_read(fd, s->read);
	connection_write(fd, s->write);
	a->received = s->read;
	a->sent = s->write;
	if (!s->first)
		CONNECTION_SAME(connection_read_end(fd), 0);
	close(fd);
}

struct caller {
	struct connection_address to;
	size_t write, read;
	bool first;
};

/* Runs outside: makes the connection; returns its own port. */
static void calls(const void *arg, void *out)
{
	const struct caller *c = arg;
	struct connection_address own = {.size = sizeof(own.sa)};
	int fd = socket(c->to.sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !connect(fd, &c->to.sa.any, c->to.size), "connect: %s",
		   strerror(errno));
	LIVE_CHECK(!getsockname(fd, &own.sa.any, &own.size), "getsockname");
	connection_write(fd, c->write);
	connection_read(fd, c->read);
	if (!c->first)
		CONNECTION_SAME(connection_read_end(fd), 0);
	shutdown(fd, SHUT_WR);
	if (c->first)
		CONNECTION_SAME(connection_read_end(fd), 0);
	*(uint16_t *)out = ntohs(own.sa.v4.sin_port);
	close(fd);
}

static struct listener listener;
static uint64_t called_ns; /* before the connection was made */

/* Makes one connection from outside to the session's listener. */
static struct accepted connect_once(struct live_worker *inside, enum connection_family family,
				    bool first)
{
	struct served served = {listener.fd, 5000, 6000, first};
	struct caller caller = {listener.at, 5000, 6000, !first};
	struct live_worker outside;
	struct accepted accepted;
	uint16_t port;

	if (family == CONNECTION_MAPPED) { /* an IPv4 socket outside, an IPv6 socket inside */
		caller.to = connection_loopback(CONNECTION_V4, ntohs(listener.at.sa.v6.sin6_port));
		caller.to.sa.v4.sin_addr.s_addr = htonl(0x7f010204);
	}
	live_worker_start(&outside, NULL);
	called_ns = connection_now();
	live_worker_send(inside, serves, &served, sizeof(served), sizeof(accepted));
	live_worker_call(&outside, calls, &caller, sizeof(caller), &port, sizeof(port));
	live_worker_receive(inside, &accepted, sizeof(accepted));
	live_worker_stop(&outside);
	CONNECTION_SAME(port, accepted.remote_port);
	return accepted;
}

static void expect_socket(const struct agentsh_ebpf_event *e, const struct accepted *a,
			  enum connection_family family)
{
	struct connection_address *at = &listener.at;

	LIVE_CHECK(e, "an event is missing of %zu", live_seen.count);
	CONNECTION_SAME(e->socket_cookie, a->cookie);
	CONNECTION_SAME(e->remote_port, a->remote_port);
	CONNECTION_SAME(e->local_port, ntohs(at->sa.v4.sin_port));
	CONNECTION_SAME(e->family, family == CONNECTION_V6 ? AF_INET6 : AF_INET);
	CONNECTION_SAME(e->protocol, IPPROTO_TCP);
	CONNECTION_SAME(e->socket_type, SOCK_STREAM);
	CONNECTION_SAME(e->session_id, SESSION_ID);
	if (family == CONNECTION_V4)
		LIVE_CHECK(!memcmp(e->local_addr, &at->sa.v4.sin_addr, 4), "local_addr");
	if (family == CONNECTION_V6)
		LIVE_CHECK(!memcmp(e->local_addr, &at->sa.v6.sin6_addr, 16), "local_addr");
	if (family == CONNECTION_MAPPED)
		LIVE_CHECK(!memcmp(e->local_addr, "\x7f\1\2\4\0\0\0\0\0\0\0\0\0\0\0", 16),
			   "local_addr");
}

static void expect_task(const struct agentsh_ebpf_event *e, bool known)
{
	struct expectation want = listener.task;
	const char *differs;

	if (connection_errors_hidden)
		expectation_hide_task(&want);
	differs = known ? expectation_task_differs(&want, e) : NULL;
	LIVE_CHECK(!differs, "%s: %s", agentsh_ebpf_kind_name(e->kind), differs);
	LIVE_CHECK(expectation_has_task(e) == known, "%s: %s task", agentsh_ebpf_kind_name(e->kind),
		   known ? "no" : "a");
}

/* Exactly one ACCEPTED and one CLOSED. */
static void expect_two(const struct accepted *a, enum connection_family family, bool known,
		       bool first)
{
	uint32_t flags = AGENTSH_EBPF_FLAG_INBOUND | (known ? 0 : AGENTSH_EBPF_FLAG_UNATTRIBUTED) |
			 (family == CONNECTION_MAPPED ? AGENTSH_EBPF_FLAG_V4_MAPPED : 0);
	const struct agentsh_ebpf_event *begin = connection_find(AGENTSH_EBPF_EVENT_ACCEPTED, 0);
	const struct agentsh_ebpf_event *end = connection_find(AGENTSH_EBPF_EVENT_CLOSED, 0);

	expect_socket(begin, a, family);
	expect_task(begin, known);
	CONNECTION_SAME(begin->flags, flags);
	CONNECTION_SAME(begin->duration_ns, 0);
	LIVE_CHECK(begin->rtt_us, "no rtt_us");
	expect_socket(end, a, family);
	expect_task(end, known);
	flags |= first ? AGENTSH_EBPF_FLAG_LOCAL_CLOSED : AGENTSH_EBPF_FLAG_REMOTE_CLOSED;
	CONNECTION_SAME(end->flags & ~AGENTSH_EBPF_FLAG_NO_ERROR, flags);
	CONNECTION_SAME(end->bytes_received, a->received);
	CONNECTION_SAME(end->bytes_sent, a->sent);
	/* measured since the handshake, which ended a little before the program read the clock */
	LIVE_CHECK(end->duration_ns >= end->timestamp_ns - begin->timestamp_ns &&
			   end->duration_ns <= end->timestamp_ns - called_ns,
		   "duration_ns is %llu", (unsigned long long)end->duration_ns);
	CONNECTION_SAME(live_seen.count, 2);
}

static void one_connection(uint32_t hooks, enum connection_family family, bool first, bool late)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = connection_open(hooks);
	struct live_worker worker;
	enum connection_family listens_at = family;
	struct accepted accepted;

	live_cgroup_make(&session, NULL);
	if (!late)
		live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, listens, &listens_at, sizeof(listens_at), &listener,
			 sizeof(listener));
	if (late) /* bind() ran before the session */
		live_attach(tracer, &session, SESSION_ID);
	accepted = connect_once(&worker, family, first);
	if (hooks & ACCEPT) {
		live_drain_until(tracer, 2);
		live_worker_stop(&worker);
		live_drain(tracer);
		expect_two(&accepted, family, !late, first);
	} else {
		live_worker_stop(&worker);
		CONNECTION_SAME(live_drain(tracer), 0);
	}
}

START_TEST(inbound)
{
	one_connection(ACCEPT, (enum connection_family)(_i % 3), _i / 3 % 2, _i / 6);
}
END_TEST

START_TEST(inbound_beside_lifecycle)
{
	one_connection(CONNECTION_CONNECT | ACCEPT, (enum connection_family)(_i % 3), _i / 3 % 2,
		       _i / 6);
}
END_TEST

START_TEST(off_by_default)
{
	one_connection(CONNECTION_CONNECT, (enum connection_family)_i, false, false);
}
END_TEST

/* If one tracer has the hook, the kernel calls the other tracer's programs, too. */
START_TEST(another_tracer_has_it)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = connection_open(ACCEPT);
	struct agentsh_ebpf_tracer *without = connection_open(CONNECTION_CONNECT);
	struct live_worker worker;
	enum connection_family family = CONNECTION_V4;
	struct accepted accepted;

	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_attach(without, &session, SESSION_ID);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, listens, &family, sizeof(family), &listener, sizeof(listener));
	accepted = connect_once(&worker, family, true);
	live_drain_until(tracer, 2);
	live_worker_stop(&worker);
	CONNECTION_SAME(live_drain(without), 0);
	expect_two(&accepted, family, true, true);
}
END_TEST

/* listen() without bind(): no hook saw which process made the listener. */
static void listens_unbound(const void *unused, void *out)
{
	struct listener *l = out;

	(void)unused;
	expectation_task(&l->task);
	l->fd = connection_socket(CONNECTION_V4, 0);
	l->at.size = sizeof(l->at.sa);
	LIVE_CHECK(!listen(l->fd, 8) && !getsockname(l->fd, &l->at.sa.any, &l->at.size),
		   "listen: %s", strerror(errno));
	l->at.sa.v4.sin_addr.s_addr = htonl(0x7f010203);
}

START_TEST(never_bound)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = connection_open(ACCEPT);
	struct live_worker worker;
	struct accepted accepted;

	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, listens_unbound, NULL, 0, &listener, sizeof(listener));
	accepted = connect_once(&worker, CONNECTION_V4, false);
	live_drain_until(tracer, 2);
	live_worker_stop(&worker);
	live_drain(tracer);
	expect_two(&accepted, CONNECTION_V4, false, false);
}
END_TEST

/* Two processes listen on one port: each connection names the process that got it. */
struct shared_port {
	uint16_t port;
	int fd;
	uint32_t pid;
};

static void shares(const void *port, void *out)
{
	struct shared_port *s = out;
	struct connection_address at = connection_loopback(CONNECTION_V4, *(const uint16_t *)port);

	s->fd = connection_socket(CONNECTION_V4, 0);
	LIVE_CHECK(!setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) &&
			   !bind(s->fd, &at.sa.any, at.size) && !listen(s->fd, 64) &&
			   !getsockname(s->fd, &at.sa.any, &at.size),
		   "SO_REUSEPORT: %s", strerror(errno));
	s->port = ntohs(at.sa.v4.sin_port);
	s->pid = (uint32_t)getpid();
}

#define CALLS 32

static void calls_often(const void *port, void *unused)
{
	struct connection_address at = connection_loopback(CONNECTION_V4, *(const uint16_t *)port);

	(void)unused;
	for (int i = 0; i < CALLS; i++) {
		int fd = connection_socket(CONNECTION_V4, 0);

		LIVE_CHECK(!connect(fd, &at.sa.any, at.size), "connect: %s", strerror(errno));
		close(fd);
	}
}

/* Accepts and counts the waiting connections. */
static void counts(const void *fd, void *out)
{
	int one;

	LIVE_CHECK(!fcntl(*(const int *)fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
	while ((one = accept4(*(const int *)fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		close(one);
		++*(uint32_t *)out;
	}
}

START_TEST(one_port_of_two_processes)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = connection_open(ACCEPT);
	struct live_worker worker[2], outside;
	struct shared_port s[2] = {{0}};
	uint32_t got[2], seen[2] = {0};

	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, SESSION_ID);
	for (int i = 0; i < 2; i++) {
		live_worker_start(&worker[i], &session);
		live_worker_call(&worker[i], shares, &s[0].port, sizeof(s[0].port), &s[i],
				 sizeof(s[i]));
	}
	live_worker_start(&outside, NULL);
	live_worker_call(&outside, calls_often, &s[0].port, sizeof(s[0].port), NULL, 0);
	for (int i = 0; i < 2; i++)
		live_worker_call(&worker[i], counts, &s[i].fd, sizeof(s[i].fd), &got[i],
				 sizeof(got[i]));
	live_drain_until(tracer, 2 * CALLS);
	live_drain(tracer);
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		LIVE_CHECK(e->tgid == s[0].pid || e->tgid == s[1].pid, "process %u", e->tgid);
		if (e->kind == AGENTSH_EBPF_EVENT_ACCEPTED)
			seen[e->tgid == s[1].pid]++;
	}
	CONNECTION_SAME(live_seen.count, 2 * CALLS);
	CONNECTION_SAME(seen[0], got[0]);
	CONNECTION_SAME(seen[1], got[1]);
	CONNECTION_SAME(got[0] + got[1], CALLS);
}
END_TEST

/* A session that is attached below after bind() does not know the listener. */
START_TEST(nested_later)
{
	struct live_cgroup outer, inner;
	struct agentsh_ebpf_tracer *tracer = connection_open(ACCEPT);
	enum connection_family family = CONNECTION_V4;
	struct live_worker worker;

	live_cgroup_make(&outer, NULL);
	live_cgroup_make(&inner, &outer);
	live_attach(tracer, &outer, 1);
	live_worker_start(&worker, &inner);
	live_worker_call(&worker, listens, &family, sizeof(family), &listener, sizeof(listener));
	live_attach(tracer, &inner, 2);
	connect_once(&worker, family, true);
	live_drain_until(tracer, 4);
	live_worker_stop(&worker);
	live_drain(tracer);
	CONNECTION_SAME(live_seen.count, 4);
	for (size_t i = 0; i < live_seen.count; i++)
		expect_task(&live_seen.list[i], live_seen.list[i].session_id == 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: accepted");
	TCase *tcase = live_case(suite, "inbound");

	tcase_add_loop_test(tcase, inbound, 0, 12);
	tcase_add_loop_test(tcase, inbound_beside_lifecycle, 0, 12);
	tcase_add_loop_test(tcase, off_by_default, 0, 3);
	tcase_add_test(tcase, another_tracer_has_it);
	tcase_add_test(tcase, never_bound);
	tcase_add_test(tcase, one_port_of_two_processes);
	tcase_add_test(tcase, nested_later);
	return live_main(suite);
}
