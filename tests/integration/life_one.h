/* SPDX-License-Identifier: Apache-2.0 */
/* A worker with one connection, both ends of it, that is made step by step. */
#ifndef LIFE_ONE_H
#define LIFE_ONE_H

#include "life.h"

/* In the worker. */
extern struct life_own {
	struct life life;
	int client, server, listener, filler;
	struct life_address at;
} life_own;

/* What the worker saw of it, here. */
extern struct life life_one;

/* live_fn: listens, with this backlog. */
void life_one_listen(const void *backlog, void *unused);
/* A worker that listens. */
void life_one_start(struct live_worker *worker, const struct live_cgroup *cgroup);
/* Connects; three bytes go out and four come back. */
void life_one_connect(struct live_worker *worker);
/* Ends it, by a reset of ours. */
void life_one_close(struct live_worker *worker);

#endif
