/* SPDX-License-Identifier: Apache-2.0 */
/* The tracer's descriptor in a foreign event loop, level-triggered and edge-triggered. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "traffic.h"

static struct live_cgroup cgroup;
static struct agentsh_ebpf_tracer *tracer;
static struct live_worker worker;
static int loop = -1;

static int one_at_a_time(void *ctx, const struct agentsh_ebpf_event *event)
{
	live_on_event(ctx, event);
	return 1;
}

static void begin(agentsh_ebpf_event_fn on_event, uint32_t events)
{
	const struct agentsh_ebpf_tracer_options options = {
		.flags = AGENTSH_EBPF_OPEN_NO_MODERATION, /* test_stuck.c has the timer */
		.on_event = on_event,
	};
	struct epoll_event event = {.events = events};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	loop = epoll_create1(EPOLL_CLOEXEC);
	LIVE_CHECK(loop >= 0 && !epoll_ctl(loop, EPOLL_CTL_ADD, agentsh_ebpf_fd(tracer), &event),
		   "epoll: %s", strerror(errno));
}

static void teardown(void)
{
	close(loop);
	loop = -1;
}

static bool ready(int timeout_ms)
{
	struct epoll_event event;
	int ret = epoll_wait(loop, &event, 1, timeout_ms);

	LIVE_CHECK(ret >= 0, "epoll_wait: %s", strerror(errno));
	return ret == 1;
}

START_TEST(readable_on_event)
{
	begin(NULL, EPOLLIN);
	ck_assert(!ready(0));
	for (uint32_t i = 1; i <= 20; i++) {
		traffic_begin(&worker, CONNECTS(.first = i, .count = 1));
		ck_assert(ready(LIVE_DEADLINE_MS));
		live_worker_receive(&worker, NULL, 0);
		ck_assert(ready(0)); /* until it is read */
		ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 1);
		ck_assert(!ready(0));
	}
	traffic_expect(0, 1, 1, 20);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(readable_on_wake)
{
	begin(NULL, EPOLLIN);
	ck_assert(!ready(0));
	agentsh_ebpf_wake(tracer);
	ck_assert(ready(0));
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
	ck_assert(!ready(0));
}
END_TEST

/* An event and a wake at once: after two calls the descriptor is not readable any more. */
START_TEST(readable_on_both)
{
	begin(NULL, EPOLLIN);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 3));
	agentsh_ebpf_wake(tracer);
	ck_assert(ready(LIVE_DEADLINE_MS));
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 3);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
	ck_assert(!ready(0));
	live_worker_stop(&worker);
}
END_TEST

START_TEST(readable_while_events_are_left)
{
	begin(one_at_a_time, EPOLLIN);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 5));
	for (int i = 0; i < 5; i++) {
		ck_assert(ready(LIVE_DEADLINE_MS));
		ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 1);
	}
	ck_assert(!ready(0));
	traffic_expect(0, 1, 1, 5);
	live_worker_stop(&worker);
}
END_TEST

/* Like Go's netpoll: read until nothing is left, then wait for the edge. */
START_TEST(edge_triggered)
{
	uint32_t made = 0;

	begin(NULL, EPOLLIN | EPOLLET);
	while (ready(0)) /* adding the descriptor may cause an edge */
		;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t count = 1 + round % 7;

		traffic_begin(&worker, CONNECTS(.first = made + 1, .count = count));
		made += count;
		while (live_seen.count < made) {
			ck_assert_msg(ready(LIVE_DEADLINE_MS), "no edge for event %zu of %u",
				      live_seen.count + 1, made);
			live_drain(tracer);
		}
		live_worker_receive(&worker, NULL, 0);
	}
	traffic_expect(0, 1, 1, made);
	agentsh_ebpf_wake(tracer);
	ck_assert(ready(LIVE_DEADLINE_MS));
	live_worker_stop(&worker);
}
END_TEST

START_TEST(plain_poll)
{
	struct pollfd fd;

	begin(NULL, EPOLLIN);
	fd = (struct pollfd){.fd = agentsh_ebpf_fd(tracer), .events = POLLIN};
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	traffic_begin(&worker, SENDS(.first = 1, .count = 1));
	ck_assert_int_eq(poll(&fd, 1, LIVE_DEADLINE_MS), 1);
	ck_assert_int_eq(fd.revents, POLLIN);
	live_worker_receive(&worker, NULL, 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 1);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tcase = live_case(suite, "foreign event loop");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, readable_on_event);
	tcase_add_test(tcase, readable_on_wake);
	tcase_add_test(tcase, readable_on_both);
	tcase_add_test(tcase, readable_while_events_are_left);
	tcase_add_test(tcase, edge_triggered);
	tcase_add_test(tcase, plain_poll);
	return live_main(suite);
}
