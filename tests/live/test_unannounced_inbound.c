/* SPDX-License-Identifier: Apache-2.0 */
/* Inbound TCP connections without the hook ACCEPT, and packets that belong to no connection. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unannounced_segments.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define INBOUND AGENTSH_EBPF_FLAG_INBOUND
#define ENDS (AGENTSH_EBPF_FLAG_LOCAL_CLOSED | AGENTSH_EBPF_FLAG_REMOTE_CLOSED)
#define SESSION_ID 23

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
	Suite *suite = suite_create("unannounced: inbound TCP");
	TCase *tcase = live_case(suite, "inbound");

	tcase_add_loop_test(tcase, inbound, 0, 2 * 3 * ENDINGS);
	tcase_add_loop_test(tcase, no_connection, 0, 8);
	return live_main(suite);
}
