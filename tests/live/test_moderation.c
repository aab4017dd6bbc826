/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often the reader is woken: never while it is idle, rarely while events flow, once per
 * lone event, and always before the ring is full.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pace.h"

/* A timer that runs although the reader is idle expires every millisecond. */
#define IDLE_S 1

static struct live_cgroup cgroup;
static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_worker worker;
static struct pace_shared *shared;

static int count_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	(void)event;
	atomic_fetch_add(&shared->seen, 1);
	return 0;
}

static void begin(struct agentsh_ebpf_tracer_options options)
{
	options.on_event = count_event;
	shared = pace_share();
	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
}

static void teardown(void)
{
	pace_deadline_over();
	pace_unshare(shared);
	shared = NULL;
}

/* ---- idle ------------------------------------------------------------------ */

struct idler {
	struct agentsh_ebpf_tracer *tracer;
	pthread_t thread;
	_Atomic pid_t tid;
	_Atomic uint32_t seen;
	_Atomic bool stop;
	bool foreign; /* waits in a foreign event loop */
};

static int idler_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)event;
	atomic_fetch_add((_Atomic uint32_t *)ctx, 1);
	return 0;
}

static void *idler_run(void *arg)
{
	struct idler *idler = arg;
	struct epoll_event event = {.events = EPOLLIN};
	int loop = epoll_create1(EPOLL_CLOEXEC);

	if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, agentsh_ebpf_fd(idler->tracer), &event))
		abort();
	atomic_store(&idler->tid, (pid_t)syscall(SYS_gettid));
	while (!atomic_load(&idler->stop)) {
		if (idler->foreign && epoll_wait(loop, &event, 1, -1) < 0)
			continue;
		agentsh_ebpf_poll(idler->tracer, idler->foreign ? 0 : -1);
	}
	close(loop);
	return NULL;
}

static void idlers_expect_silence(struct idler *idlers, size_t count, const char *when)
{
	unsigned long before[2], after;

	for (size_t i = 0; i < count; i++) {
		int64_t end = pace_now_us() + LIVE_DEADLINE_MS * 1000;

		/* waits until the reader sleeps */
		do {
			LIVE_CHECK(pace_now_us() < end, "%s: never sleeps", when);
			before[i] = pace_sleeps(idlers[i].tid);
			usleep(200000);
		} while (pace_sleeps(idlers[i].tid) != before[i]);
	}
	sleep(IDLE_S);
	for (size_t i = 0; i < count; i++) {
		after = pace_sleeps(idlers[i].tid);
		LIVE_CHECK(after == before[i], "%s, %s loop: %lu context switches", when,
			   idlers[i].foreign ? "foreign" : "library's", after - before[i]);
	}
}

START_TEST(idle_reader_sleeps)
{
	static struct idler idlers[2];
	const uint32_t made = 3000;

	memset(idlers, 0, sizeof(idlers));
	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&worker, &cgroup);
	for (size_t i = 0; i < 2; i++) {
		const struct agentsh_ebpf_tracer_options options = {.on_event = idler_event,
								    .event_ctx = &idlers[i].seen};

		idlers[i].foreign = i;
		idlers[i].tracer = live_open(&options);
		live_attach(idlers[i].tracer, &cgroup, 1);
		ck_assert_int_eq(pthread_create(&idlers[i].thread, NULL, idler_run, &idlers[i]), 0);
		while (!atomic_load(&idlers[i].tid))
			usleep(1000);
	}
	idlers_expect_silence(idlers, 2, "before any event");
	traffic_of(&worker, CONNECTS(.first = 1, .count = made));
	idlers_expect_silence(idlers, 2, "after a busy phase");
	for (size_t i = 0; i < 2; i++) {
		atomic_store(&idlers[i].stop, true);
		agentsh_ebpf_wake(idlers[i].tracer);
		pthread_join(idlers[i].thread, NULL);
		ck_assert_uint_eq(idlers[i].seen + live_tracer_stats(idlers[i].tracer).lost, made);
	}
	live_worker_stop(&worker);
}
END_TEST

/* ---- while events flow ------------------------------------------------------ */

