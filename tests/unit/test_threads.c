/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes every call that any thread may make, from several threads at once, while one
 * thread reads; the counts are exact at the end. ThreadSanitizer runs this test, too.
 * Threads report through their results, because check's assertions belong to the main
 * thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "unit.h"

#define WORKERS 3
#define ROUNDS 60
#define EACH 400
#define BUSY_THREADS 4
#define CONVERSIONS 3000000

/* A host: one reader, and the events that it has seen of each worker. */
static struct agentsh_ebpf_tracer *tracer;
static uint64_t seen[WORKERS][ROUNDS], gaps[WORKERS][ROUNDS], next[WORKERS][ROUNDS],
	lost_before[WORKERS][ROUNDS];
static _Atomic bool done;
static const char *reader_says;

/* session_id holds worker and round, socket_cookie the number of the event. */
static void account(const struct agentsh_ebpf_event *e)
{
	uint64_t w = e->session_id >> 32, r = e->session_id & 0xffffffff;

	if (w >= WORKERS || r >= ROUNDS) {
		reader_says = "a session that never was";
		return;
	}
	if (e->socket_cookie < next[w][r])
		reader_says = "out of order";
	if (e->socket_cookie - next[w][r] != e->session_lost - lost_before[w][r])
		reader_says = "a gap that session_lost does not show";
	gaps[w][r] += e->socket_cookie - next[w][r];
	next[w][r] = e->socket_cookie + 1;
	lost_before[w][r] = e->session_lost;
	seen[w][r]++;
}

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	account(event);
	return event->socket_cookie % 64 == 63; /* stops the poll now and then */
}

static void *reader(void *unused)
{
	struct agentsh_ebpf_event buf[50];
	int n = 0;

	(void)unused;
	for (uint32_t turn = 0; !atomic_load(&done) || n > 0; turn++) {
		int timeout = atomic_load(&done) ? 0 : (int)(turn % 3) - 1;

		if (turn % 2) {
			n = agentsh_ebpf_poll(tracer, timeout);
		} else {
			n = agentsh_ebpf_read(tracer, buf, UNIT_COUNT(buf), timeout);
			for (int i = 0; i < n; i++)
				account(&buf[i]);
		}
		if (n < 0)
			reader_says = "poll or read failed";
	}
	return NULL;
}

struct worker {
	pthread_t thread;
	uint64_t number, accepted[ROUNDS], refused[ROUNDS];
	const char *says;
};

static void round_of(struct worker *w, uint64_t round)
{
	const struct agentsh_ebpf_session_options o = {
		.size = sizeof(o),
		.session_id = w->number << 32 | round,
	};
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};
	struct agentsh_ebpf_session *session;

	if (agentsh_ebpf_session_attach(tracer, 0, &o, &session, NULL)) {
		w->says = "attach failed";
		return;
	}
	for (uint64_t i = 0; i < EACH; i++) {
		int ret = unit_inject(session, i);

		w->accepted[round] += !ret;
		w->refused[round] += ret == -ENOBUFS;
		if (ret && ret != -ENOBUFS)
			w->says = "inject failed";
		if (i % 100 == 0)
			agentsh_ebpf_wake(tracer);
	}
	if (agentsh_ebpf_session_stats(session, &stats) || stats.lost != w->refused[round] ||
	    stats.delivered > w->accepted[round])
		w->says = "wrong statistics of a session";
	if (agentsh_ebpf_session_detach(session))
		w->says = "detach failed";
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t round = 0; round < ROUNDS; round++)
		round_of(w, round);
	return NULL;
}

/* Totals never decrease. */
static void *watch(void *arg)
{
	const char **says = arg;
	struct agentsh_ebpf_stats last = {0}, now = {.size = sizeof(now)};

	while (!atomic_load(&done)) {
		if (agentsh_ebpf_tracer_stats(tracer, &now) || now.delivered < last.delivered ||
		    now.lost < last.lost || now.sessions > WORKERS || now.malformed)
			*says = "wrong statistics of the tracer";
		last = now;
		unit_sleep_ms(1);
	}
	return NULL;
}

