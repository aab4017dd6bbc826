/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the moderator enables wake-ups and when it arms the timer. The ring is two
 * positions and an eventfd that is always readable; epoll reports it only after the
 * moderator has changed how epoll watches it.
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
#define WATERMARK 1000

static struct agentsh_control control;
static unsigned long consumer, producer;
static struct agentsh_moderator m;

static void make(uint64_t delay_ns)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	m = (struct agentsh_moderator){
		.delay_ns = delay_ns,
		.wakeup_watermark = WATERMARK,
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

/* A drain that consumed this many records, and left this many bytes. */
static void drain(int consumed, bool fired, bool has_more, unsigned long left)
{
	consumer += (unsigned long)consumed * UNIT_RING_BYTES;
	producer = consumer + left;
	agentsh_moderator_drained(&m, consumed, fired, has_more);
}

static bool readable(void)
{
	struct epoll_event event;

	return epoll_wait(m.epoll_fd, &event, 1, 0) == 1;
}

/* Whether the timer runs, or has fired already on a slow machine. */
static bool armed(void)
{
	struct pollfd poll_fd = {.fd = m.timer_fd, .events = POLLIN};
	struct itimerspec when;

	ck_assert_int_eq(timerfd_gettime(m.timer_fd, &when), 0);
	return when.it_value.tv_sec || when.it_value.tv_nsec || poll(&poll_fd, 1, 0) == 1;
}

static void expect(bool polling, bool timer)
{
	ck_assert_int_eq(agentsh_moderator_wait_for_timer(&m), polling);
	ck_assert_int_eq(control.suppress_wakeup, polling);
	ck_assert_int_eq(armed(), timer);
}

static void until_timer(void)
{
	uint64_t expired;

	while (read(m.timer_fd, &expired, sizeof(expired)) < 0)
		ck_assert_int_eq(errno, EAGAIN);
}

static void make_polling(void)
{
	make(DELAY_NS);
	drain(2, false, false, 0);
	expect(true, true);
	readable(); /* epoll reports the ring once when polling starts */
}

START_TEST(single_records_keep_wakeups)
{
	make(1000000);
	expect(false, false);
	for (int i = 0; i < 5; i++) {
		drain(1, false, false, 0);
		expect(false, false);
		drain(0, false, false, 0);
		usleep(3000);
	}
}
END_TEST

START_TEST(two_records_start_polling)
{
	make_polling();
	make(DELAY_LONG_NS);
	drain(1, false, false, 0);
	drain(1, false, false, 0);
	expect(true, true);
}
END_TEST

START_TEST(idle_after_three_empty_drains)
{
	make_polling();
	for (int i = 0; i < 3; i++) { /* a drain that consumes records restarts the count */
		until_timer();
		drain(0, true, false, 0);
		expect(true, true);
		drain(i % 2, i % 2, false, 0);
		until_timer();
		drain(1, true, false, 0);
		expect(true, true);
	}
	until_timer();
	drain(0, true, false, 0);
	expect(true, true);
	until_timer();
	drain(0, true, false, 0);
	expect(false, true);
	until_timer();
	drain(0, true, false, UNIT_RING_BYTES); /* a record that is reserved, but not submitted */
	expect(false, true);
	until_timer();
	drain(0, true, false, 0);
	expect(false, false);
}
END_TEST

/* The moderator stays in REARMING until the delay is over, however often the host calls. */
START_TEST(rearming_lasts_one_delay)
{
	make(DELAY_LONG_NS);
	drain(2, false, false, 0);
	drain(0, true, false, 0);
	drain(0, true, false, 0);
	for (int i = 0; i < 10; i++) {
		expect(false, true);
		drain(0, false, false, 0);
	}
	drain(2, false, false, 0);
	expect(true, true);
}
END_TEST

START_TEST(record_in_between_restarts_count)
{
	make_polling();
	for (int i = 0; i < 6; i++) {
		drain(1, false, false, 0);
		until_timer();
		drain(0, true, false, 0);
		expect(true, true);
	}
}
END_TEST

/* Records remain whose producers skipped the wake-up because of the consumed record. */
START_TEST(remaining_records_are_readable)
{
	static const uint64_t delays[] = {0, 1};

	make(delays[_i]);
	drain(1, false, false, 0);
	ck_assert(!readable());
	usleep(10);
	drain(1, false, false, UNIT_RING_BYTES);
	ck_assert(readable());
	expect(false, false);
}
END_TEST

START_TEST(watermark_and_leftovers_are_readable)
{
	make_polling();
	drain(1, false, false, WATERMARK - 1);
	ck_assert(!readable());
	drain(1, false, false, WATERMARK);
	ck_assert(readable());
	ck_assert(readable()); /* until a drain leaves less */
	drain(1, false, false, WATERMARK - 1);
	(void)readable(); /* epoll reports the ring once when it changes to edge-triggered */
	ck_assert(!readable());
	drain(1, false, true, UNIT_RING_BYTES);
	ck_assert(readable());
	ck_assert(readable());
	drain(1, false, false, UNIT_RING_BYTES);
	(void)readable();
	ck_assert(!readable());
	expect(true, true);
}
END_TEST

START_TEST(next_record_above_watermark_wakes_again)
{
	make_polling();
	control.wakeup_sent = 1;
	drain(0, false, false, UNIT_RING_BYTES);
	ck_assert_uint_eq(control.wakeup_sent, 0);
}
END_TEST

START_TEST(synthetic_ring_and_no_delay)
{
	m = (struct agentsh_moderator){.timer_fd = -1};
	agentsh_moderator_drained(&m, 5, false, true);
	ck_assert(!agentsh_moderator_wait_for_timer(&m));
	make(0);
	for (int i = 0; i < 5; i++)
		drain(100, false, true, UNIT_RING_BYTES);
	expect(false, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("moderator");
	TCase *tcase = unit_case(suite, "moderator");

	tcase_add_test(tcase, single_records_keep_wakeups);
	tcase_add_test(tcase, two_records_start_polling);
	tcase_add_test(tcase, idle_after_three_empty_drains);
	tcase_add_test(tcase, rearming_lasts_one_delay);
	tcase_add_test(tcase, record_in_between_restarts_count);
	tcase_add_loop_test(tcase, remaining_records_are_readable, 0, 2);
	tcase_add_test(tcase, watermark_and_leftovers_are_readable);
	tcase_add_test(tcase, next_record_above_watermark_wakes_again);
	tcase_add_test(tcase, synthetic_ring_and_no_delay);
	return unit_main(suite);
}
