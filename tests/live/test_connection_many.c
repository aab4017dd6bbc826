/* SPDX-License-Identifier: Apache-2.0 */
/* 10,000 short connections of several processes: each has one first and one last event. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"

#define WORKERS 5
#define EACH 2000
#define ALL (WORKERS * EACH)
#define TABLE 32768 /* a power of two, larger than ALL */

/* Events of one socket. */
static struct seen {
	uint64_t cookie;
	uint32_t count[8]; /* by kind */
	uint32_t tgid;
} table[TABLE];

static struct seen *seen_of(uint64_t cookie)
{
	size_t i = (size_t)(cookie * 0x9e3779b97f4a7c15ULL >> 32) % TABLE;

	while (table[i].cookie && table[i].cookie != cookie)
		i = (i + 1) % TABLE;
	table[i].cookie = cookie;
	return &table[i];
}

static size_t ends;

static int on_event(void *ctx, const struct agentsh_ebpf_event *e)
{
	struct seen *s = seen_of(e->socket_cookie);

	(void)ctx;
	LIVE_CHECK(e->kind < 8, "kind %u", e->kind);
	LIVE_CHECK(!s->tgid || s->tgid == e->tgid, "another process in %s",
		   agentsh_ebpf_kind_name(e->kind));
	LIVE_CHECK(e->kind == AGENTSH_EBPF_EVENT_CONNECT || s->count[AGENTSH_EBPF_EVENT_CONNECT],
		   "%s came before connect", agentsh_ebpf_kind_name(e->kind));
	s->tgid = e->tgid;
	s->count[e->kind]++;
	ends += e->kind == AGENTSH_EBPF_EVENT_CLOSED ||
		e->kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED;
	return 0;
}

struct made {
	uint32_t connected, failed;
};

/* Makes one short connection; i chooses how it ends. */
static void one(int i, int listener, const struct connection_address *at,
		const struct connection_address *nobody, struct made *made)
{
	int fd = connection_socket(CONNECTION_V4, 0), server;

	if (i % 4 == 3) { /* refused */
		if (i % 8 == 7)
			LIVE_CHECK(!fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
		LIVE_CHECK(connect(fd, &nobody->sa.any, nobody->size) &&
				   (errno == ECONNREFUSED || errno == EINPROGRESS),
			   "connect: %s", strerror(errno));
		made->failed++;
		close(fd);
		return;
	}
	LIVE_CHECK(!connect(fd, &at->sa.any, at->size), "connect: %s", strerror(errno));
	made->connected++;
	server = connection_accept(listener);
	connection_write(fd, 10);
	if (i % 4 == 0) {
		connection_close_hard(fd);
		close(server);
	} else if (i % 4 == 1) {
		close(fd);
		CONNECTION_SAME(connection_read_end(server), 10);
		close(server);
	} else {
		close(server); /* with unread data: a reset */
		close(fd);
	}
}

static void make_many(const void *unused, void *out)
{
	struct connection_address at, nobody;
	int listener = connection_listen(CONNECTION_V4, 0, 8, &at);

	(void)unused;
	nobody = at;
	nobody.sa.v4.sin_addr.s_addr = htonl(0x7f010299); /* nothing listens on this address */
	for (int i = 0; i < EACH; i++)
		one(i, listener, &at, &nobody, out);
	close(listener);
}

START_TEST(one_end_each)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = CONNECTION_CONNECT,
		.ring_size = 1 << 24, /* room for all events */
		.ring_quota = 100,
		.on_event = on_event,
	};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	struct agentsh_ebpf_session *session;
	struct live_worker workers[WORKERS];
	struct made made, sum = {0, 0};
	struct live_cgroup cgroup;
	size_t connected = 0, failed = 0, sockets = 0;
	struct agentsh_ebpf_stats stats;

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 8);
	for (int i = 0; i < WORKERS; i++)
		live_worker_start(&workers[i], &cgroup);
	for (int i = 0; i < WORKERS; i++)
		live_worker_send(&workers[i], make_many, NULL, 0, sizeof(made));
	for (int i = 0; i < WORKERS; i++) {
		live_worker_receive(&workers[i], &made, sizeof(made));
		sum.connected += made.connected;
		sum.failed += made.failed;
		live_drain(tracer);
	}
	for (int i = 0; i < WORKERS; i++)
		live_worker_stop(&workers[i]);
	for (int i = 0; ends < ALL && i < LIVE_DEADLINE_MS / 10; i++) {
		live_drain(tracer);
		usleep(10000);
	}
	live_drain(tracer);
	stats = live_session_stats(session);
	CONNECTION_SAME(stats.lost, 0);
	CONNECTION_SAME(stats.delivered, ALL + sum.connected + ALL);
	for (size_t i = 0; i < TABLE; i++) {
		const uint32_t *count = table[i].count;

		if (!table[i].cookie)
			continue;
		sockets++;
		CONNECTION_SAME(count[AGENTSH_EBPF_EVENT_CONNECT], 1);
		CONNECTION_SAME(count[AGENTSH_EBPF_EVENT_CONNECT_FAILED] +
					count[AGENTSH_EBPF_EVENT_CLOSED],
				1);
		CONNECTION_SAME(count[AGENTSH_EBPF_EVENT_CONNECTED],
				count[AGENTSH_EBPF_EVENT_CLOSED]);
		connected += count[AGENTSH_EBPF_EVENT_CLOSED];
		failed += count[AGENTSH_EBPF_EVENT_CONNECT_FAILED];
	}
	CONNECTION_SAME(sockets, ALL);
	CONNECTION_SAME(connected, sum.connected);
	CONNECTION_SAME(failed, sum.failed);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: many");
	TCase *tcase = live_case(suite, "many");

	tcase_add_test(tcase, one_end_each);
	return live_main(suite);
}
