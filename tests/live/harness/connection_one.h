/* SPDX-License-Identifier: Apache-2.0 */
/* A worker with one connection, both ends of it, that is made step by step. */
#ifndef CONNECTION_ONE_H
#define CONNECTION_ONE_H

#include "connection.h"

/* In the worker. */
extern struct connection_own {
	struct connection connection;
	int client, server, listener, filler;
	struct connection_address at;
} connection_own;

/* What the worker saw of it, here. */
extern struct connection connection_one;

/* live_fn: listens, with this backlog. */
void connection_one_listen(const void *backlog, void *unused);
/* A worker that listens. */
void connection_one_start(struct live_worker *worker, const struct live_cgroup *cgroup);
/* Connects; three bytes go out and four come back. */
void connection_one_connect(struct live_worker *worker);
/* Ends it, by a reset of ours. */
void connection_one_close(struct live_worker *worker);

#endif
