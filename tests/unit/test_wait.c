/* SPDX-License-Identifier: Apache-2.0 */
/* How long poll and read wait, what ends a wait, and how many events one call delivers. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "unit.h"

#define MS 1000000ULL

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;

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
}

static void teardown(void)
{
	agentsh_ebpf_tracer_close(tracer);
}

static int wait_by(int how, int timeout_ms)
{
	struct agentsh_ebpf_event buf[2];

	return how ? agentsh_ebpf_read(tracer, buf, 2, timeout_ms)
		   : agentsh_ebpf_poll(tracer, timeout_ms);
}

/* ---- timeouts ----------------------------------------------------------- */

START_TEST(timeouts)
{
	static const int values[] = {0, 1, 30, 200};

	for (size_t i = 0; i < UNIT_COUNT(values); i++) {
		uint64_t start = unit_now_ns(), took;

		ck_assert_int_eq(wait_by(_i, values[i]), 0);
		took = unit_now_ns() - start;
		ck_assert_uint_ge(took, (uint64_t)values[i] * MS);
		ck_assert_uint_lt(took, UNIT_DEADLINE_MS * MS);
	}
}
END_TEST

static void *inject_later(void *unused)
{
	(void)unused;
	unit_sleep_ms(50);
	unit_inject(session, 1);
	return NULL;
}

START_TEST(event_ends_wait)
{
	static const int values[] = {-1, -1000000, UNIT_DEADLINE_MS};
	pthread_t thread;

	for (size_t i = 0; i < UNIT_COUNT(values); i++) {
		uint64_t start = unit_now_ns();

		pthread_create(&thread, NULL, inject_later, NULL);
		ck_assert_int_eq(wait_by(_i, values[i]), 1);
		ck_assert_uint_lt(unit_now_ns() - start, UNIT_DEADLINE_MS * MS);
		pthread_join(thread, NULL);
	}
}
END_TEST

/* Events that exist are delivered at once, however long the call might wait. */
START_TEST(event_before_wait)
{
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(unit_inject(session, 1), 0);
		ck_assert_int_eq(wait_by(_i, -1), 1);
	}
}
END_TEST

/* ---- wake --------------------------------------------------------------- */

static void *wake_later(void *unused)
{
	(void)unused;
	unit_sleep_ms(50);
	agentsh_ebpf_wake(tracer);
	return NULL;
}

START_TEST(wake_while_waiting)
{
	for (int i = 0; i < 3; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, wake_later, NULL);
		ck_assert_int_eq(wait_by(_i, -1), 0);
		pthread_join(thread, NULL);
	}
	/* each wake was consumed by the wait that it ended */
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(wait_by(_i, -1), 1);
}
END_TEST

START_TEST(wake_before_wait)
{
	uint64_t start;

	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_int_eq(wait_by(_i, -1), 0);
	/* two wakes before the same wait count as one */
	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_int_eq(wait_by(_i, -1), 0);
	start = unit_now_ns();
	ck_assert_int_eq(wait_by(_i, 60), 0);
	ck_assert_uint_ge(unit_now_ns() - start, 60 * MS);
}
END_TEST

/* A call that finds events does not wait, so the wake ends the next wait. */
START_TEST(wake_and_events)
{
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_int_eq(wait_by(_i, -1), 1);
	ck_assert_int_eq(wait_by(_i, -1), 0);
}
END_TEST

/* ---- signals ------------------------------------------------------------ */

static volatile sig_atomic_t wake_in_handler, handled, errno_kept;

static void on_signal(int number)
{
	int saved = errno;

	(void)number;
	handled++;
	if (wake_in_handler) {
		errno = EXDEV;
		agentsh_ebpf_wake(tracer);
		errno_kept = errno == EXDEV;
	}
	errno = saved;
}

