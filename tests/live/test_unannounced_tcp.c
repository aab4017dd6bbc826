/* SPDX-License-Identifier: Apache-2.0 */
/* TCP connections from before the session, which only their packets show. */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "unannounced.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define PROGRESS AGENTSH_EBPF_EVENT_PROGRESS
#define INBOUND AGENTSH_EBPF_FLAG_INBOUND
#define ENDS (AGENTSH_EBPF_FLAG_LOCAL_CLOSED | AGENTSH_EBPF_FLAG_REMOTE_CLOSED)
#define SESSION_ID 22

/* ---- both ends of a connection, in the worker -------------------------------- */

enum { WHOLE, CLIENT_SHUT, SERVER_SHUT, WAYS };

struct made {
	enum connection_family family;
	int way;
};

static struct {
	int client, server, way;
} own;

/* Leaves no packet to be sent. */
static void make(const void *arg, void *unused)
{
	const struct made *m = arg;
	struct connection_address at;
	int listener = connection_listen(m->family, 0, 8, &at);

	(void)unused;
	own.way = m->way;
	own.client = connection_socket(m->family, 0);
	LIVE_CHECK(!connect(own.client, &at.sa.any, at.size), "connect: %s", strerror(errno));
	own.server = connection_accept(listener);
	close(listener);
	connection_write(own.client, 3);
	connection_read(own.server, 3);
	connection_write(own.server, 4);
	connection_read(own.client, 4);
	if (m->way == CLIENT_SHUT) {
		shutdown(own.client, SHUT_WR);
		CONNECTION_SAME(connection_read_end(own.server), 0);
	} else if (m->way == SERVER_SHUT) {
		shutdown(own.server, SHUT_WR);
		CONNECTION_SAME(connection_read_end(own.client), 0);
	}
	connection_wait_acknowledged(own.client);
	connection_wait_acknowledged(own.server);
}

/* The first packets that the session can see. */
static void talk(const void *unused, void *out)
{
	struct unannounced_list *list = out;

	(void)unused;
	unannounced_expect(list, "client", own.client, 0);
	unannounced_expect(list, "server", own.server, INBOUND);
	if (own.way != CLIENT_SHUT) {
		connection_write(own.client, 5);
		connection_read(own.server, 5);
	}
	if (own.way != SERVER_SHUT) {
		connection_write(own.server, 6);
		connection_read(own.client, 6);
	}
	connection_wait_acknowledged(own.client);
	connection_wait_acknowledged(own.server);
	unannounced_passed(list);
}

static void end(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	shutdown(own.way == SERVER_SHUT ? own.server : own.client, SHUT_WR);
	connection_read_end(own.way == SERVER_SHUT ? own.client : own.server);
	close(own.server);
	close(own.client);
}

/* Ends the connection before close(). */
static void end_by_shutdown(const void *unused, void *unused_out)
{
	const int64_t limit = live_now_ms() + LIVE_DEADLINE_MS;

	(void)unused;
	(void)unused_out;
	shutdown(own.client, SHUT_WR);
	CONNECTION_SAME(connection_read_end(own.server), 0);
	shutdown(own.server, SHUT_WR);
	CONNECTION_SAME(connection_read_end(own.client), 0);
	while (connection_info(own.server).tcpi_state != BPF_TCP_CLOSE) {
		LIVE_CHECK(live_now_ms() < limit, "the server's end is open");
		usleep(1000);
	}
	close(own.server);
	close(own.client);
}

/* A connection without packets is not reported, and neither is its end by a reset. */
static void end_hard(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	connection_close_hard(own.client);
	close(own.server);
}

/* What the client has sent, and what it has received. */
static uint64_t bytes_of(int way, bool sent)
{
	return sent ? way == CLIENT_SHUT ? 3 : 8 : way == SERVER_SHUT ? 4 : 10;
}

