/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways in which a connection ends, compared with CLOSED: which side closed first, the
 * bytes written and read, and TCP_INFO. Both ends are in one process, so that the order of
 * calls is known.
 */
#include <string.h>
#include <unistd.h>

#include "closed_paths.h"

#define SESSION_ID 55
#define FAMILIES 3

static void run_path(const void *index, void *out)
{
	int i = *(const int *)index;
	enum connection_family family = (enum connection_family)(i % FAMILIES);
	struct connection_address at;
	int listener = connection_listen(family, 0, 8, &at);
	struct pair p = {.connection = out};
	int error;

	p.client = connection_socket(family, 0);
	error = connection_connect(p.connection, p.client, &at, closed_paths[i / FAMILIES].name);
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_is_connected(p.connection, p.client);
	p.server = connection_accept(listener);
	closed_paths[i / FAMILIES].go(&p);
	close(listener);
}

static struct connection connection;

static void ends(struct agentsh_ebpf_tracer *tracer, int index)
{
	struct live_cgroup session;
	struct live_worker worker;

	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, run_path, &index, sizeof(index), &connection, sizeof(connection));
	live_worker_stop(&worker);
	if (connection_errors_hidden) {
		connection.sent -= closed_paths[index / FAMILIES].fewer_sent;
		connection.received -= closed_paths[index / FAMILIES].fewer_received;
	}
	connection_drain(tracer, &connection, 1);
	connection_expect(&connection, 1);
}

#define ALL ((int)closed_path_count * FAMILIES)

/* The programs of HOOK_ACCEPT see the same sockets; without BTF other programs are loaded. */
START_TEST(end)
{
	struct agentsh_ebpf_tracer *tracer =
		_i / ALL == 0	? connection_open(CONNECTION_CONNECT)
		: _i / ALL == 1 ? connection_open(CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_ACCEPT)
				: connection_open_without_btf(CONNECTION_CONNECT);

	ends(tracer, _i % ALL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: closed");
	TCase *tcase = live_case(suite, "ends");

	tcase_add_loop_test(tcase, end, 0, 3 * ALL);
	return live_main(suite);
}