/* Reads until all events are seen. Returns the number of calls; counts the sleeps. */
static unsigned int read_all(uint32_t count, unsigned long *sleeps)
{
	int64_t end = pace_now_us() + 2 * LIVE_DEADLINE_MS * 1000;
	pid_t tid = (pid_t)syscall(SYS_gettid);
	unsigned int returns = 0;

	*sleeps = pace_sleeps(tid);
	while (atomic_load(&shared->seen) < count) {
		int ret;

		pace_deadline();
		ret = agentsh_ebpf_poll(tracer, -1);
		LIVE_CHECK(ret >= 0, "poll: %d after %u of %u, %u made, %llu lost", ret,
			   atomic_load(&shared->seen), count, atomic_load(&shared->made),
			   (unsigned long long)live_session_stats(session).lost);
		LIVE_CHECK(pace_now_us() < end, "only %u of %u so far", atomic_load(&shared->seen),
			   count);
		returns++;
	}
	*sleeps = pace_sleeps(tid) - *sleeps;
	live_worker_receive(&worker, NULL, 0);
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_session_stats(session).lost, 0);
	return returns;
}

START_TEST(flow_is_read_in_batches)
{
	const uint32_t count = 10000;
	unsigned int returns;
	unsigned long sleeps;

	/* room for all: a slow machine may stop the reader until a quota is used up */
	begin((struct agentsh_ebpf_tracer_options){.ring_size = 16 << 20});
	pace_begin(&worker, (struct pace){.shared = shared,
					  .count = count,
					  .pause_us = 100,
					  .unseen = PACE_NEVER});
	returns = read_all(count, &sleeps);
	ck_assert_msg(returns < count / 3, "%u returns for %u events", returns, count);
}
END_TEST

/* Each event waits for the previous one: with a delay of a second each it would take an hour. */
START_TEST(each_wakes_without_moderation)
{
	const uint32_t count = 3000;
	unsigned long sleeps;

	begin((struct agentsh_ebpf_tracer_options){.flags = AGENTSH_EBPF_OPEN_NO_MODERATION,
						   .wakeup_delay_us = 1000000});
	pace_begin(&worker, (struct pace){.shared = shared, .count = count});
	/* an event may arrive before the call for the previous one has ended */
	ck_assert_uint_ge(read_all(count, &sleeps), count - count / 10);
}
END_TEST

/* A timer would expire in vain after each event; with a wake-up there is one sleep per event. */
START_TEST(lone_events_wake)
{
	const uint32_t count = 50;
	unsigned long sleeps;

	begin((struct agentsh_ebpf_tracer_options){0});
	pace_begin(&worker, (struct pace){.shared = shared, .count = count, .pause_us = 20000});
	read_all(count, &sleeps);
	ck_assert_msg(sleeps < 2 * count, "%lu sleeps for %u events", sleeps, count);
}
END_TEST

/* ---- the wakeup watermark ----------------------------------------------------- */

/*
 * The delay is a second. If only the timer drained the ring, the session's quota would be read
 * once per second, and this would take a minute.
 */
static const struct watermark {
	uint32_t ring_size;
	uint32_t ring_quota;
	uint32_t holds; /* records of 200 bytes that a session may hold */
} watermarks[] = {{4096, 100, 20}, {1U << 16, 100, 327}, {1U << 16, 0, 81}, {1U << 18, 0, 327}};

START_TEST(watermark_wakes_in_time)
{
	const struct watermark *m = &watermarks[_i];
	uint32_t count = 60 * m->holds;
	unsigned long sleeps;

	begin((struct agentsh_ebpf_tracer_options){.ring_size = m->ring_size,
						   .ring_quota = m->ring_quota,
						   .wakeup_delay_us = 1000000});
	pace_begin(&worker, (struct pace){.shared = shared,
					  .count = count,
					  .burst = m->holds / 10 + 1,
					  .unseen = m->holds * 3 / 4});
	read_all(count, &sleeps);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("moderation");
	TCase *tcase = live_case(suite, "wake-ups");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, idle_reader_sleeps);
	tcase_add_test(tcase, flow_is_read_in_batches);
	tcase_add_test(tcase, each_wakes_without_moderation);
	tcase_add_test(tcase, lone_events_wake);
	tcase_add_loop_test(tcase, watermark_wakes_in_time, 0, LIVE_COUNT(watermarks));
	return live_main(suite);
}
