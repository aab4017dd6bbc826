/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the moderator asks to be woken and when it looks: on a ring that is two
 * numbers and an eventfd, always readable, which epoll is asked about only when
 * the moderator has it asked.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "control.h"
#include "ring/moderator.h"
#include "unit.h"

#define DELAY_NS 5000000
#define DELAY_LONG_NS (UINT64_C(3600) * 1000000000)
#define MARK 1000

static struct agentsh_control control;
static unsigned long consumer, producer;
static struct agentsh_moderator m;

static void make(uint64_t delay_ns)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	m = (struct agentsh_moderator){
		.delay_ns = delay_ns,
		.wakeup_watermark = MARK,
		.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
		.ring_fd = eventfd(1, EFD_CLOEXEC),
		.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.control = &control,
		.consumer_pos = &consumer,
		.producer_pos = &producer,
	};
	ck_assert(m.epoll_fd >= 0 && m.ring_fd >= 0 && m.timer_fd >= 0);
	event.data.fd = m.ring_fd;
	ck_assert_int_eq(epoll_ctl(m.epoll_fd, EPOLL_CTL_ADD, m.ring_fd, &event), 0);
	ck_assert_int_eq(epoll_wait(m.epoll_fd, &event, 1, 0), 1);
	ck_assert_int_eq(epoll_wait(m.epoll_fd, &event, 1, 0), 0);
}

/* A look that took so many, and left so many bytes. */
static void look(int taken, bool fired, bool more, unsigned long left)
{
	consumer += (unsigned long)taken * UNIT_ROOM;
	producer = consumer + left;
	agentsh_moderator_drained(&m, taken, fired, more);
}

static bool readable(void)
{
	struct epoll_event event;

	return epoll_wait(m.epoll_fd, &event, 1, 0) == 1;
}

/* Or has fired already, on a slow machine. */
static bool armed(void)
{
	struct pollfd poll_fd = {.fd = m.timer_fd, .events = POLLIN};
	struct itimerspec when;

	ck_assert_int_eq(timerfd_gettime(m.timer_fd, &when), 0);
	return when.it_value.tv_sec || when.it_value.tv_nsec || poll(&poll_fd, 1, 0) == 1;
}

static void expect(bool quiet, bool timer)
{
	ck_assert_int_eq(agentsh_moderator_wait_for_timer(&m), quiet);
	ck_assert_int_eq(control.suppress_wakeup, quiet);
	ck_assert_int_eq(armed(), timer);
}

static void until_timer(void)
{
	uint64_t expired;

	while (read(m.timer_fd, &expired, sizeof(expired)) < 0)
		ck_assert_int_eq(errno, EAGAIN);
}

static void make_flowing(void)
{
	make(DELAY_NS);
	look(2, false, false, 0);
	expect(true, true);
	readable(); /* what it says at once, when it begins to flow */
}

START_TEST(lone_ones_do_not_flow)
{
	make(1000000);
	expect(false, false);
	for (int i = 0; i < 5; i++) {
		look(1, false, false, 0);
		expect(false, false);
		look(0, false, false, 0);
		usleep(3000);
	}
}
END_TEST

START_TEST(two_flow)
{
	make_flowing();
	make(DELAY_LONG_NS);
	look(1, false, false, 0);
	look(1, false, false, 0);
	expect(true, true);
}
END_TEST

START_TEST(leaves_in_three_looks)
{
	make_flowing();
	for (int i = 0; i < 3; i++) { /* any that takes some begins anew */
		until_timer();
		look(0, true, false, 0);
		expect(true, true);
		look(i % 2, i % 2, false, 0);
		until_timer();
		look(1, true, false, 0);
		expect(true, true);
	}
	until_timer();
	look(0, true, false, 0);
	expect(true, true);
	until_timer();
	look(0, true, false, 0);
	expect(false, true);
	until_timer();
	look(0, true, false, UNIT_ROOM); /* not finished, but it has a place */
	expect(false, true);
	until_timer();
	look(0, true, false, 0);
	expect(false, false);
}
END_TEST

/* Not before the delay is over, however often it is asked. */
START_TEST(second_look_waits)
{
	make(DELAY_LONG_NS);
	look(2, false, false, 0);
	look(0, true, false, 0);
	look(0, true, false, 0);
	for (int i = 0; i < 10; i++) {
		expect(false, true);
		look(0, false, false, 0);
	}
	look(2, false, false, 0);
	expect(true, true);
}
END_TEST

START_TEST(one_taken_in_between_counts)
{
	make_flowing();
	for (int i = 0; i < 6; i++) {
		look(1, false, false, 0);
		until_timer();
		look(0, true, false, 0);
		expect(true, true);
	}
}
END_TEST

/* Whoever put the rest in has left the waking to the one that was taken. */
START_TEST(what_is_behind_is_readable)
{
	static const uint64_t delays[] = {0, 1};

	make(delays[_i]);
	look(1, false, false, 0);
	ck_assert(!readable());
	usleep(10);
	look(1, false, false, UNIT_ROOM);
	ck_assert(readable());
	expect(false, false);
}
END_TEST

START_TEST(mark_and_leftovers_are_readable)
{
	make_flowing();
	look(1, false, false, MARK - 1);
	ck_assert(!readable());
	look(1, false, false, MARK);
	ck_assert(readable());
	ck_assert(readable()); /* until a look that leaves less */
	look(1, false, false, MARK - 1);
	(void)readable(); /* epoll asks once when it is told to ask no more */
	ck_assert(!readable());
	look(1, false, true, UNIT_ROOM);
	ck_assert(readable());
	ck_assert(readable());
	look(1, false, false, UNIT_ROOM);
	(void)readable();
	ck_assert(!readable());
	expect(true, true);
}
END_TEST

START_TEST(next_one_above_the_mark_rings_again)
{
	make_flowing();
	control.wakeup_sent = 1;
	look(0, false, false, UNIT_ROOM);
	ck_assert_uint_eq(control.wakeup_sent, 0);
}
END_TEST

START_TEST(nothing_to_moderate)
{
	m = (struct agentsh_moderator){.timer_fd = -1};
	agentsh_moderator_drained(&m, 5, false, true);
	ck_assert(!agentsh_moderator_wait_for_timer(&m));
	make(0);
	for (int i = 0; i < 5; i++)
		look(100, false, true, UNIT_ROOM);
	expect(false, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("moderate");
	TCase *tcase = unit_case(suite, "moderate");

	tcase_add_test(tcase, lone_ones_do_not_flow);
	tcase_add_test(tcase, two_flow);
	tcase_add_test(tcase, leaves_in_three_looks);
	tcase_add_test(tcase, second_look_waits);
	tcase_add_test(tcase, one_taken_in_between_counts);
	tcase_add_loop_test(tcase, what_is_behind_is_readable, 0, 2);
	tcase_add_test(tcase, mark_and_leftovers_are_readable);
	tcase_add_test(tcase, next_one_above_the_mark_rings_again);
	tcase_add_test(tcase, nothing_to_moderate);
	return unit_main(suite);
}
