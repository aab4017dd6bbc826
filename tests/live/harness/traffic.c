/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "traffic.h"

#define LOOPBACK_NET 0x7f000000U
#define PORT_DISCARD 9

static int sockets[TRAFFIC_SOCKETS]; /* of this worker; 0: not made yet */

void traffic_make(const void *arg, void *unused)
{
	const struct traffic *t = arg;
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(t->port ? (uint16_t)t->port : PORT_DISCARD),
	};
	int *fd = &sockets[t->socket];

	(void)unused;
	if (!*fd)
		*fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	LIVE_CHECK(*fd > 0, "socket: %s", strerror(errno));
	for (uint32_t i = 0; i < t->count; i++) {
		to.sin_addr.s_addr = htonl(LOOPBACK_NET | (t->first + i));
		for (uint32_t j = 0; j < (t->repeat ? t->repeat : 1); j++) {
			/* a call that fails causes the same event */
			if (t->how == TRAFFIC_CONNECT)
				(void)!connect(*fd, (void *)&to, sizeof(to));
			else
				(void)!sendto(*fd, "x", 1, 0, (void *)&to, sizeof(to));
		}
	}
}

void traffic_of(struct live_worker *worker, struct traffic traffic)
{
	live_worker_call(worker, traffic_make, &traffic, sizeof(traffic), NULL, 0);
}

void traffic_begin(struct live_worker *worker, struct traffic traffic)
{
	live_worker_send(worker, traffic_make, &traffic, sizeof(traffic), 0);
}

uint32_t traffic_number(const struct agentsh_ebpf_event *event)
{
	uint32_t address;

	LIVE_CHECK(event->family == AF_INET, "family is %u", event->family);
	memcpy(&address, event->remote_addr, sizeof(address));
	return ntohl(address) - LOOPBACK_NET;
}

void traffic_expect(size_t from, uint64_t session_id, uint32_t first, uint32_t count)
{
	LIVE_CHECK(live_seen.count == from + count, "%zu events, expected %zu", live_seen.count,
		   from + count);
	for (uint32_t i = 0; i < count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[from + i];

		LIVE_CHECK(traffic_number(e) == first + i, "event %zu has number %u, expected %u",
			   from + i, traffic_number(e), first + i);
		LIVE_CHECK(e->session_id == session_id,
			   "event %zu is of session %llu, expected %llu", from + i,
			   (unsigned long long)e->session_id, (unsigned long long)session_id);
	}
}