START_TEST(all_at_once)
{
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = 8192, /* so small that events are lost */
		.ring_quota = 100,
		.max_sessions = _i ? WORKERS : 4096, /* slots are reused at once, or late */
		.on_event = on_event,
	};
	struct worker workers[WORKERS];
	struct agentsh_ebpf_stats total;
	uint64_t accepted = 0, refused = 0;
	const char *watch_says = NULL;
	pthread_t reading, watching;

	memset(workers, 0, sizeof(workers));
	tracer = unit_open(&o);
	pthread_create(&reading, NULL, reader, NULL);
	pthread_create(&watching, NULL, watch, &watch_says);
	for (uint64_t i = 0; i < WORKERS; i++) {
		workers[i].number = i;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	atomic_store(&done, true);
	agentsh_ebpf_wake(tracer);
	pthread_join(reading, NULL);
	pthread_join(watching, NULL);

	ck_assert_msg(!reader_says, "%s", reader_says);
	ck_assert_msg(!watch_says, "%s", watch_says);
	for (int i = 0; i < WORKERS; i++) {
		ck_assert_msg(!workers[i].says, "%s", workers[i].says);
		for (int r = 0; r < ROUNDS; r++) {
			ck_assert_uint_eq(seen[i][r], workers[i].accepted[r]);
			ck_assert_uint_eq(seen[i][r] + workers[i].refused[r], EACH);
			ck_assert_uint_le(gaps[i][r], workers[i].refused[r]);
			accepted += workers[i].accepted[r];
			refused += workers[i].refused[r];
		}
	}
	total = unit_tracer_stats(tracer);
	ck_assert_uint_eq(total.delivered, accepted);
	ck_assert_uint_eq(total.lost, refused);
	ck_assert_uint_eq(total.sessions, 0);
	ck_assert_uint_eq(total.malformed, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- one session, many threads ------------------------------------------ */

static struct agentsh_ebpf_session *shared;
static _Atomic uint64_t shared_accepted, shared_refused;

static void *inject_shared(void *unused)
{
	(void)unused;
	for (uint64_t i = 0; i < 20000; i++) {
		if (unit_inject(shared, i))
			shared_refused++;
		else
			shared_accepted++;
	}
	return NULL;
}

START_TEST(one_session)
{
	pthread_t threads[WORKERS];
	struct agentsh_ebpf_event buf[64];
	uint64_t got = 0, lost = 0;
	int n;

	tracer = unit_open_ring(8192);
	shared = unit_attach(tracer, 1);
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, inject_shared, NULL);
	while ((n = agentsh_ebpf_read(tracer, buf, UNIT_COUNT(buf), 200)) > 0) {
		got += (uint64_t)n;
		for (int i = 0; i < n; i++) {
			ck_assert_uint_ge(buf[i].session_lost, lost);
			lost = buf[i].session_lost;
		}
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	got += unit_drain(tracer);
	ck_assert_uint_eq(got, shared_accepted);
	ck_assert_uint_eq(unit_session_stats(shared).delivered, shared_accepted);
	ck_assert_uint_eq(unit_session_stats(shared).lost, shared_refused);
	ck_assert_uint_eq(shared_accepted + shared_refused, WORKERS * 20000);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- two readers -------------------------------------------------------- */

static void *wait_for_ever(void *ret)
{
	struct agentsh_ebpf_event buf;

	*(int *)ret = agentsh_ebpf_read(tracer, &buf, 1, -1);
	return NULL;
}

START_TEST(second_reader)
{
	const struct agentsh_ebpf_tracer_options o = {.on_event = on_event};
	struct agentsh_ebpf_event buf;
	pthread_t thread;
	int first = 1, ret = 0;

	tracer = unit_open(&o);
	pthread_create(&thread, NULL, wait_for_ever, &first);
	for (int i = 0; i < UNIT_DEADLINE_MS && ret != -EBUSY; i++) {
		unit_sleep_ms(1);
		ret = agentsh_ebpf_read(tracer, &buf, 1, 0);
	}
	ck_assert_int_eq(ret, -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, -1), -EBUSY);
	/* the first reader was not disturbed; wake it */
	agentsh_ebpf_wake(tracer);
	pthread_join(thread, NULL);
	ck_assert_int_eq(first == -EBUSY ? 0 : first, 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &buf, 1, 0), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

static void *burn(void *unused)
{
	(void)unused;
	while (!atomic_load(&done))
		;
	return NULL;
}

/* A busy machine may preempt the thread between reading two clocks. */
START_TEST(realtime_under_load)
{
	const struct agentsh_ebpf_event event = {.timestamp_ns = 1};
	uint64_t first = agentsh_ebpf_event_realtime_ns(&event), low = first, high = first;
	pthread_t busy[BUSY_THREADS];

	atomic_store(&done, false);
	for (int i = 0; i < BUSY_THREADS; i++)
		pthread_create(&busy[i], NULL, burn, NULL);
	for (int i = 0; i < CONVERSIONS; i++) {
		uint64_t at = agentsh_ebpf_event_realtime_ns(&event);

		low = at < low ? at : low;
		high = at > high ? at : high;
	}
	atomic_store(&done, true);
	for (int i = 0; i < BUSY_THREADS; i++)
		pthread_join(busy[i], NULL);
	ck_assert_uint_lt(high - low, 100000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");
	TCase *tcase = unit_case(suite, "threads");

	tcase_add_loop_test(tcase, all_at_once, 0, 2);
	tcase_add_test(tcase, one_session);
	tcase_add_test(tcase, second_reader);
	tcase_add_test(tcase, realtime_under_load);
	return unit_main(suite);
}
