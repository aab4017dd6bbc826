/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaches and detaches sessions under mixed load for SOAK_SECONDS: every event is delivered,
 * lost or deduplicated, and memory, descriptors and kernel objects do not grow.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "traffic.h"

#define WORKERS 6
#define SECONDS 4 /* in an ordinary test run */
#define ROUNDS 40 /* between two counts of what is held */
#define REPORT_S 60
#define MEMORY_SLACK 4096
#define RING 65536 /* small, so that some are lost */

static struct member {
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct agentsh_ebpf_session *session;
	uint64_t made; /* events of this session */
	bool busy;
} members[WORKERS];

static struct agentsh_ebpf_tracer *tracer;
static uint64_t made, seen, sessions, state = 1;

static uint32_t below(uint32_t limit)
{
	state = state * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(state >> 33) % limit;
}

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	(void)event;
	seen++;
	return 0;
}

static void drain(void)
{
	int ret;

	while ((ret = agentsh_ebpf_poll(tracer, 0)) > 0)
		;
	LIVE_CHECK(!ret, "poll: %d", ret);
}

static void begin_traffic(struct member *m)
{
	struct traffic t = {
		.how = below(2) ? TRAFFIC_CONNECT : TRAFFIC_SEND,
		.first = 1 + below(1000),
		.count = 1 + below(below(8) ? 50 : 2000),
		.repeat = 1 + below(3),
	};

	t.socket = t.how; /* a connected socket could not send to other destinations */
	traffic_begin(&m->worker, t);
	m->busy = true;
	if (!m->session)
		return; /* without a session there is no event */
	m->made += (uint64_t)t.count * t.repeat;
	made += (uint64_t)t.count * t.repeat;
}

static void end_traffic(struct member *m)
{
	if (m->busy)
		live_worker_receive(&m->worker, NULL, 0);
	m->busy = false;
}

static void detach(struct member *m, bool read_first)
{
	if (read_first) {
		struct agentsh_ebpf_stats s;

		drain();
		s = live_session_stats(m->session);
		LIVE_CHECK(s.delivered + s.lost + s.deduplicated == m->made,
			   "%llu delivered + %llu lost + %llu deduplicated of %llu made",
			   (unsigned long long)s.delivered, (unsigned long long)s.lost,
			   (unsigned long long)s.deduplicated, (unsigned long long)m->made);
	}
	LIVE_CHECK(!agentsh_ebpf_session_detach(m->session), "detach");
	m->session = NULL;
}

static void one_round(void)
{
	for (int i = 0; i < WORKERS; i++) {
		struct member *m = &members[i];

		if (m->session ? !below(3) : !below(2)) {
			if (m->session) {
				detach(m, below(2)); /* or leaves its events unread */
			} else {
				m->session = live_attach(tracer, &m->cgroup, (uint64_t)i + 1);
				m->made = 0;
				sessions++;
			}
		}
		if (below(4))
			begin_traffic(m);
	}
	for (uint32_t polls = below(6); polls; polls--)
		LIVE_CHECK(agentsh_ebpf_poll(tracer, 1) >= 0, "poll");
	for (int i = 0; i < WORKERS; i++)
		end_traffic(&members[i]);
}

struct held {
	size_t memory;
	int fds;
	size_t programs, maps, links;
};

/* Detaches all sessions; then the counts must add up. */
static struct held settle(uint32_t marker)
{
	static struct kernel_ids ids;
	struct agentsh_ebpf_stats s;

	for (int i = 0; i < WORKERS; i++)
		if (members[i].session)
			detach(&members[i], true);
	drain();
	s = live_tracer_stats(tracer);
	LIVE_CHECK(s.delivered == seen && s.delivered + s.lost + s.deduplicated == made,
		   "%llu seen, %llu delivered + %llu lost + %llu deduplicated of %llu made",
		   (unsigned long long)seen, (unsigned long long)s.delivered,
		   (unsigned long long)s.lost, (unsigned long long)s.deduplicated,
		   (unsigned long long)made);
	LIVE_CHECK(!s.malformed && !s.attach_failures && !s.sessions, "stats");
	LIVE_CHECK(kernel_links_become(marker, 0), "links are left");
	kernel_ids(marker, &ids);
	return (struct held){mallinfo2().uordblks, live_open_fds(), ids.programs, ids.maps,
			     ids.links};
}

static void report(time_t seconds, const struct held *held)
{
	const struct agentsh_ebpf_stats s = live_tracer_stats(tracer);

	printf("%5llds: %llu sessions, %llu made = %llu delivered + %llu lost + %llu deduplicated; "
	       "%zu bytes, %d descriptors, %zu programs, %zu maps, %zu links\n",
	       (long long)seconds, (unsigned long long)sessions, (unsigned long long)made,
	       (unsigned long long)s.delivered, (unsigned long long)s.lost,
	       (unsigned long long)s.deduplicated, held->memory, held->fds, held->programs,
	       held->maps, held->links);
	fflush(stdout);
}

START_TEST(soak)
{
	uint32_t marker = kernel_new_marker();
	const struct agentsh_ebpf_tracer_options options = {
		.max_sessions = marker,
		.ring_size = RING,
		.on_event = on_event,
	};
	const char *seconds = getenv("SOAK_SECONDS");
	time_t start = time(NULL), end = start + (seconds ? atoi(seconds) : SECONDS), next = start;
	struct held first, now;

	made = seen = sessions = 0;
	tracer = live_open(&options);
	for (int i = 0; i < WORKERS; i++) {
		live_cgroup_make(&members[i].cgroup, NULL);
		live_worker_start(&members[i].worker, &members[i].cgroup);
	}
	for (int i = 0; i < ROUNDS; i++) /* fills caches that are kept */
		one_round();
	first = settle(marker);
	do {
		for (int i = 0; i < ROUNDS; i++)
			one_round();
		now = settle(marker);
		LIVE_CHECK(now.fds == first.fds, "%d descriptors, were %d", now.fds, first.fds);
		LIVE_CHECK(now.memory <= first.memory + MEMORY_SLACK, "%zu bytes, were %zu",
			   now.memory, first.memory);
		LIVE_CHECK(now.programs == first.programs && now.maps == first.maps,
			   "%zu programs, %zu maps, were %zu, %zu", now.programs, now.maps,
			   first.programs, first.maps);
		if (time(NULL) >= next) {
			report(time(NULL) - start, &now);
			next += REPORT_S;
		}
	} while (time(NULL) < end);
	report(time(NULL) - start, &now);
	ck_assert_uint_gt(live_tracer_stats(tracer).lost,
			  0); /* otherwise the ring never was full */
	ck_assert_uint_gt(live_tracer_stats(tracer).deduplicated, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("soak");

	tcase_add_test(live_case(suite, "soak"), soak);
	return live_main(suite);
}
