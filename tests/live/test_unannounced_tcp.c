/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP connections that only their packets show: those from before the session, and inbound ones
 * without the hook ACCEPT.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "unannounced_segments.h"

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
}

/* An acknowledgement may be delayed, and the end that only receives sends nothing else. */
static void wait_acknowledged(int fd)
{
	const int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	while (connection_info(fd).tcpi_unacked) {
		LIVE_CHECK(live_now_ms() < end, "not acknowledged");
		usleep(1000);
	}
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
	wait_acknowledged(own.client);
	wait_acknowledged(own.server);
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

/* ---- inbound connections during the session ---------------------------------- */

enum { CLIENT_FIRST, SERVER_FIRST, RESET, ENDINGS };

struct inbound {
	enum connection_family family;
	int ending;
};

/* The client belongs to no session. */
static void be_called(const void *arg, void *out)
{
	const struct inbound *in = arg;
	struct unannounced_list *list = out;
	struct connection_address at;
	int listener = connection_listen(in->family, 0, 8, &at), server, client;
	struct expectation before = {0}, *want;

	client = unannounced_outside(at.sa.any.sa_family, SOCK_STREAM, 0);
	expectation_clocks(&before, 0);
	LIVE_CHECK(!connect(client, &at.sa.any, at.size), "connect: %s", strerror(errno));
	server = connection_accept(listener);
	close(listener);
	want = unannounced_expect(list, "inbound", server, INBOUND);
	want->boot_ns[0] = before.boot_ns[0];
	want->real_ns[0] = before.real_ns[0];
	connection_write(client, 7);
	connection_read(server, 7);
	unannounced_passed(list);
	connection_write(server, 9);
	connection_read(client, 9);
	if (in->ending == RESET) {
		connection_close_hard(client);
		LIVE_CHECK(read(server, &at, 1) < 0 && errno == ECONNRESET, "reset: %s",
			   strerror(errno));
		close(server);
		return;
	}
	shutdown(in->ending == CLIENT_FIRST ? client : server, SHUT_WR);
	CONNECTION_SAME(connection_read_end(in->ending == CLIENT_FIRST ? server : client), 0);
	shutdown(in->ending == CLIENT_FIRST ? server : client, SHUT_WR);
	CONNECTION_SAME(connection_read_end(in->ending == CLIENT_FIRST ? client : server), 0);
	close(server);
	close(client);
}

START_TEST(inbound)
{
	const struct inbound in = {.family = (enum connection_family)(_i % 3),
				   .ending = _i / 3 % ENDINGS};
	bool accept = _i / (3 * ENDINGS);
	struct agentsh_ebpf_tracer *tracer =
		connection_open(UNANNOUNCED_HOOKS | (accept ? AGENTSH_EBPF_HOOK_ACCEPT : 0));
	struct agentsh_ebpf_session *session;
	const struct agentsh_ebpf_event *e;
	struct unannounced_list list;
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	session = live_attach(tracer, &cgroup, SESSION_ID);
	live_worker_call(&worker, be_called, &in, sizeof(in), &list, sizeof(list));
	live_worker_stop(&worker);
	live_drain_until(tracer, 2);
	live_drain(tracer);
	CONNECTION_SAME(live_seen.count, 2);
	CONNECTION_SAME(connection_count(AGENTSH_EBPF_EVENT_ACCEPTED), accept);
	if (accept)
		list.count = 0;
	unannounced_check(SESSION_ID, &list, 0);
	e = unannounced_find(SESSION_ID, list.want[0].want.socket_cookie, CLOSED, 0);
	LIVE_CHECK(e, "no CLOSED");
	CONNECTION_SAME(e->bytes_sent, 9);
	CONNECTION_SAME(e->bytes_received, 7);
	CONNECTION_SAME(e->flags & (INBOUND | ENDS),
			INBOUND | (in.ending == CLIENT_FIRST   ? AGENTSH_EBPF_FLAG_REMOTE_CLOSED
				   : in.ending == SERVER_FIRST ? AGENTSH_EBPF_FLAG_LOCAL_CLOSED
							       : 0));
	if (!connection_errors_hidden)
		CONNECTION_SAME(e->error, in.ending == RESET ? ECONNRESET : 0);
	CONNECTION_SAME(live_session_stats(session).untracked, 0);
}
END_TEST

/* ---- packets that belong to no connection ------------------------------------ */

struct stray {
	bool inside; /* the cgroup made the network namespace, so it has the kernel's sockets */
	bool late;   /* the session is attached at the end of the connection */
};

static struct {
	struct connection_address listener, client, server;
	int fd;
} strays;

/* A listener, and a connection that has ended: its client is in TIME_WAIT. */
static void prepare_strays(const void *arg, void *unused)
{
	int client = connection_socket(CONNECTION_V4, 0), server;

	(void)unused;
	if (((const struct stray *)arg)->inside)
		live_own_netns(NULL, NULL);
	close(client);
	client = connection_socket(CONNECTION_V4, 0);
	strays.fd = connection_listen(CONNECTION_V4, 0, 8, &strays.listener);
	LIVE_CHECK(!connect(client, &strays.listener.sa.any, strays.listener.size), "connect: %s",
		   strerror(errno));
	server = connection_accept(strays.fd);
	strays.client.size = strays.server.size = sizeof(strays.client.sa);
	LIVE_CHECK(!getsockname(client, &strays.client.sa.any, &strays.client.size) &&
			   !getpeername(client, &strays.server.sa.any, &strays.server.size),
		   "names: %s", strerror(errno));
	shutdown(client, SHUT_WR);
	CONNECTION_SAME(connection_read_end(server), 0);
	close(server);
	CONNECTION_SAME(connection_read_end(client), 0);
	close(client);
}

/* The kernel has taken the segments: it has answered with resets, and found no checksum wrong. */
static void check_arrival(void)
{
	unsigned long long out_resets = 0, wrong = 0;
	FILE *file = fopen("/proc/thread-self/net/snmp", "re");
	char line[512];

	LIVE_CHECK(file, "snmp: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		sscanf(line, "Tcp: %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu",
		       &out_resets, &wrong);
	fclose(file);
	LIVE_CHECK(out_resets >= 20 && !wrong, "%llu resets, %llu wrong checksums", out_resets,
		   wrong);
}

/* To a socket in TIME_WAIT, to a port without socket, and many to a listener. */
static void send_strays(const void *unused, void *unused_out)
{
	struct connection_address from = connection_loopback(CONNECTION_V4, 0);
	struct connection_address nobody = connection_loopback(CONNECTION_V4, 9);

	(void)unused;
	(void)unused_out;
	from.sa.v4.sin_addr.s_addr = htonl(0x7f010263);
	for (uint16_t i = 1; i <= 200; i++) {
		from.sa.v4.sin_port = htons((uint16_t)(30000 + i));
		segment_send(&from, &strays.listener, i, SEGMENT_SYN);
		segment_send(&from, &strays.listener, i, SEGMENT_ACK);
		segment_send(&from, &strays.listener, i, SEGMENT_RST);
	}
	for (uint16_t i = 0; i < 10; i++) {
		segment_send(&strays.server, &strays.client, 77, SEGMENT_ACK);
		segment_send(&strays.server, &strays.client, 77, SEGMENT_FIN | SEGMENT_ACK);
		segment_send(&strays.client, &strays.server, 77, SEGMENT_ACK);
		segment_send(&from, &nobody, i, SEGMENT_SYN);
		segment_send(&from, &nobody, i, SEGMENT_ACK);
	}
	check_arrival();
	close(strays.fd);
}

START_TEST(no_connection)
{
	const struct stray stray = {.inside = _i & 1, .late = _i & 2};
	struct agentsh_ebpf_tracer *tracer =
		connection_open(UNANNOUNCED_HOOKS | (_i & 4 ? AGENTSH_EBPF_HOOK_ACCEPT : 0));
	struct agentsh_ebpf_session *session = NULL;
	struct live_cgroup cgroup;
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	if (!stray.late)
		session = live_attach(tracer, &cgroup, SESSION_ID);
	live_worker_call(&worker, prepare_strays, &stray, sizeof(stray), NULL, 0);
	if (stray.late)
		session = live_attach(tracer, &cgroup, SESSION_ID);
	live_drain(tracer);
	live_seen.count = 0; /* the connection */
	live_worker_call(&worker, send_strays, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	for (size_t i = 0; i < live_seen.count; i++)
		LIVE_CHECK(false, "%s, protocol %u, type %u, flags 0x%x, port %u to %u",
			   agentsh_ebpf_kind_name(live_seen.list[i].kind),
			   live_seen.list[i].protocol, live_seen.list[i].socket_type,
			   live_seen.list[i].flags, live_seen.list[i].local_port,
			   live_seen.list[i].remote_port);
	CONNECTION_SAME(live_session_stats(session).untracked, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unannounced: TCP");
	TCase *tcase = live_case(suite, "TCP");

	tcase_add_loop_test(tcase, from_before, 0, 2 * 3 * WAYS);
	tcase_add_loop_test(tcase, progress_at_detach, 0, 3 * WAYS);
	tcase_add_loop_test(tcase, reset_from_before, 0, 3);
	tcase_add_loop_test(tcase, ended_from_before, 0, WAYS);
	tcase_add_loop_test(tcase, inbound, 0, 2 * 3 * ENDINGS);
	tcase_add_loop_test(tcase, no_connection, 0, 8);
	return live_main(suite);
}
