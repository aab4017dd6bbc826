/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings that are too small. The model in this file follows the public header only, so that
 * it does not share mistakes with the library.
 */
#include <errno.h>
#include <string.h>

#include "unit.h"

#define MODEL_RING 8192
#define MODEL_SESSIONS 3
#define MODEL_STEPS 20000

/* ---- one session -------------------------------------------------------- */

START_TEST(capacity)
{
	static const uint32_t sizes[] = {4096, 8192, 65536, 1 << 20};
	uint32_t ring = sizes[_i];
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(ring);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);

	/* later rounds start somewhere within the ring */
	for (int round = 0; round < 3; round++) {
		ck_assert_uint_eq(unit_fill(session), UNIT_CAPACITY(ring));
		ck_assert_uint_eq(unit_drain(tracer), UNIT_CAPACITY(ring));
	}
	ck_assert_uint_eq(unit_session_stats(session).lost, 3);
	ck_assert_uint_eq(unit_session_stats(session).lost_quota, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(capacity_of_outcomes)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_event event = unit_event(0);
	uint32_t n = 0;

	event.error = ECONNREFUSED;
	while (!agentsh_ebpf_inject(session, &event))
		n++;
	ck_assert_uint_eq(n, (UNIT_RING_SMALL - 1) / UNIT_RING_BYTES_OUTCOME);
	/* 16 records of 248 bytes leave 128 bytes, in which no record fits */
	ck_assert_int_eq(unit_inject(session, 0), -ENOBUFS);
	ck_assert_uint_eq(unit_drain(tracer), n);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(one_free_place)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_event got;
	uint64_t number = unit_fill(session), lost = 1;

	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
		ck_assert_int_eq(unit_inject(session, number++), 0);
		for (int k = 0; k < i % 3; k++, lost++)
			ck_assert_int_eq(unit_inject(session, number), -ENOBUFS);
	}
	ck_assert_uint_eq(unit_session_stats(session).lost, lost);
	ck_assert_uint_eq(unit_session_stats(session).delivered, 200);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Each gap in the numbers equals the increase of session_lost at that place. */
START_TEST(gaps_show)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_event got[64];
	uint64_t number = 0, next = 0, lost = 0, delivered = 0, gaps = 0;

	for (int round = 0; round < 500; round++) {
		uint32_t burst = unit_below(60);
		int n;

		for (uint32_t i = 0; i < burst; i++)
			unit_inject(session, number++);
		n = agentsh_ebpf_read(tracer, got, 1 + unit_below(40), 0);
		ck_assert_int_ge(n, 0);
		for (int i = 0; i < n; i++, delivered++, next++) {
			ck_assert_uint_ge(got[i].socket_cookie, next);
			ck_assert_uint_eq(got[i].socket_cookie - next, got[i].session_lost - lost);
			gaps += got[i].socket_cookie != next;
			next = got[i].socket_cookie;
			lost = got[i].session_lost;
		}
	}
	ck_assert_uint_gt(gaps, 50);
	delivered += unit_drain(tracer);
	ck_assert_uint_eq(unit_session_stats(session).delivered, delivered);
	ck_assert_uint_eq(delivered + unit_session_stats(session).lost, number);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- quotas ---------------------------------------------------------------  */

/* A session is refused once it holds its quota; its last record may exceed the quota. */
static uint32_t quota_records(uint32_t ring, uint32_t percent)
{
	uint64_t bytes = (uint64_t)ring * percent / 100;
	uint32_t n = (uint32_t)((bytes + UNIT_RING_BYTES - 1) / UNIT_RING_BYTES);

	return n < UNIT_CAPACITY(ring) ? n : UNIT_CAPACITY(ring);
}

