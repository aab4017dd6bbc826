/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that outlive sessions and sessions that outlive connections, several sessions
 * and tracers for one connection, and hooks that are not loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "connection_one.h"

#define ACCEPT AGENTSH_EBPF_HOOK_ACCEPT
#define UNATTRIBUTED AGENTSH_EBPF_FLAG_UNATTRIBUTED
#define CLOSED AGENTSH_EBPF_EVENT_CLOSED

START_TEST(before_the_session)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = connection_open(CONNECTION_CONNECT);
	struct live_worker worker;

	live_cgroup_make(&session, NULL);
	connection_one_start(&worker, &session);
	connection_one_connect(&worker);
	live_attach(tracer, &session, 1);
	connection_one_close(&worker);
	CONNECTION_SAME(live_drain(tracer), 0);
	connection_one_connect(&worker); /* the next connection has all events */
	connection_one_close(&worker);
	live_worker_stop(&worker);
	connection_drain(tracer, &connection_one, 1);
	connection_expect(&connection_one, 1);
}
END_TEST

START_TEST(alive_at_detach)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = connection_open(CONNECTION_CONNECT);
	struct agentsh_ebpf_session *first;
	struct live_worker worker;

	live_cgroup_make(&session, NULL);
	first = live_attach(tracer, &session, 1);
	connection_one_start(&worker, &session);
	connection_one_connect(&worker);
	live_detach(first);
	connection_one_close(&worker);
	connection_one.end = 0;
	connection_drain(tracer, &connection_one, 1);
	connection_expect(&connection_one, 1);
	live_seen.count = 0;
	live_attach(tracer, &session, 2);
	connection_one_connect(&worker);
	connection_one_close(&worker);
	live_worker_stop(&worker);
	connection_drain(tracer, &connection_one, 1);
	connection_expect_of(2, &connection_one, 1);
	CONNECTION_SAME(live_seen.count, 3);
}
END_TEST

/* The second session of a cgroup does not know the connections of the first. */
START_TEST(alive_from_session_to_session)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = connection_open(CONNECTION_CONNECT);
	struct agentsh_ebpf_session *first;
	struct live_worker worker;

	live_cgroup_make(&session, NULL);
	first = live_attach(tracer, &session, 1);
	connection_one_start(&worker, &session);
	connection_one_connect(&worker);
	live_detach(first);
	live_attach(tracer, &session, 2);
	connection_one_close(&worker);
	connection_one.end = 0;
	connection_drain(tracer, &connection_one, 1);
	connection_expect(&connection_one, 1);
	live_worker_stop(&worker);
	CONNECTION_SAME(live_drain(tracer), 0);
}
END_TEST

/* A second tracer does not know the connection, although its programs run for the socket. */
START_TEST(alive_from_tracer_to_tracer)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *first = connection_open(CONNECTION_CONNECT), *second;
	struct live_worker worker;

	live_cgroup_make(&session, NULL);
	live_attach(first, &session, 1);
	connection_one_start(&worker, &session);
	connection_one_connect(&worker);
	second = connection_open(CONNECTION_CONNECT | ACCEPT);
	live_attach(second, &session, 2);
	connection_one_close(&worker);
	live_worker_stop(&worker);
	connection_drain(first, &connection_one, 1);
	connection_expect(&connection_one, 1);
	CONNECTION_SAME(live_drain(second), 0);
}
END_TEST

/* ---- attached during a handshake -------------------------------- */

/* The queue is full, so the handshake waits until the SYN is retransmitted. */
static void begins(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	connection_own.filler = connection_socket(CONNECTION_V4, 0);
	connection_own.client = connection_socket(CONNECTION_V4, 0);
	LIVE_CHECK(
		!connect(connection_own.filler, &connection_own.at.sa.any, connection_own.at.size),
		"filler: %s", strerror(errno));
	connection_wait_arrived(connection_own.listener);
	LIVE_CHECK(!fcntl(connection_own.client, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
	LIVE_CHECK(
		connect(connection_own.client, &connection_own.at.sa.any, connection_own.at.size) &&
			errno == EINPROGRESS,
		"connect: %s", strerror(errno));
}

static void finishes(const void *unused, void *out)
{
	struct expectation t;

	(void)unused;
	memset(&t, 0, sizeof(t));
	expectation_socket(&t, connection_own.client);
	*(uint64_t *)out = t.want.socket_cookie;
	close(connection_accept(connection_own.listener));
	connection_wait_state(connection_own.client, 1 /* TCP_ESTABLISHED */);
	connection_own.server = connection_accept(connection_own.listener);
	LIVE_CHECK(!fcntl(connection_own.client, F_SETFL, 0), "O_NONBLOCK");
	connection_write(connection_own.client, 11);
	connection_write(connection_own.server, 12);
	connection_read(connection_own.client, 12);
	connection_read(connection_own.server, 11);
	shutdown(connection_own.client, SHUT_WR);
	CONNECTION_SAME(connection_read_end(connection_own.server), 0);
	close(connection_own.server);
	CONNECTION_SAME(connection_read_end(connection_own.client), 0);
	close(connection_own.client);
}

START_TEST(during_the_handshake)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = connection_open(CONNECTION_CONNECT);
	const struct agentsh_ebpf_event *e = live_seen.list;
	struct live_worker worker;
	uint64_t cookie;

	live_cgroup_make(&session, NULL);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, connection_one_listen, &(int){0}, sizeof(int), NULL, 0);
	live_worker_call(&worker, begins, NULL, 0, NULL, 0);
	live_attach(tracer, &session, 1);
	live_worker_call(&worker, finishes, NULL, 0, &cookie, sizeof(cookie));
	live_drain_until(tracer, 2);
	live_worker_stop(&worker);
	live_drain(tracer);
	CONNECTION_SAME(live_seen.count, 2);
	for (int i = 0; i < 2; i++) {
		CONNECTION_SAME(e[i].socket_cookie, cookie);
		LIVE_CHECK(!expectation_has_task(&e[i]), "event %d has a task", i);
		CONNECTION_SAME(e[i].protocol, IPPROTO_TCP);
		LIVE_CHECK(e[i].local_port && e[i].remote_port, "no ports");
	}
	CONNECTION_SAME(e[0].kind, AGENTSH_EBPF_EVENT_CONNECTED);
	CONNECTION_SAME(e[0].flags, UNATTRIBUTED);
	CONNECTION_SAME(e[0].duration_ns, 0);
	CONNECTION_SAME(e[1].kind, CLOSED);
	CONNECTION_SAME(e[1].flags & ~AGENTSH_EBPF_FLAG_NO_ERROR,
			UNATTRIBUTED | AGENTSH_EBPF_FLAG_LOCAL_CLOSED);
	CONNECTION_SAME(e[1].bytes_sent, 11);
	CONNECTION_SAME(e[1].bytes_received, 12);
}
END_TEST

