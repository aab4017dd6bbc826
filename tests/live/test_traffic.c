/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CLOSED of a datagram socket has the packets and bytes of both directions, exactly as the
 * process and its peer count them.
 */
#include <stdio.h>
#include <string.h>

#include "traffic_ways.h"
#include "two_hosts.h"

#define HOOKS (CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_TRAFFIC)

static const struct {
	const struct traffic_way *ways;
	const size_t *count;
} tables[] = {
	{traffic_calls, &traffic_calls_count},	       {traffic_links, &traffic_links_count},
	{traffic_failures, &traffic_failures_count},   {traffic_shared, &traffic_shared_count},
	{traffic_protocols, &traffic_protocols_count},
};

struct live_cgroup traffic_cgroup;

static const struct traffic_way *way_of(int number)
{
	for (size_t i = 0; i < LIVE_COUNT(tables); i++) {
		if ((size_t)number < *tables[i].count)
			return &tables[i].ways[number];
		number -= (int)*tables[i].count;
	}
	return NULL;
}

/* In network namespaces of its own, so that nobody else sends there. */
static void run(const void *number, void *counts)
{
	const struct traffic_way *way = way_of(*(const int *)number);
	struct counted *c = counts;

	if (way->two_hosts && !two_hosts(c, &traffic_cgroup))
		return;
	if (!way->two_hosts) {
		live_cgroup_enter(NULL); /* the kernel itself makes sockets in a new namespace */
		live_own_netns(NULL, NULL);
		live_cgroup_enter(&traffic_cgroup);
	}
	way->go(c);
	counted_close(c);
}

static void try_way(int number, bool without_btf)
{
	struct agentsh_ebpf_tracer *tracer =
		without_btf ? connection_open_without_btf(HOOKS) : connection_open(HOOKS);
	const struct traffic_way *way = way_of(number);
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_stats stats;
	struct live_worker worker;
	struct counted c;

	memset(&c, 0, sizeof(c));
	live_cgroup_make(&traffic_cgroup, NULL);
	session = live_attach(tracer, &traffic_cgroup, 5);
	live_worker_start(&worker, &traffic_cgroup);
	live_worker_call(&worker, run, &number, sizeof(number), &c, sizeof(c));
	live_worker_stop(&worker);
	if (c.absent[0]) {
		printf("left out: %s: %s\n", way->name, c.absent);
		return;
	}
	counted_drain(tracer, &c);
	counted_expect(way->name, &c);
	stats = live_session_stats(session);
	CONNECTION_SAME(stats.lost, 0);
	CONNECTION_SAME(stats.untracked, 0);
	CONNECTION_SAME(stats.delivered, live_seen.count);
}

START_TEST(way)
{
	try_way(_i, false);
}
END_TEST

START_TEST(way_without_btf)
{
	try_way(_i, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("traffic");
	TCase *tcase = live_case(suite, "traffic");
	int count = 0;

	while (way_of(count))
		count++;
	tcase_add_loop_test(tcase, way, 0, count);
	tcase_add_loop_test(tcase, way_without_btf, 0, count);
	return live_main(suite);
}
