/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that makes one connection step by step and has both ends of it. */
#ifndef CONNECTION_ONE_H
#define CONNECTION_ONE_H

#include "connection.h"

/* State of the worker, valid only there. */
extern struct connection_own {
	struct connection connection;
	int client, server, listener, filler;
	struct connection_address at;
} connection_own;

/* The worker's view of the connection, copied to the test after each step. */
extern struct connection connection_one;

/* live_fn: listens with this backlog. */
void connection_one_listen(const void *backlog, void *unused);
/* Starts a worker that listens. */
void connection_one_start(struct live_worker *worker, const struct live_cgroup *cgroup);
/* Connects; three bytes go out and four come back. */
void connection_one_connect(struct live_worker *worker);
/* Ends the connection by a reset of the connecting side. */
void connection_one_close(struct live_worker *worker);

#endif
