/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first packet of a socket that no other hook shows: one UNANNOUNCED per socket, with the
 * ends of the packet, and one CLOSED.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "unannounced_kinds.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define SESSION_ID 21

static void allow_ping(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	LIVE_CHECK(connection_sysctl("net/ipv4/ping_group_range", "0 2147483647"), "ping");
}

/* The end of the socket tells the same ends as the first packet, and its packets. */
static void check_closed(const struct unannounced_kind *k, const struct unannounced_sent *sent)
{
	uint64_t cookie = sent->list.want[0].want.socket_cookie;
	const struct agentsh_ebpf_event *first =
		unannounced_find(SESSION_ID, cookie, UNANNOUNCED, 0);
	const struct agentsh_ebpf_event *e = unannounced_find(SESSION_ID, cookie, CLOSED, 0);

	CONNECTION_SAME(unannounced_count(SESSION_ID, cookie, CLOSED), 1);
	CONNECTION_SAME(e->flags, first->flags);
	CONNECTION_SAME(e->protocol, first->protocol);
	CONNECTION_SAME(e->socket_type, first->socket_type);
	CONNECTION_SAME(e->family, first->family);
	CONNECTION_SAME(e->remote_port, first->remote_port);
	CONNECTION_SAME(e->netns_cookie, first->netns_cookie);
	LIVE_CHECK(!memcmp(e->remote_addr, first->remote_addr, sizeof(e->remote_addr)),
		   "remote_addr");
	CONNECTION_SAME(e->timestamp_ns - e->duration_ns, first->timestamp_ns);
	LIVE_CHECK(e->timestamp_ns >= sent->closed_ns[0] && e->timestamp_ns <= sent->closed_ns[1],
		   "timestamp_ns of CLOSED");
	CONNECTION_SAME(e->tgid, 0);
	if (!sent->packets) {
		LIVE_CHECK(e->packets_sent, "%s: no packets", k->name);
		return;
	}
	CONNECTION_SAME(e->packets_sent, sent->packets);
	if (k->payload == PAYLOAD_ECHO || k->payload == PAYLOAD_TEXT)
		CONNECTION_SAME(e->bytes_sent, sent->packets * sent->bytes);
}

START_TEST(kind)
{
	const struct unannounced_kind *k = &unannounced_kinds[_i];
	struct agentsh_ebpf_tracer *tracer = connection_open(UNANNOUNCED_HOOKS);
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct unannounced_sent sent;

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, SESSION_ID);
	unannounced_start(&worker, &cgroup);
	live_worker_call(&worker, allow_ping, NULL, 0, NULL, 0);
	live_worker_call(&worker, unannounced_send, &(size_t){(size_t)_i}, sizeof(size_t), &sent,
			 sizeof(sent));
	live_worker_stop(&worker);
	live_drain(tracer);
	if (sent.absent[0]) {
		printf("left out: %s: %s\n", k->name, sent.absent);
	} else {
		unannounced_check(SESSION_ID, &sent.list, 0);
		check_closed(k, &sent);
		CONNECTION_SAME(live_seen.count, 2);
	}
	CONNECTION_SAME(live_session_stats(session).untracked, 0);
	live_detach(session);
	CONNECTION_SAME(live_drain(tracer), 0);
}
END_TEST

/* ---- a datagram socket that was connected before the session ---------------- */

static int kept = -1;

static void connect_early(const void *family, void *unused)
{
	const enum connection_family f = *(const enum connection_family *)family;
	const struct connection_address to = connection_loopback(f, 26500);

	(void)unused;
	kept = socket(f == CONNECTION_V4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	LIVE_CHECK(kept >= 0 && !connect(kept, &to.sa.any, to.size), "connect: %s",
		   strerror(errno));
}

static void send_late(const void *unused, void *out)
{
	struct unannounced_sent *sent = out;

	(void)unused;
	unannounced_expect(&sent->list, "connected before", kept, 0);
	for (sent->packets = 0; sent->packets < UNANNOUNCED_PACKETS; sent->packets++)
		while (send(kept, "12345678", 8, 0) != 8)
			LIVE_CHECK(errno == ECONNREFUSED, "send: %s", strerror(errno));
	sent->bytes = 8;
	unannounced_passed(&sent->list);
	sent->closed_ns[0] = connection_now();
	close(kept);
	sent->closed_ns[1] = connection_now();
}

START_TEST(connected_before)
{
	const struct unannounced_kind k = {.name = "connected before", .payload = PAYLOAD_TEXT};
	const enum connection_family family = (enum connection_family)_i;
	/* for a mapped address send() has an UDP_SEND: the kernel runs the program of sendto() */
	struct agentsh_ebpf_tracer *tracer =
		connection_open(UNANNOUNCED_HOOKS &
				~(uint32_t)(_i == CONNECTION_MAPPED ? AGENTSH_EBPF_HOOK_UDP : 0));
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct unannounced_sent sent;

	live_cgroup_make(&cgroup, NULL);
	unannounced_start(&worker, &cgroup);
	live_worker_call(&worker, connect_early, &family, sizeof(family), NULL, 0);
	live_attach(tracer, &cgroup, SESSION_ID);
	live_worker_call(&worker, send_late, NULL, 0, &sent, sizeof(sent));
	live_worker_stop(&worker);
	live_drain(tracer);
	unannounced_check(SESSION_ID, &sent.list, 0);
	check_closed(&k, &sent);
	CONNECTION_SAME(live_seen.count, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unannounced");
	TCase *tcase = live_case(suite, "unannounced");

	tcase_add_loop_test(tcase, kind, 0, (int)unannounced_kinds_count);
	tcase_add_loop_test(tcase, connected_before, 0, 3);
	return live_main(suite);
}