static void check_bytes(const struct unannounced_list *list, uint32_t kind, int way)
{
	for (int server = 0; server < 2; server++) {
		uint64_t cookie = list->want[server].want.socket_cookie;
		const struct agentsh_ebpf_event *first, *e;

		CONNECTION_SAME(unannounced_count(SESSION_ID, cookie, kind), 1);
		first = unannounced_find(SESSION_ID, cookie, UNANNOUNCED, 0);
		e = unannounced_find(SESSION_ID, cookie, kind, 0);
		CONNECTION_SAME(e->bytes_sent, bytes_of(way, !server));
		CONNECTION_SAME(e->bytes_received, bytes_of(way, server));
		CONNECTION_SAME(e->packets_sent + e->packets_received, 0);
		CONNECTION_SAME(e->flags & ~ENDS, first->flags);
		/* the one that shuts down first closes the connection */
		if (kind == CLOSED)
			CONNECTION_SAME(e->flags & ENDS, (way == SERVER_SHUT) == server
								 ? AGENTSH_EBPF_FLAG_LOCAL_CLOSED
								 : AGENTSH_EBPF_FLAG_REMOTE_CLOSED);
		CONNECTION_SAME(e->error, 0);
		CONNECTION_SAME(e->timestamp_ns - e->duration_ns, first->timestamp_ns);
		CONNECTION_SAME(e->local_port, first->local_port);
		CONNECTION_SAME(e->remote_port, first->remote_port);
		CONNECTION_SAME(e->netns_cookie, first->netns_cookie);
		LIVE_CHECK(!memcmp(e->remote_addr, first->remote_addr, 16) &&
				   !memcmp(e->local_addr, first->local_addr, 16),
			   "addresses");
	}
}

/* With BTF the direction of the handshake is known; without BTF, that of the packet. */
static uint32_t unknown_flags(void)
{
	return connection_errors_hidden ? INBOUND : 0;
}

/*
 * Without BTF a half closed end looks like one that no process has any more, whose last packets
 * are not reported.
 */
static void leave_out_unknown(struct unannounced_list *list, int way)
{
	if (!connection_errors_hidden || way == WHOLE)
		return;
	if (way == CLIENT_SHUT)
		list->want[0] = list->want[1];
	list->count = 1;
}