/* ---- nested sessions ------------------------------------------------------ */

START_TEST(nested)
{
	struct live_cgroup outer, inner;
	struct agentsh_ebpf_tracer *tracer = connection_open(CONNECTION_CONNECT), *other;
	struct live_worker worker;

	other = connection_open(CONNECTION_CONNECT);
	live_cgroup_make(&outer, NULL);
	live_cgroup_make(&inner, &outer);
	live_attach(tracer, &outer, 1);
	live_attach(tracer, &inner, 2);
	live_attach(other, &inner, 3);
	connection_one_start(&worker, &inner);
	connection_one_connect(&worker);
	connection_one_close(&worker);
	live_worker_stop(&worker);
	live_drain_until(tracer, 6);
	live_drain(tracer);
	CONNECTION_SAME(live_seen.count, 6);
	live_drain(other);
	CONNECTION_SAME(live_seen.count, 9);
	for (uint64_t id = 1; id <= 3; id++)
		connection_expect_of(id, &connection_one, 1);
}
END_TEST

START_TEST(child_cgroup)
{
	struct live_cgroup outer, inner;
	struct agentsh_ebpf_tracer *tracer = connection_open(CONNECTION_CONNECT);
	struct live_worker worker;

	live_cgroup_make(&outer, NULL);
	live_cgroup_make(&inner, &outer);
	live_attach(tracer, &outer, 1);
	connection_one_start(&worker, &inner);
	connection_one_connect(&worker);
	connection_one_close(&worker);
	live_worker_stop(&worker);
	connection_drain(tracer, &connection_one, 1);
	connection_expect(&connection_one, 1);
	CONNECTION_SAME(live_seen.list[2].cgroup_id, inner.id);
}
END_TEST

/* ---- only the chosen hooks ------------------------------------------------ */

static const struct {
	uint32_t hooks;
	size_t programs;
	uint32_t kinds; /* 1 << kind */
} chosen[] = {
	{1, 2, 1 << 1},
	{2, 2, 0},
	{3, 4, 1 << 1},
	{1 | 4, 4, 1 << 1 | 1 << 3 | 1 << 5},
	{1 | 2 | 4, 6, 1 << 1 | 1 << 3 | 1 << 5},
	{8, 4, 1 << 5 | 1 << 6},
	{1 | 8, 6, 1 << 1 | 1 << 5 | 1 << 6},
	{1 | 2 | 4 | 8, 8, 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6},
};

START_TEST(hooks)
{
	static struct kernel_ids ids;
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = chosen[_i].hooks,
		.required_hooks = chosen[_i].hooks,
		.max_sessions = kernel_new_marker(),
	};
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	struct live_worker worker;
	uint32_t kinds = 0;

	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, 1);
	CONNECTION_SAME(agentsh_ebpf_tracer_hooks(tracer), chosen[_i].hooks);
	kernel_ids(options.max_sessions, &ids);
	CONNECTION_SAME(ids.programs, chosen[_i].programs);
	CONNECTION_SAME(ids.links, chosen[_i].programs);
	connection_one_start(&worker, &session);
	connection_one_connect(&worker);
	connection_one_close(&worker);
	live_worker_stop(&worker);
	live_drain(tracer);
	for (size_t i = 0; i < live_seen.count; i++)
		kinds |= 1U << live_seen.list[i].kind;
	CONNECTION_SAME(kinds, chosen[_i].kinds);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: sessions");
	TCase *tcase = live_case(suite, "sessions");

	tcase_add_test(tcase, before_the_session);
	tcase_add_test(tcase, alive_at_detach);
	tcase_add_test(tcase, alive_from_session_to_session);
	tcase_add_test(tcase, alive_from_tracer_to_tracer);
	tcase_add_test(tcase, during_the_handshake);
	tcase_add_test(tcase, nested);
	tcase_add_test(tcase, child_cgroup);
	tcase_add_loop_test(tcase, hooks, 0, (int)LIVE_COUNT(chosen));
	return live_main(suite);
}
