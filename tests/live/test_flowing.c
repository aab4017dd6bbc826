/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that ends a wait, and a close, while events flow: no event is lost or repeated. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "pace.h"

#define COUNT 20000

static struct live_cgroup cgroup;
static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_worker worker;
static struct pace_shared *shared;
static uint32_t seed;

static int count_in_order(const struct agentsh_ebpf_event *event)
{
	uint32_t seen = atomic_load(&shared->seen);

	LIVE_CHECK(traffic_number(event) == seen + 1, "event %u after %u", traffic_number(event),
		   seen);
	atomic_store(&shared->seen, seen + 1);
	return 0;
}

/* Stops the poll now and then. */
static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	count_in_order(event);
	return !pace_random(&seed, 5);
}

static void begin(void)
{
	const struct agentsh_ebpf_tracer_options options = {.on_event = on_event};

	seed = 1;
	shared = pace_share();
	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
}

static void teardown(void)
{
	pace_unshare(shared);
	shared = NULL;
}

/* ---- ends of waits --------------------------------------------------------- */

struct disturber {
	pthread_t thread;
	pthread_t reader;
	_Atomic bool stop;
};

static void on_signal(int number)
{
	(void)number;
}

static void *disturb(void *arg)
{
	struct disturber *d = arg;

	for (int i = 0; !atomic_load(&d->stop); i++) {
		if (i % 2)
			agentsh_ebpf_wake(tracer);
		else
			pthread_kill(d->reader, SIGUSR1);
		usleep(700);
	}
	agentsh_ebpf_wake(tracer);
	return NULL;
}

static int any_call(void)
{
	static const int timeouts[] = {0, 1, 5, -1};
	int timeout_ms = timeouts[pace_random(&seed, 4)], ret;
	struct agentsh_ebpf_event events[3];

	if (pace_random(&seed, 2))
		return agentsh_ebpf_poll(tracer, timeout_ms);
	ret = agentsh_ebpf_read(tracer, events, 1 + pace_random(&seed, 3), timeout_ms);
	for (int i = 0; i < ret; i++)
		count_in_order(&events[i]);
	return ret;
}

START_TEST(every_end_of_a_wait)
{
	const struct sigaction action = {.sa_handler = on_signal};
	int64_t end = pace_now_us() + 3 * LIVE_DEADLINE_MS * 1000;
	struct disturber d = {.reader = pthread_self()};
	unsigned int interrupted = 0, nothing = 0;
	struct sigaction old;

	begin();
	sigaction(SIGUSR1, &action, &old);
	ck_assert_int_eq(pthread_create(&d.thread, NULL, disturb, &d), 0);
	pace_begin(&worker, (struct pace){.shared = shared,
					  .count = COUNT,
					  .burst = 10,
					  .pause_us = 1000,
					  .unseen = 1000});
	while (atomic_load(&shared->seen) < COUNT) {
		int ret = any_call();

		LIVE_CHECK(ret >= 0 || ret == -EINTR, "%d", ret);
		LIVE_CHECK(pace_now_us() < end, "%u of %u", atomic_load(&shared->seen), COUNT);
		interrupted += ret == -EINTR;
		nothing += !ret;
	}
	atomic_store(&d.stop, true);
	pthread_join(d.thread, NULL);
	sigaction(SIGUSR1, &old, NULL);
	live_worker_receive(&worker, NULL, 0);
	live_worker_stop(&worker);
	ck_assert_uint_gt(interrupted, 0);
	ck_assert_uint_gt(nothing, 0);
	ck_assert_uint_eq(live_session_stats(session).delivered, COUNT);
	ck_assert_uint_eq(live_session_stats(session).lost, 0);
}
END_TEST

/* ---- close and detach -------------------------------------------------------- */

static int take_any(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	(void)event;
	return 0;
}

START_TEST(close_while_flowing)
{
	const struct agentsh_ebpf_tracer_options options = {.on_event = take_any};
	int fds = 0;

	shared = pace_share();
	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&worker, &cgroup);
	pace_begin(&worker, (struct pace){.shared = shared,
					  .count = PACE_NEVER,
					  .pause_us = 20,
					  .unseen = PACE_NEVER});
	for (int i = 0; i < 20; i++) {
		tracer = live_open(&options);
		session = live_attach(tracer, &cgroup, 1);
		while (live_session_stats(session).delivered < 500)
			ck_assert_int_ge(agentsh_ebpf_poll(tracer, 100), 0);
		if (i % 2)
			agentsh_ebpf_session_detach(session);
		live_close(tracer);
		if (!fds)
			fds = live_open_fds();
		ck_assert_int_eq(live_open_fds(), fds);
	}
	atomic_store(&shared->stop, true);
	live_worker_receive(&worker, NULL, 0);
	live_worker_stop(&worker);
}
END_TEST

/* After a detach while events flow, the events that are in the ring are still delivered. */
START_TEST(detach_while_flowing)
{
	begin();
	for (int i = 0; i < 50; i++) {
		struct agentsh_ebpf_stats stats;

		traffic_of(&worker, CONNECTS(.first = atomic_load(&shared->seen) + 1, .count = 20));
		ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
		while (atomic_load(&shared->seen) % 20 ||
		       live_tracer_stats(tracer).delivered < 20U * (uint32_t)(i + 1))
			ck_assert_int_ge(agentsh_ebpf_poll(tracer, 100), 0);
		session = live_attach(tracer, &cgroup, 1);
		stats = live_session_stats(session);
		ck_assert_uint_eq(stats.delivered + stats.lost, 0);
	}
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flowing");
	TCase *tcase = live_case(suite, "while events flow");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, every_end_of_a_wait);
	tcase_add_test(tcase, close_while_flowing);
	tcase_add_test(tcase, detach_while_flowing);
	return live_main(suite);
}