/* SA_RESTART is what Go sets for all its handlers. */
static void alarm_in_ms(int ms, int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
	const struct itimerval timer = {.it_value = {.tv_usec = ms * 1000}};

	handled = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

START_TEST(interrupted)
{
	static const int flags[] = {0, SA_RESTART};

	for (int i = 0; i < 2; i++) {
		alarm_in_ms(50, flags[i]);
		ck_assert_int_eq(wait_by(_i, -1), -EINTR);
		ck_assert_int_eq(handled, 1);
		alarm_in_ms(50, flags[i]);
		ck_assert_int_eq(wait_by(_i, UNIT_DEADLINE_MS), -EINTR);
	}
	/* later calls work */
	ck_assert_int_eq(wait_by(_i, 0), 0);
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(wait_by(_i, -1), 1);
}
END_TEST

START_TEST(wake_in_signal_handler)
{
	int ret;

	wake_in_handler = 1;
	alarm_in_ms(50, 0);
	ret = wait_by(_i, -1);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(errno_kept, 1);
	/* if the signal has ended the wait, the wake is still pending */
	if (ret) {
		ck_assert_int_eq(ret, -EINTR);
		ck_assert_int_eq(wait_by(_i, -1), 0);
	}
}
END_TEST

/* ---- batches ------------------------------------------------------------ */

START_TEST(poll_limit)
{
	for (uint64_t i = 0; i < 5000; i++)
		ck_assert_int_eq(unit_inject(session, i), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 4096);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 904);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
	for (uint64_t i = 0; i < 4096; i++)
		ck_assert_int_eq(unit_inject(session, i), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 4096);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
}
END_TEST

START_TEST(read_limit)
{
	static const size_t sizes[] = {1,
				       2,
				       100,
				       4095,
				       4096,
				       4097,
				       5000,
				       (size_t)INT32_MAX + 1,
				       (size_t)UINT32_MAX + 2,
				       SIZE_MAX};
	size_t n = sizes[_i], want = n < 4096 ? n : 4096;
	/* of exactly this size, so that one more event would be outside it */
	struct agentsh_ebpf_event *buf = malloc(want * sizeof(*buf)), last;

	ck_assert_ptr_nonnull(buf);
	for (uint64_t i = 0; i < 4200; i++)
		ck_assert_int_eq(unit_inject(session, i), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, buf, n, 0), (int)want);
	for (uint64_t i = 0; i < want; i++)
		ck_assert_uint_eq(buf[i].socket_cookie, i);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &last, 1, 0), 1);
	ck_assert_uint_eq(last.socket_cookie, want);
	ck_assert_uint_eq(unit_drain(tracer), 4200 - want - 1);
	free(buf);
}
END_TEST

START_TEST(read_nothing)
{
	struct agentsh_ebpf_event buf[2], before[2];

	memset(buf, 0x5a, sizeof(buf));
	memcpy(before, buf, sizeof(buf));
	ck_assert_int_eq(agentsh_ebpf_read(tracer, buf, 0, 0), -ERANGE);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, buf, 0, -1), -ERANGE);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, buf, 2, 0), 0);
	ck_assert_mem_eq(buf, before, sizeof(buf));
	/* and no event is written beyond those that exist */
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, buf, 2, 0), 1);
	ck_assert_mem_eq(buf + 1, before + 1, sizeof(buf[1]));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wait");
	TCase *tcase = unit_case(suite, "wait");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, timeouts, 0, 2);
	tcase_add_loop_test(tcase, event_ends_wait, 0, 2);
	tcase_add_loop_test(tcase, event_before_wait, 0, 2);
	tcase_add_loop_test(tcase, wake_while_waiting, 0, 2);
	tcase_add_loop_test(tcase, wake_before_wait, 0, 2);
	tcase_add_loop_test(tcase, wake_and_events, 0, 2);
	tcase_add_loop_test(tcase, interrupted, 0, 2);
	tcase_add_loop_test(tcase, wake_in_signal_handler, 0, 2);
	tcase_add_test(tcase, poll_limit);
	tcase_add_loop_test(tcase, read_limit, 0, 10);
	tcase_add_test(tcase, read_nothing);
	return unit_main(suite);
}
