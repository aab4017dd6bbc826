/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor in a host's event loop: poll, level-triggered epoll and edge-triggered epoll. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "unit.h"

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static int loop;

static int ignore(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	(void)event;
	return 0;
}

static void setup(void)
{
	const struct agentsh_ebpf_tracer_options o = {.ring_quota = 100, .on_event = ignore};

	tracer = unit_open(&o);
	session = unit_attach(tracer, 1);
	loop = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ge(loop, 0);
}

static void teardown(void)
{
	close(loop);
	agentsh_ebpf_tracer_close(tracer);
}

static void add_to_loop(uint32_t events)
{
	struct epoll_event event = {.events = events};

	ck_assert_int_eq(epoll_ctl(loop, EPOLL_CTL_ADD, agentsh_ebpf_fd(tracer), &event), 0);
}

static int loop_says(int timeout_ms)
{
	struct epoll_event event;

	return epoll_wait(loop, &event, 1, timeout_ms);
}

static bool readable(void)
{
	struct pollfd p = {.fd = agentsh_ebpf_fd(tracer), .events = POLLIN};
	int n = poll(&p, 1, 0);

	ck_assert_int_ge(n, 0);
	ck_assert_int_eq(p.revents & ~POLLIN, 0);
	return n == 1;
}

START_TEST(same_all_along)
{
	int fd = agentsh_ebpf_fd(tracer);

	ck_assert_int_ge(fd, 0);
	unit_inject(session, 1);
	unit_drain(tracer);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	ck_assert_int_eq(agentsh_ebpf_fd(tracer), fd);
}
END_TEST

START_TEST(readable_for_events)
{
	struct agentsh_ebpf_event got[3];

	for (int round = 0; round < 5; round++) {
		ck_assert(!readable());
		for (uint64_t i = 0; i < 3; i++) {
			ck_assert_int_eq(unit_inject(session, i), 0);
			ck_assert(readable());
		}
		/* readable while an event is left */
		ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 2, 0), 2);
		ck_assert(readable());
		ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 1);
		ck_assert(!readable());
	}
}
END_TEST

/* The array is full and no event is left, so the descriptor must not be readable. */
START_TEST(not_readable_when_all_is_read)
{
	struct agentsh_ebpf_event got[3];

	for (uint64_t i = 0; i < 3; i++)
		ck_assert_int_eq(unit_inject(session, i), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 3, 0), 3);
	ck_assert(!readable());
}
END_TEST

START_TEST(readable_for_wake)
{
	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert(readable());
	/*
	 * a loop calls with timeout 0, so this call must consume the wake although it does not
	 * wait
	 */
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
	ck_assert(!readable());
	/* with an event, too, two calls are enough */
	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 1);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
	ck_assert(!readable());
}
END_TEST

START_TEST(not_readable_for_a_loss)
{
	unit_fill(session);
	unit_drain(tracer);
	ck_assert(!readable());
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	session = unit_attach(tracer, 2);
	ck_assert(!readable());
}
END_TEST

START_TEST(by_level)
{
	add_to_loop(EPOLLIN);
	for (int round = 0; round < 100; round++) {
		ck_assert_int_eq(loop_says(0), 0);
		ck_assert_int_eq(unit_inject(session, 1), 0);
		ck_assert_int_eq(loop_says(UNIT_DEADLINE_MS), 1);
		ck_assert_int_eq(loop_says(0), 1);
		ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 1);
	}
}
END_TEST

/* As in Go's netpoll: one notification, then reads until no event is left. */
START_TEST(by_edge)
{
	add_to_loop(EPOLLIN | EPOLLET);
	for (int round = 0; round < 100; round++) {
		ck_assert_int_eq(unit_inject(session, 1), 0);
		ck_assert_int_eq(loop_says(UNIT_DEADLINE_MS), 1);
		ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 1);
		ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
		while (loop_says(0) == 1) /* the kernel may notify once too often */
			ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
	}
	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_int_eq(loop_says(UNIT_DEADLINE_MS), 1);
}
END_TEST

#define PRODUCED 20000

static void *produce(void *unused)
{
	(void)unused;
	for (uint64_t i = 0; i < PRODUCED; i++) {
		while (unit_inject(session, i))
			unit_sleep_ms(1);
		if (i % 1000 == 0)
			unit_sleep_ms(1); /* lets the reader empty the ring now and then */
	}
	return NULL;
}

/* No notification is lost between the last drain and the next event. */
START_TEST(by_edge_against_a_producer)
{
	pthread_t thread;
	int got = 0, n;

	add_to_loop(EPOLLIN | EPOLLET);
	pthread_create(&thread, NULL, produce, NULL);
	while (got < PRODUCED) {
		ck_assert_int_eq(loop_says(UNIT_DEADLINE_MS), 1);
		while ((n = agentsh_ebpf_poll(tracer, 0)) > 0)
			got += n;
		ck_assert_int_eq(n, 0);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(got, PRODUCED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fd");
	TCase *tcase = unit_case(suite, "fd");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, same_all_along);
	tcase_add_test(tcase, readable_for_events);
	tcase_add_test(tcase, not_readable_when_all_is_read);
	tcase_add_test(tcase, readable_for_wake);
	tcase_add_test(tcase, not_readable_for_a_loss);
	tcase_add_test(tcase, by_level);
	tcase_add_test(tcase, by_edge);
	tcase_add_test(tcase, by_edge_against_a_producer);
	return unit_main(suite);
}