START_TEST(from_before)
{
	const struct made m = {.family = (enum connection_family)(_i % 3), .way = _i / 3 % WAYS};
	bool without_btf = _i / (3 * WAYS);
	struct agentsh_ebpf_tracer *tracer =
		without_btf ? connection_open_without_btf(UNANNOUNCED_HOOKS)
			    : connection_open(UNANNOUNCED_HOOKS);
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct unannounced_list list;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	live_worker_call(&worker, make, &m, sizeof(m), NULL, 0);
	live_attach(tracer, &cgroup, SESSION_ID);
	CONNECTION_SAME(live_drain(tracer), 0); /* idle */
	live_worker_call(&worker, talk, NULL, 0, &list, sizeof(list));
	live_drain(tracer);
	leave_out_unknown(&list, m.way);
	unannounced_check(SESSION_ID, &list, unknown_flags());
	CONNECTION_SAME(live_seen.count, list.count);
	live_worker_call(&worker, end, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	if (connection_errors_hidden) /* the end of such a connection is read in its structure */
		CONNECTION_SAME(live_seen.count, unannounced_count(SESSION_ID, 0, UNANNOUNCED));
	else
		check_bytes(&list, CLOSED, m.way);
	CONNECTION_SAME(unannounced_count(SESSION_ID, 0, UNANNOUNCED), list.count);
}
END_TEST

START_TEST(progress_at_detach)
{
	const struct made m = {.family = (enum connection_family)(_i % 3), .way = _i / 3};
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct unannounced_list list;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	live_worker_call(&worker, make, &m, sizeof(m), NULL, 0);
	session = live_attach(tracer, &cgroup, SESSION_ID);
	live_worker_call(&worker, talk, NULL, 0, &list, sizeof(list));
	live_detach(session);
	live_drain(tracer);
	leave_out_unknown(&list, m.way);
	unannounced_check(SESSION_ID, &list, unknown_flags());
	if (!connection_errors_hidden)
		check_bytes(&list, PROGRESS, m.way);
	CONNECTION_SAME(live_seen.count, connection_errors_hidden ? list.count : 4);
	live_worker_call(&worker, end, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	CONNECTION_SAME(live_drain(tracer), 0);
}
END_TEST

/*
 * An outer session that has seen the beginning has requested the changes of state, so that the
 * inner session, too, is told of the end before close().
 */
START_TEST(outer_session_older)
{
	const struct made m = {.family = (enum connection_family)_i, .way = WHOLE};
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	struct live_cgroup outer, cgroup;
	struct live_worker worker;
	struct unannounced_list list;

	live_cgroup_make(&outer, NULL);
	live_cgroup_make(&cgroup, &outer);
	live_attach(tracer, &outer, SESSION_ID + 1);
	unannounced_start(&worker, &cgroup);
	live_worker_call(&worker, make, &m, sizeof(m), NULL, 0);
	live_attach(tracer, &cgroup, SESSION_ID);
	live_worker_call(&worker, talk, NULL, 0, &list, sizeof(list));
	live_drain(tracer);
	unannounced_check(SESSION_ID, &list, unknown_flags());
	live_worker_call(&worker, end_by_shutdown, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	if (!connection_errors_hidden)
		check_bytes(&list, CLOSED, m.way);
}
END_TEST

START_TEST(reset_from_before)
{
	const struct made m = {.family = (enum connection_family)_i};
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	live_worker_call(&worker, make, &m, sizeof(m), NULL, 0);
	live_attach(tracer, &cgroup, SESSION_ID);
	live_worker_call(&worker, end_hard, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	CONNECTION_SAME(live_drain(tracer), 0);
}
END_TEST

/* The end of an idle connection is reported completely or not at all, and leaves no state. */
START_TEST(ended_from_before)
{
	const struct made m = {.family = CONNECTION_V4, .way = _i};
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options), .session_id = SESSION_ID, .max_sockets = 4};
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	for (int i = 0; i < 10; i++) {
		live_worker_call(&worker, make, &m, sizeof(m), NULL, 0);
		LIVE_CHECK(
			!agentsh_ebpf_session_attach(tracer, cgroup.fd, &options, &session, NULL),
			"attach");
		live_worker_call(&worker, end, NULL, 0, NULL, 0);
		live_drain(tracer);
		for (size_t n = 0; n < live_seen.count; n++) {
			uint64_t cookie = live_seen.list[n].socket_cookie;

			CONNECTION_SAME(unannounced_count(SESSION_ID, cookie, UNANNOUNCED), 1);
			CONNECTION_SAME(unannounced_count(SESSION_ID, cookie, CLOSED), 1);
		}
		CONNECTION_SAME(live_session_stats(session).untracked, 0);
		agentsh_ebpf_session_detach(session);
		CONNECTION_SAME(live_drain(tracer), 0);
		live_seen.count = 0;
	}
	live_worker_stop(&worker);
}
END_TEST

/* ---- a connection that nobody accepts ---------------------------------------- */

static int waiting_listener, waiting_peer;

static void make_waiting(const void *family, void *unused)
{
	const enum connection_family f = *(const enum connection_family *)family;
	struct connection_address at;

	(void)unused;
	waiting_listener = connection_listen(f, 0, 8, &at);
	waiting_peer = unannounced_outside(f == CONNECTION_V4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
	LIVE_CHECK(!connect(waiting_peer, &at.sa.any, at.size), "connect: %s", strerror(errno));
}

/* Returns once the data is acknowledged, which takes a packet. */
static void send_to_waiting(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	connection_write(waiting_peer, 5);
	connection_wait_acknowledged(waiting_peer);
}

static void end_waiting(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	close(waiting_listener);
	close(waiting_peer);
}

/* No program sees the end of such a connection, so it must have no state. */
START_TEST(not_accepted)
{
	const enum connection_family family = (enum connection_family)_i;
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	live_worker_call(&worker, make_waiting, &family, sizeof(family), NULL, 0);
	live_attach(tracer, &cgroup, SESSION_ID);
	live_worker_call(&worker, send_to_waiting, NULL, 0, NULL, 0);
	live_drain(tracer);
	if (!connection_errors_hidden) /* only the kernel's structure shows it */
		CONNECTION_SAME(live_seen.count, 0);
	live_worker_call(&worker, end_waiting, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unannounced: TCP");
	TCase *tcase = live_case(suite, "TCP");

	tcase_add_loop_test(tcase, from_before, 0, 2 * 3 * WAYS);
	tcase_add_loop_test(tcase, progress_at_detach, 0, 3 * WAYS);
	tcase_add_loop_test(tcase, outer_session_older, 0, 3);
	tcase_add_loop_test(tcase, reset_from_before, 0, 3);
	tcase_add_loop_test(tcase, ended_from_before, 0, WAYS);
	tcase_add_loop_test(tcase, not_accepted, 0, 3);
	return live_main(suite);
}