START_TEST(noisy_and_quiet)
{
	static const uint32_t quotas[] = {1, 2, 10, 25, 50, 99, 100};
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = 65536,
		.ring_quota = quotas[_i],
	};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session *noisy = unit_attach(tracer, 1),
				    *quiet = unit_attach(tracer, 2);
	uint32_t most = quota_records(o.ring_size, o.ring_quota), n = 0, read = 0;
	struct agentsh_ebpf_event got;

	for (int i = 0; i < 1000; i++)
		n += !unit_inject(noisy, (uint64_t)i);
	ck_assert_uint_eq(n, most);
	ck_assert_uint_eq(unit_session_stats(noisy).lost, 1000 - most);
	ck_assert_uint_eq(unit_session_stats(noisy).lost_quota,
			  o.ring_quota < 100 ? 1000 - most : 0);
	if (o.ring_quota < 100) /* with a quota of 100 no space is left for the quiet session */
		ck_assert_int_eq(unit_inject(quiet, 0), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	ck_assert_int_eq(unit_inject(noisy, 0), 0);
	while (agentsh_ebpf_read(tracer, &got, 1, 0) == 1)
		read += got.session_id == 2;
	ck_assert_uint_eq(read, o.ring_quota < 100);
	ck_assert_uint_eq(unit_session_stats(quiet).lost, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(default_quota)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);

	ck_assert_uint_eq(unit_fill(session), quota_records(1 << 20, 25));
	ck_assert_uint_eq(unit_session_stats(session).lost_quota, 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/*
 * The quota counts the unread events of one session, not those that an earlier session of
 * the same slot left unread.
 */
START_TEST(quota_of_a_new_session)
{
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = 65536,
		.ring_quota = 10,
		.max_sessions = 1,
	};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	uint32_t most = quota_records(o.ring_size, o.ring_quota);

	ck_assert_uint_eq(unit_fill(session), most);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	session = unit_attach(tracer, 2);
	ck_assert_uint_eq(unit_fill(session), most);
	/* reading the old events does not raise the quota of the new session */
	for (uint32_t i = 0; i < most; i++) {
		struct agentsh_ebpf_event got;

		ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
		ck_assert_uint_eq(got.session_id, 1);
	}
	ck_assert_int_eq(unit_inject(session, 0), -ENOBUFS);
	ck_assert_uint_eq(unit_drain(tracer), most);
	ck_assert_uint_eq(unit_fill(session), most);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- the model ---------------------------------------------------------- */

struct model_entry {
	struct agentsh_ebpf_event event;
	uint64_t id, lost;
	uint32_t session, ring_bytes;
};

struct model {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *sessions[MODEL_SESSIONS];
	uint64_t held[MODEL_SESSIONS], lost[MODEL_SESSIONS], lost_quota[MODEL_SESSIONS],
		delivered[MODEL_SESSIONS];
	uint64_t ring_held, quota_bytes;
	struct model_entry queue[UNIT_CAPACITY(MODEL_RING)];
	uint32_t count;
};

static void model_inject(struct model *m)
{
	uint32_t i = unit_below(MODEL_SESSIONS);
	struct model_entry e = {
		.event = unit_random_event(),
		.id = i,
		.lost = m->lost[i],
		.session = i,
	};
	int want = 0;

	e.ring_bytes = unit_ring_bytes(&e.event);
	if (m->held[i] >= m->quota_bytes) {
		want = -ENOBUFS;
		m->lost_quota[i]++;
	} else if (m->ring_held + e.ring_bytes >= MODEL_RING) {
		want = -ENOBUFS;
	}
	ck_assert_int_eq(agentsh_ebpf_inject(m->sessions[i], &e.event), want);
	if (want) {
		m->lost[i]++;
		return;
	}
	m->held[i] += e.ring_bytes;
	m->ring_held += e.ring_bytes;
	m->queue[m->count++] = e;
}

static void model_read(struct model *m)
{
	struct agentsh_ebpf_event got[8];
	uint32_t most = 1 + unit_below(8), want = m->count < most ? m->count : most;

	ck_assert_int_eq(agentsh_ebpf_read(m->tracer, got, most, 0), (int)want);
	for (uint32_t i = 0; i < want; i++) {
		const struct model_entry *e = &m->queue[i];

		unit_expect_event(&got[i], &e->event, e->id, e->lost);
		m->held[e->session] -= e->ring_bytes;
		m->ring_held -= e->ring_bytes;
		m->delivered[e->session]++;
	}
	m->count -= want;
	memmove(m->queue, m->queue + want, m->count * sizeof(m->queue[0]));
}

START_TEST(as_the_model)
{
	static struct model m;
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = MODEL_RING,
		.ring_quota = 40,
	};

	m.tracer = unit_open(&o);
	m.quota_bytes = MODEL_RING * 40 / 100;
	for (uint32_t i = 0; i < MODEL_SESSIONS; i++)
		m.sessions[i] = unit_attach(m.tracer, i);
	for (int step = 0; step < MODEL_STEPS; step++) {
		if (unit_below(6))
			model_inject(&m);
		else
			model_read(&m);
	}
	for (uint32_t i = 0; i < MODEL_SESSIONS; i++) {
		struct agentsh_ebpf_stats stats = unit_session_stats(m.sessions[i]);

		ck_assert_uint_eq(stats.lost, m.lost[i]);
		ck_assert_uint_eq(stats.lost_quota, m.lost_quota[i]);
		ck_assert_uint_eq(stats.delivered, m.delivered[i]);
		/* both kinds of loss have occurred */
		ck_assert_uint_gt(stats.lost_quota, 0);
		ck_assert_uint_gt(stats.lost, stats.lost_quota);
	}
	agentsh_ebpf_tracer_close(m.tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loss");
	TCase *tcase = unit_case(suite, "loss");

	tcase_add_loop_test(tcase, capacity, 0, 4);
	tcase_add_test(tcase, capacity_of_outcomes);
	tcase_add_test(tcase, one_free_place);
	tcase_add_test(tcase, gaps_show);
	tcase_add_loop_test(tcase, noisy_and_quiet, 0, 7);
	tcase_add_test(tcase, default_quota);
	tcase_add_test(tcase, quota_of_a_new_session);
	tcase_add_test(tcase, as_the_model);
	return unit_main(suite);
}
