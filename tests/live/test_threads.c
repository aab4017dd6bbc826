/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls at the same time everything that any thread may call at any time. ThreadSanitizer
 * (-DAGENTSH_EBPF_SANITIZE=thread) then finds data races.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "traffic.h"

#define ATTACHERS 2
#define ROUNDS 150
#define BURSTS 40
#define BURST 50

static struct agentsh_ebpf_tracer *tracer;
static struct live_cgroup busy, churn[ATTACHERS];
static struct agentsh_ebpf_session *session;
static _Atomic int stop, failures;

/* check's assertions work only in the main thread */
#define COUNT_UNLESS(condition)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			failures++;                                                                \
	} while (0)

static void *attaching(void *arg)
{
	struct live_cgroup *cgroup = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct agentsh_ebpf_session *s = NULL, *again = (void *)arg;
		struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

		COUNT_UNLESS(!agentsh_ebpf_session_attach(tracer, cgroup->fd, NULL, &s, NULL));
		COUNT_UNLESS(agentsh_ebpf_session_attach(tracer, cgroup->fd, NULL, &again, NULL) ==
			     -EEXIST);
		COUNT_UNLESS(!again && s);
		COUNT_UNLESS(!agentsh_ebpf_session_stats(s, &stats) && stats.sessions == 1);
		COUNT_UNLESS(!agentsh_ebpf_session_detach(s));
	}
	return NULL;
}

static void *watching(void *unused)
{
	uint64_t before = 0;

	(void)unused;
	while (!stop) {
		struct agentsh_ebpf_stats total = {.size = sizeof(total)}, one = total;

		COUNT_UNLESS(!agentsh_ebpf_tracer_stats(tracer, &total));
		COUNT_UNLESS(!agentsh_ebpf_session_stats(session, &one));
		COUNT_UNLESS(total.delivered >= before && total.lost == 0);
		COUNT_UNLESS(total.sessions >= 1 && total.sessions <= 1 + ATTACHERS);
		before = total.delivered;
		agentsh_ebpf_wake(tracer);
	}
	return NULL;
}

static void *polling(void *unused)
{
	(void)unused;
	while (!stop)
		COUNT_UNLESS(agentsh_ebpf_poll(tracer, -1) >= 0);
	return NULL;
}

START_TEST(all_at_once)
{
	pthread_t attacher[ATTACHERS], watcher, poller;
	/* room for all events, in case the poller does not run for a while */
	const struct agentsh_ebpf_tracer_options options = {.ring_quota = 100};
	struct live_worker worker;
	uint32_t made = 0;

	stop = failures = 0;
	live_cgroup_make(&busy, NULL);
	/* forked before the threads start, because fork() copies only one thread */
	live_worker_start(&worker, &busy);
	tracer = live_open(&options);
	session = live_attach(tracer, &busy, 1);
	for (int i = 0; i < ATTACHERS; i++)
		live_cgroup_make(&churn[i], NULL);
	LIVE_CHECK(!pthread_create(&poller, NULL, polling, NULL) &&
			   !pthread_create(&watcher, NULL, watching, NULL),
		   "pthread_create");
	for (int i = 0; i < ATTACHERS; i++)
		LIVE_CHECK(!pthread_create(&attacher[i], NULL, attaching, &churn[i]),
			   "pthread_create");
	for (int i = 0; i < BURSTS; i++) {
		traffic_of(&worker, CONNECTS(.first = made + 1, .count = BURST));
		made += BURST;
	}
	live_worker_stop(&worker);
	for (int i = 0; i < ATTACHERS; i++)
		pthread_join(attacher[i], NULL);
	stop = 1;
	agentsh_ebpf_wake(tracer);
	pthread_join(watcher, NULL);
	pthread_join(poller, NULL);
	live_drain(tracer);
	ck_assert_int_eq(failures, 0);
	traffic_expect(0, 1, 1, made);
	ck_assert_uint_eq(live_session_stats(session).delivered, made);
	ck_assert_uint_eq(live_tracer_stats(tracer).attach_failures, ATTACHERS * ROUNDS);
	ck_assert_uint_eq(live_tracer_stats(tracer).sessions, 1);
}
END_TEST

/* Tracers are independent, but share libbpf's print callback. */
static void *opening(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++) {
		struct agentsh_ebpf_error err = LIVE_ERROR;
		struct agentsh_ebpf_session *s;
		struct agentsh_ebpf_tracer *t;

		COUNT_UNLESS(!agentsh_ebpf_tracer_open(NULL, &t, &err));
		COUNT_UNLESS(err.code == 0 && !err.message[0]);
		COUNT_UNLESS(!agentsh_ebpf_session_attach(t, busy.fd, NULL, &s, &err));
		agentsh_ebpf_tracer_close(t);
	}
	return NULL;
}

START_TEST(opens_at_once)
{
	pthread_t thread[4];

	failures = 0;
	live_cgroup_make(&busy, NULL);
	for (size_t i = 0; i < LIVE_COUNT(thread); i++)
		LIVE_CHECK(!pthread_create(&thread[i], NULL, opening, NULL), "pthread_create");
	for (size_t i = 0; i < LIVE_COUNT(thread); i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(failures, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");
	TCase *tcase = live_case(suite, "threads");

	tcase_add_test(tcase, all_at_once);
	tcase_add_test(tcase, opens_at_once);
	return live_main(suite);
}
