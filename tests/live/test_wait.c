/* SPDX-License-Identifier: Apache-2.0 */
/* What ends a wait, and what a callback may do. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "traffic.h"

static struct live_cgroup cgroup;
static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_worker worker;

static void begin(agentsh_ebpf_event_fn on_event)
{
	const struct agentsh_ebpf_tracer_options options = {.on_event = on_event};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
}

/* ---- the ends of a wait --------------------------------------------------- */

START_TEST(timeout)
{
	struct agentsh_ebpf_event event;
	int64_t start, took;

	begin(NULL);
	start = live_now_ms();
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 50), 0);
	took = live_now_ms() - start;
	ck_assert_int_ge(took, 49);
	ck_assert_int_lt(took, LIVE_DEADLINE_MS);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &event, 1, 10), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &event, 1, 0), 0);
}
END_TEST

START_TEST(event_ends_an_endless_wait)
{
	struct agentsh_ebpf_event events[2];

	begin(NULL);
	for (uint32_t i = 1; i <= 50; i++) {
		traffic_begin(&worker, CONNECTS(.first = i, .count = 1));
		ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 1);
		live_worker_receive(&worker, NULL, 0);
		traffic_begin(&worker, CONNECTS(.first = i, .count = 1));
		ck_assert_int_eq(agentsh_ebpf_read(tracer, events, 2, -1), 1);
		live_worker_receive(&worker, NULL, 0);
		ck_assert_uint_eq(traffic_number(&events[0]), i);
	}
	traffic_expect(0, 1, 1, 50);
	live_worker_stop(&worker);
}
END_TEST

/* Waits until the thread sleeps, which it only does inside the poll. */
static void until_asleep(pid_t tid)
{
	int64_t end = live_now_ms() + LIVE_DEADLINE_MS;
	char path[64], state = 'R';

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	while (state != 'S') {
		FILE *file = fopen(path, "re");

		LIVE_CHECK(file && fscanf(file, "%*d %*s %c", &state) == 1, "%s: %s", path,
			   strerror(errno));
		fclose(file);
		LIVE_CHECK(live_now_ms() < end, "thread %d never waits", (int)tid);
		sched_yield();
	}
}

struct poller {
	pthread_t thread;
	int tid[2]; /* pipe that passes the thread id */
	int timeout_ms;
	int ret;
};

static void *poller_run(void *arg)
{
	struct poller *p = arg;
	pid_t tid = (pid_t)syscall(SYS_gettid);

	if (write(p->tid[1], &tid, sizeof(tid)) != sizeof(tid))
		abort();
	p->ret = agentsh_ebpf_poll(tracer, p->timeout_ms);
	return NULL;
}

/* Starts a thread and waits until it is inside agentsh_ebpf_poll(). */
static pid_t poller_start(struct poller *p, int timeout_ms)
{
	pid_t tid = 0;

	p->timeout_ms = timeout_ms;
	p->ret = -4711;
	LIVE_CHECK(!pipe(p->tid) && !pthread_create(&p->thread, NULL, poller_run, p), "thread");
	LIVE_CHECK(read(p->tid[0], &tid, sizeof(tid)) == sizeof(tid), "read: %s", strerror(errno));
	close(p->tid[0]);
	close(p->tid[1]);
	until_asleep(tid);
	return tid;
}

static int poller_join(struct poller *p)
{
	pthread_join(p->thread, NULL);
	return p->ret;
}

START_TEST(wake_from_another_thread)
{
	struct poller poller;

	begin(NULL);
	for (int i = 0; i < 20; i++) {
		poller_start(&poller, -1);
		ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
		ck_assert_int_eq(poller_join(&poller), 0);
	}
	/* the wake is consumed: the next call waits again */
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 20), 0);
	poller_start(&poller, -1);
	agentsh_ebpf_wake(tracer);
	ck_assert_int_eq(poller_join(&poller), 0);
}
END_TEST

/* A wake before the wait is not lost, and three wakes count as one. */
START_TEST(wake_in_advance)
{
	struct agentsh_ebpf_event event;
	int64_t start;

	begin(NULL);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 0);
	start = live_now_ms();
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 30), 0);
	ck_assert_int_ge(live_now_ms() - start, 29);
	agentsh_ebpf_wake(tracer);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &event, 1, -1), 0);
	/* pending events come first; the wake ends the next call that would wait */
	traffic_of(&worker, CONNECTS(.first = 1, .count = 2));
	agentsh_ebpf_wake(tracer);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 2);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 0);
	live_worker_stop(&worker);
}
END_TEST

