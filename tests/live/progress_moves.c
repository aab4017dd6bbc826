/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "progress_moves.h"

#define CHUNK 30000
#define CHUNKS 30
#define DATAGRAMS 50

static struct counted own;
static struct pair {
	int client, server;
} tcp[2], udp;

bool moves_is_tcp(const struct counts *s)
{
	return !strncmp(s->name, "TCP", 3);
}

static struct pair connect_pair(enum connection_family family, const char *client,
				const char *server)
{
	struct connection_address at;
	int listener = connection_listen(family, 0, 8, &at);
	struct pair p = {.client = connection_socket(family, 0)};

	LIVE_CHECK(!connect(p.client, &at.sa.any, at.size), "connect: %s", strerror(errno));
	p.server = connection_accept(listener);
	close(listener);
	counted_adopt(&own, client, p.client);
	counted_adopt(&own, server, p.server);
	return p;
}

static struct pair udp_pair(const char *client, const char *server)
{
	struct connection_address at = connection_loopback(CONNECTION_V4, 0);
	struct pair p = {.server = counted_bound(&own, server, &at),
			 .client = counted_socket(&own, client, AF_INET, SOCK_DGRAM, 0)};

	LIVE_CHECK(!connect(p.client, &at.sa.any, at.size), "connect: %s", strerror(errno));
	return p;
}

void moves_open(const void *unused, void *counted)
{
	struct pair idle;

	(void)unused;
	memset(&own, 0, sizeof(own));
	tcp[0] = connect_pair(CONNECTION_V4, "TCP client", "TCP server");
	tcp[1] = connect_pair(CONNECTION_V6, "TCP client, IPv6", "TCP server, IPv6");
	udp = udp_pair("UDP client", "UDP server");
	connect_pair(CONNECTION_V4, "idle TCP client", "idle TCP server");
	idle = udp_pair("idle UDP client", "idle UDP server");
	counted_of(&own, idle.server)->no_event = 1;
	memcpy(counted, &own, sizeof(own));
}

static void stream(int from, int to, size_t size)
{
	connection_write(from, size);
	connection_read(to, size);
	counted_sent(&own, from, 0, size);
	counted_of(&own, to)->bytes_received += size;
}

static void bulk(const struct pair *p)
{
	for (int i = 0; i < CHUNKS; i++) {
		stream(p->client, p->server, CHUNK);
		stream(p->server, p->client, 2 * CHUNK + 1);
	}
	connection_wait_acknowledged(p->client);
	connection_wait_acknowledged(p->server);
}

static void half(const struct pair *p)
{
	LIVE_CHECK(!shutdown(p->client, SHUT_WR), "shutdown: %s", strerror(errno));
	LIVE_CHECK(connection_read_end(p->server) == 0, "data before the end");
	stream(p->server, p->client, 777);
	connection_wait_acknowledged(p->client);
	connection_wait_acknowledged(p->server);
}

static void datagrams(void)
{
	struct connection_address from;

	for (size_t i = 1; i <= DATAGRAMS; i++) {
		counted_send(&own, udp.client, 10 * i, NULL);
		LIVE_CHECK(counted_receive_one(&own, udp.server, &from, LIVE_DEADLINE_MS),
			   "no datagram");
		counted_send(&own, udp.server, 3, &from);
		LIVE_CHECK(counted_receive_one(&own, udp.client, NULL, LIVE_DEADLINE_MS),
			   "no answer");
	}
}

void moves_make(const void *arg, void *counted)
{
	uint32_t what = *(const uint32_t *)arg;

	for (size_t i = 0; i < LIVE_COUNT(tcp); i++) {
		if (what & MOVES_TCP)
			bulk(&tcp[i]);
		if (what & MOVES_HALF)
			half(&tcp[i]);
	}
	if (what & MOVES_UDP)
		datagrams();
	if (what & MOVES_CLOSE)
		counted_close(&own);
	memcpy(counted, &own, sizeof(own));
}
