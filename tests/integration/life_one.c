/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "life_one.h"

struct life_own life_own;
struct life life_one;

void life_one_listen(const void *backlog, void *unused)
{
	(void)unused;
	life_own.listener = life_listen(LIFE_V4, 0, *(const int *)backlog, &life_own.at);
}

static void connects(const void *unused, void *out)
{
	struct life_own *own = &life_own;
	int error;

	(void)unused;
	own->client = life_socket(LIFE_V4, 0);
	error = life_connect(&own->life, own->client, &own->at, "connection");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	life_is_connected(&own->life, own->client);
	own->server = life_accept(own->listener);
	life_write(own->client, 3);
	life_write(own->server, 4);
	life_read(own->client, 4);
	own->life.sent = 3;
	own->life.received = 4;
	memcpy(out, &own->life, sizeof(own->life));
}

static void closes(const void *unused, void *out)
{
	(void)unused;
	life_ending(&life_own.life);
	life_close_hard(life_own.client);
	life_ended(&life_own.life, AGENTSH_EBPF_EVENT_CLOSED, 0, 0);
	close(life_own.server);
	memcpy(out, &life_own.life, sizeof(life_own.life));
}

void life_one_start(struct live_worker *worker, const struct live_cgroup *cgroup)
{
	live_worker_start(worker, cgroup);
	live_worker_call(worker, life_one_listen, &(int){8}, sizeof(int), NULL, 0);
}

void life_one_connect(struct live_worker *worker)
{
	live_worker_call(worker, connects, NULL, 0, &life_one, sizeof(life_one));
}

void life_one_close(struct live_worker *worker)
{
	live_worker_call(worker, closes, NULL, 0, &life_one, sizeof(life_one));
}