static void on_signal(int number)
{
	(void)number;
}

static void on_signal_wake(int number)
{
	(void)number;
	agentsh_ebpf_wake(tracer);
}

START_TEST(signal_ends_a_wait)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
	struct poller poller;

	begin(NULL);
	sigaction(SIGUSR1, &action, &old);
	poller_start(&poller, -1);
	pthread_kill(poller.thread, SIGUSR1);
	ck_assert_int_eq(poller_join(&poller), -EINTR);
	poller_start(&poller, LIVE_DEADLINE_MS);
	pthread_kill(poller.thread, SIGUSR1);
	ck_assert_int_eq(poller_join(&poller), -EINTR);
	/* a handler may call wake: the signal ends this wait, and the wake the next one */
	action.sa_handler = on_signal_wake;
	sigaction(SIGUSR1, &action, NULL);
	poller_start(&poller, -1);
	pthread_kill(poller.thread, SIGUSR1);
	ck_assert_int_eq(poller_join(&poller), -EINTR);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 0);
	sigaction(SIGUSR1, &old, NULL);
	/* no event is lost */
	traffic_of(&worker, CONNECTS(.first = 1, .count = 3));
	live_drain(tracer);
	traffic_expect(0, 1, 1, 3);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(second_poller_is_busy)
{
	struct agentsh_ebpf_event event;
	struct poller poller;

	begin(NULL);
	poller_start(&poller, -1);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &event, 1, -1), -EBUSY);
	agentsh_ebpf_wake(tracer);
	ck_assert_int_eq(poller_join(&poller), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
}
END_TEST

/* ---- callbacks ----------------------------------------------------------- */

static int stop_at_each_third(void *ctx, const struct agentsh_ebpf_event *event)
{
	live_on_event(ctx, event);
	return live_seen.count % 3 == 0 ? -1 : 0;
}

START_TEST(callback_that_stops_loses_nothing)
{
	begin(stop_at_each_third);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 100));
	for (int i = 0; i < 33; i++)
		ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 3);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 1);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 0);
	traffic_expect(0, 1, 1, 100);
	ck_assert_uint_eq(live_tracer_stats(tracer).delivered, 100);
	ck_assert_uint_eq(live_tracer_stats(tracer).malformed, 0);
	live_worker_stop(&worker);
}
END_TEST

/* Detaches at the fifth event: the events in the ring are still delivered. */
static int detach_at_the_fifth(void *ctx, const struct agentsh_ebpf_event *event)
{
	live_on_event(ctx, event);
	if (live_seen.count == 5) {
		ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
		session = live_attach(tracer, &cgroup, 2);
		ck_assert_uint_eq(live_tracer_stats(tracer).sessions, 1);
	}
	return 0;
}

START_TEST(detach_and_attach_in_the_callback)
{
	begin(detach_at_the_fifth);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 20));
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 20);
	traffic_expect(0, 1, 1, 20);
	traffic_of(&worker, CONNECTS(.first = 21, .count = 2));
	live_drain(tracer);
	traffic_expect(20, 2, 21, 2);
	live_worker_stop(&worker);
}
END_TEST

static int call_back_in(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct agentsh_ebpf_event another;

	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &another, 1, 0), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_uint_eq(live_session_stats(session).delivered, live_seen.count + 1);
	return live_on_event(ctx, event);
}

START_TEST(calls_in_the_callback)
{
	begin(call_back_in);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 10));
	live_drain(tracer);
	traffic_expect(0, 1, 1, 10);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(at_most_4096_per_call)
{
	const struct agentsh_ebpf_tracer_options options = {.ring_size = 4U << 20};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 5000));
	live_worker_stop(&worker);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 4096);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), 904);
	traffic_expect(0, 1, 1, 5000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wait");
	TCase *tcase = live_case(suite, "waits"), *callbacks = live_case(suite, "callbacks");

	tcase_add_test(tcase, timeout);
	tcase_add_test(tcase, event_ends_an_endless_wait);
	tcase_add_test(tcase, wake_from_another_thread);
	tcase_add_test(tcase, wake_in_advance);
	tcase_add_test(tcase, signal_ends_a_wait);
	tcase_add_test(tcase, second_poller_is_busy);
	tcase_add_test(callbacks, callback_that_stops_loses_nothing);
	tcase_add_test(callbacks, detach_and_attach_in_the_callback);
	tcase_add_test(callbacks, calls_in_the_callback);
	tcase_add_test(callbacks, at_most_4096_per_call);
	return live_main(suite);
}
