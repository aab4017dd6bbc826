/* SPDX-License-Identifier: Apache-2.0 */
/* PROGRESS without room in the ring, and of a tracer without CAP_PERFMON. */
#include <errno.h>
#include <string.h>

#include "host_limits.h"
#include "progress_told.h"
#include "traffic.h"

#define PROGRESS AGENTSH_EBPF_EVENT_PROGRESS
#define INTERVAL_MS 100
#define RING_SMALL 4096

/* ---- a full ring ------------------------------------------------------------- */

static void floods(const void *unused, void *unused_out)
{
	struct traffic traffic = SENDS(.first = 1, .count = 500);

	(void)unused;
	traffic_make(&traffic, unused_out);
}

/* What finds no room in the ring is counted as lost, as every event. */
START_TEST(lost_at_detach)
{
	struct agentsh_ebpf_stats total;
	uint64_t made, before, sockets;

	told_begin(RING_SMALL, 0, 0);
	live_drain(told_tracer);
	told_move(MOVES_UDP | MOVES_TCP);
	live_drain(told_tracer);
	made = live_seen.count + live_session_stats(told_session).lost;
	live_worker_call(&told_worker, floods, NULL, 0, NULL, 0);
	made += 500 + 1; /* UDP_SEND of each destination, and FIRST_DATA */
	before = live_session_stats(told_session).lost;
	LIVE_CHECK(before, "the ring had room for everything");
	live_detach(told_session);
	sockets = connection_errors_hidden ? 3 : 7; /* with the socket of the flood */
	CONNECTION_SAME(live_tracer_stats(told_tracer).lost - before, sockets);
	live_drain(told_tracer);
	CONNECTION_SAME(connection_count(PROGRESS), 0);
	total = live_tracer_stats(told_tracer);
	CONNECTION_SAME(total.delivered, live_seen.count);
	CONNECTION_SAME(total.delivered + total.lost, made + sockets);
}
END_TEST

/* What was lost at an interval is told at the next one that finds room. */
START_TEST(told_after_loss)
{
	struct agentsh_ebpf_stats stats;

	told_begin(RING_SMALL, INTERVAL_MS, 0);
	told_move(MOVES_UDP | MOVES_TCP);
	live_worker_call(&told_worker, floods, NULL, 0, NULL, 0);
	told_await();
	stats = live_session_stats(told_session);
	LIVE_CHECK(stats.lost, "the ring had room for everything");
	CONNECTION_SAME(stats.delivered, live_seen.count);
}
END_TEST

/* ---- many sockets --------------------------------------------------------------- */

#define RING_MEDIUM (1 << 16) /* has room for 264 PROGRESS events */
#define MANY 600
#define AT_ONCE 50

static int many[MANY];

static void send_one(int fd)
{
	while (send(fd, "x", 1, 0) != 1) /* an earlier one may have been answered by an error */
		LIVE_CHECK(errno == ECONNREFUSED, "send: %s", strerror(errno));
}

static void open_some(const void *first, void *unused_out)
{
	const struct connection_address to = connection_loopback(CONNECTION_V4, 9);
	const int from = *(const int *)first;

	(void)unused_out;
	for (int i = from; i < from + AT_ONCE; i++) {
		many[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		LIVE_CHECK(many[i] >= 0 && !connect(many[i], &to.sa.any, to.size), "connect: %s",
			   strerror(errno));
		send_one(many[i]);
	}
}

static void all_send(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	for (int i = 0; i < MANY; i++)
		send_one(many[i]);
}

static uint32_t told_twice(void)
{
	uint32_t told = 0;

	for (size_t i = 0; i < live_seen.count; i++)
		told += live_seen.list[i].kind == PROGRESS && live_seen.list[i].packets_sent == 2;
	return told;
}

/* The sockets with traffic may be more than the ring has room for. */
START_TEST(many_at_an_interval)
{
	const int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	told_begin(RING_MEDIUM, INTERVAL_MS, 0);
	for (int i = 0; i < MANY; i += AT_ONCE) {
		live_worker_call(&told_worker, open_some, &i, sizeof(i), NULL, 0);
		live_drain(told_tracer);
	}
	live_worker_call(&told_worker, all_send, NULL, 0, NULL, 0);
	while (told_twice() < MANY) {
		LIVE_CHECK(live_now_ms() < end, "%u sockets were reported", told_twice());
		LIVE_CHECK(agentsh_ebpf_poll(told_tracer, 10) >= 0, "poll failed");
	}
	CONNECTION_SAME(live_session_stats(told_session).lost, 0);
}
END_TEST

/* ---- without privileges ------------------------------------------------------ */

static void host_opens(const void *unused, void *out)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.hooks = TOLD_HOOKS,
		.required_hooks = TOLD_HOOKS,
		.on_event = live_on_event,
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;

	(void)unused;
	host_memlock_unlimited();
	LIVE_CHECK(!host_nobody() && !host_keep_caps(CAPS_BPF_AND_NET), "caps: %s",
		   strerror(errno));
	*(int *)out = agentsh_ebpf_tracer_open(&options, &told_tracer, &err);
	LIVE_CHECK(!*(int *)out, "open: %s", err.message);
	told_session = live_attach(told_tracer, &told_cgroup, MOVES_SESSION);
}

static void host_ends(const void *unused, void *seen)
{
	(void)unused;
	LIVE_CHECK(!agentsh_ebpf_session_detach(told_session), "detach failed");
	live_drain(told_tracer);
	agentsh_ebpf_tracer_close(told_tracer);
	memcpy(seen, &live_seen, sizeof(live_seen));
}

/* Without CAP_PERFMON the programs cannot read a TCP socket, but they still count packets. */
START_TEST(without_perfmon)
{
	struct live_worker host;
	int ret;

	live_cgroup_make(&told_cgroup, NULL);
	live_worker_start(&host, NULL);
	live_worker_call(&host, host_opens, NULL, 0, &ret, sizeof(ret));
	live_worker_start(&told_worker, &told_cgroup);
	live_worker_call(&told_worker, moves_open, NULL, 0, &told_moved, sizeof(told_moved));
	told_move(MOVES_UDP | MOVES_TCP);
	live_worker_call(&host, host_ends, NULL, 0, &live_seen, sizeof(live_seen));
	connection_errors_hidden = true;
	told_expect_rising();
	for (uint32_t n = 0; n < told_moved.count; n++) {
		const struct agentsh_ebpf_event *e = told_last(&told_moved.list[n], PROGRESS);

		CONNECTION_SAME(e != NULL, told_is_seen(&told_moved.list[n]));
		if (e)
			told_same(&told_moved.list[n], e);
	}
	live_worker_stop(&host);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress, lost");
	TCase *tcase = live_case(suite, "progress, lost");

	tcase_add_test(tcase, lost_at_detach);
	tcase_add_test(tcase, told_after_loss);
	tcase_add_test(tcase, many_at_an_interval);
	tcase_add_test(tcase, without_perfmon);
	return live_main(suite);
}
