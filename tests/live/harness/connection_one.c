/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "connection_one.h"

struct connection_own connection_own;
struct connection connection_one;

void connection_one_listen(const void *backlog, void *unused)
{
	(void)unused;
	connection_own.listener =
		connection_listen(CONNECTION_V4, 0, *(const int *)backlog, &connection_own.at);
}

static void connects(const void *unused, void *out)
{
	struct connection_own *own = &connection_own;
	int error;

	(void)unused;
	own->client = connection_socket(CONNECTION_V4, 0);
	error = connection_connect(&own->connection, own->client, &own->at, "connection");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_is_connected(&own->connection, own->client);
	own->server = connection_accept(own->listener);
	connection_write(own->client, 3);
	connection_write(own->server, 4);
	connection_read(own->client, 4);
	own->connection.sent = 3;
	own->connection.received = 4;
	memcpy(out, &own->connection, sizeof(own->connection));
}

static void closes(const void *unused, void *out)
{
	(void)unused;
	connection_ending(&connection_own.connection);
	connection_close_hard(connection_own.client);
	connection_ended(&connection_own.connection, AGENTSH_EBPF_EVENT_CLOSED, 0, 0);
	close(connection_own.server);
	memcpy(out, &connection_own.connection, sizeof(connection_own.connection));
}

void connection_one_start(struct live_worker *worker, const struct live_cgroup *cgroup)
{
	live_worker_start(worker, cgroup);
	live_worker_call(worker, connection_one_listen, &(int){8}, sizeof(int), NULL, 0);
}

void connection_one_connect(struct live_worker *worker)
{
	live_worker_call(worker, connects, NULL, 0, &connection_one, sizeof(connection_one));
}

void connection_one_close(struct live_worker *worker)
{
	live_worker_call(worker, closes, NULL, 0, &connection_one, sizeof(connection_one));
}
