/* SPDX-License-Identifier: Apache-2.0 */
/* Which session an event belongs to, and when a session begins and ends. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "traffic.h"

static struct agentsh_ebpf_tracer *tracer;
static struct live_cgroup one, other;

static void setup(void)
{
	tracer = live_open(NULL);
	live_cgroup_make(&one, NULL);
	live_cgroup_make(&other, NULL);
}

/* ---- which session ------------------------------------------------------ */

START_TEST(nested_sessions_get_one_event_each)
{
	const uint64_t ids[] = {1001, 1002, 1003};
	struct live_cgroup middle, inner;
	struct live_worker worker;
	int seen[3] = {0};

	live_cgroup_make(&middle, &one);
	live_cgroup_make(&inner, &middle);
	live_attach(tracer, &middle, ids[1]); /* not in the order of depth */
	live_attach(tracer, &one, ids[0]);
	live_attach(tracer, &inner, ids[2]);
	live_worker_start(&worker, &inner);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 1));
	traffic_of(&worker, SENDS(.first = 1, .count = 1));
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_drain(tracer), 6);
	for (size_t i = 0; i < 6; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		for (int j = 0; j < 3; j++)
			seen[j] += e->session_id == ids[j] ? (int)e->kind : 0;
		ck_assert_uint_eq(e->cgroup_id, inner.id);
		ck_assert_uint_eq(e->socket_cookie, live_seen.list[0].socket_cookie);
	}
	/* kinds 1 and 2, once each */
	ck_assert_int_eq(seen[0], 3);
	ck_assert_int_eq(seen[1], 3);
	ck_assert_int_eq(seen[2], 3);

	/* a process in the middle cgroup: only the sessions at and above it see it */
	live_worker_start(&worker, &middle);
	traffic_of(&worker, CONNECTS(.first = 2, .count = 1));
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_drain(tracer), 2);
	ck_assert_uint_ne(live_seen.list[6].session_id, ids[2]);
	ck_assert_uint_ne(live_seen.list[7].session_id, ids[2]);
}
END_TEST

START_TEST(two_sessions_without_crosstalk)
{
	struct agentsh_ebpf_session *first = live_attach(tracer, &one, 1);
	struct agentsh_ebpf_session *second = live_attach(tracer, &other, 2);
	struct live_worker a, b;

	live_worker_start(&a, &one);
	live_worker_start(&b, &other);
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t number =
			1 + 10 * i; /* new destinations, because repeated datagrams are no events */

		traffic_of(&a, (struct traffic){.how = i % 2, .first = number, .count = 3});
		live_drain(tracer);
		traffic_expect(i * 5, 1, number, 3);
		traffic_of(&b, (struct traffic){.how = i % 2, .first = number, .count = 2});
		live_drain(tracer);
		traffic_expect(i * 5 + 3, 2, number, 2);
	}
	live_worker_stop(&a);
	live_worker_stop(&b);
	ck_assert_uint_eq(live_session_stats(first).delivered, 60);
	ck_assert_uint_eq(live_session_stats(second).delivered, 40);
	ck_assert_uint_eq(live_tracer_stats(tracer).delivered, 100);
	ck_assert_uint_eq(live_tracer_stats(tracer).sessions, 2);
	for (size_t i = 0; i < 100; i++)
		ck_assert_uint_eq(live_seen.list[i].cgroup_id,
				  live_seen.list[i].session_id == 1 ? one.id : other.id);
}
END_TEST

START_TEST(outside_is_not_seen)
{
	struct live_cgroup sibling;
	struct live_worker worker, parent;

	live_cgroup_make(&sibling, &one);
	live_attach(tracer, &other, 1);
	live_worker_start(&worker, &sibling);
	live_worker_start(&parent, NULL); /* above all sessions */
	for (uint32_t how = 0; how < 2; how++) {
		traffic_of(&worker, (struct traffic){.how = how, .first = 1, .count = 10});
		traffic_of(&parent, (struct traffic){.how = how, .first = 1, .count = 10});
	}
	live_worker_stop(&worker);
	live_worker_stop(&parent);
	ck_assert_uint_eq(live_drain(tracer), 0);
}
END_TEST

static void leave(const void *cgroup, void *unused)
{
	(void)unused;
	live_cgroup_enter(cgroup);
}

/* A socket belongs to the cgroup in which it was made, even if its process has left it. */
START_TEST(socket_made_inside_process_gone)
{
	struct live_worker worker;

	live_attach(tracer, &one, 1);
	live_worker_start(&worker, &one);
	traffic_of(&worker, CONNECTS(.socket = 0, .first = 1, .count = 1));
	live_worker_call(&worker, leave, &other, sizeof(other), NULL, 0);
	traffic_of(&worker, CONNECTS(.socket = 0, .first = 2, .count = 1));
	/* a new socket belongs to the new cgroup */
	traffic_of(&worker, CONNECTS(.socket = 1, .first = 3, .count = 1));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 1, 1, 2);
	ck_assert_uint_eq(live_seen.list[0].cgroup_id, one.id);
	ck_assert_uint_eq(live_seen.list[1].cgroup_id, other.id);
}
END_TEST

START_TEST(two_tracers_on_one_cgroup)
{
	struct agentsh_ebpf_tracer *second = live_open(NULL);
	struct live_worker worker;

	live_attach(tracer, &one, 11);
	live_attach(second, &one, 22);
	live_worker_start(&worker, &one);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 4));
	live_drain(tracer);
	traffic_expect(0, 11, 1, 4);
	live_drain(second);
	traffic_expect(4, 22, 1, 4);
	live_close(tracer); /* the other one goes on */
	traffic_of(&worker, CONNECTS(.first = 5, .count = 1));
	live_worker_stop(&worker);
	live_drain(second);
	traffic_expect(8, 22, 5, 1);
}
END_TEST

/* ---- begin and end -------------------------------------------------------- */

START_TEST(detach_ends_the_session_and_keeps_pending_events)
{
	struct agentsh_ebpf_session *session = live_attach(tracer, &one, 1);
	struct live_worker worker;

	live_worker_start(&worker, &one);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 5));
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	traffic_of(&worker, CONNECTS(.first = 6, .count = 5));
	traffic_of(&worker, SENDS(.first = 6, .count = 5));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 1, 1, 5);
	ck_assert_uint_eq(live_tracer_stats(tracer).delivered, 5);
	ck_assert_uint_eq(live_tracer_stats(tracer).sessions, 0);
}
END_TEST

START_TEST(attach_again_with_another_id)
{
	struct live_worker worker;
	size_t from = 0;

	live_worker_start(&worker, &one);
	for (uint32_t round = 1; round <= 50; round++) {
		struct agentsh_ebpf_session *s = live_attach(tracer, &one, round);
		struct agentsh_ebpf_stats stats;

		traffic_of(&worker, CONNECTS(.first = round, .count = 3));
		if (round % 2) /* otherwise its events are read after the detach */
			live_drain(tracer);
		stats = live_session_stats(s);
		ck_assert_uint_eq(stats.delivered, round % 2 ? 3 : 0);
		ck_assert_uint_eq(stats.lost, 0);
		ck_assert_uint_eq(stats.sessions, 1);
		ck_assert_int_eq(agentsh_ebpf_session_detach(s), 0);
		traffic_of(&worker, CONNECTS(.first = 900, .count = 2));
		live_drain(tracer);
		traffic_expect(from, round, round, 3);
		from += 3;
	}
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_tracer_stats(tracer).delivered, 150);
}
END_TEST

START_TEST(pending_events_of_an_earlier_session_keep_its_id)
{
	struct agentsh_ebpf_session *session = live_attach(tracer, &one, 1);
	struct live_worker worker;

	live_worker_start(&worker, &one);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 2));
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	session = live_attach(tracer, &one, 2);
	traffic_of(&worker, CONNECTS(.first = 3, .count = 1));
	live_worker_stop(&worker);
	live_drain(tracer);
	ck_assert_uint_eq(live_seen.count, 3);
	ck_assert_uint_eq(live_seen.list[1].session_id, 1);
	ck_assert_uint_eq(live_seen.list[2].session_id, 2);
	/* they do not count for the new session */
	ck_assert_uint_eq(live_session_stats(session).delivered, 1);
}
END_TEST

START_TEST(attach_twice)
{
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_session *session = live_attach(tracer, &one, 1), *second = session;
	struct live_worker worker;

	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, one.fd, NULL, &second, &err), -EEXIST);
	ck_assert_ptr_null(second);
	ck_assert_int_eq(err.code, -EEXIST);
	ck_assert_uint_eq(live_tracer_stats(tracer).attach_failures, 1);
	ck_assert_uint_eq(live_tracer_stats(tracer).sessions, 1);
	/* the first session works as before */
	live_worker_start(&worker, &one);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 2));
	traffic_of(&worker, SENDS(.first = 3, .count = 1));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 1, 1, 3);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	live_attach(tracer, &one, 2);
}
END_TEST

START_TEST(cgroup_removed_while_attached)
{
	struct agentsh_ebpf_session *session = live_attach(tracer, &one, 1);
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_session *again;
	struct live_worker worker;
	int fd = dup(one.fd), ret;

	live_worker_start(&worker, &one);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 2));
	live_worker_stop(&worker);
	live_cgroup_remove(&one);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	live_drain(tracer);
	traffic_expect(0, 1, 1, 2);

	ret = agentsh_ebpf_session_attach(tracer, fd, NULL, &again, &err);
	LIVE_CHECK(ret == -ENOENT && !again && strstr(err.message, "removed"), "%d: %s", ret,
		   err.message);
	close(fd);
	live_attach(tracer, &other, 2); /* other cgroups can still be attached */
}
END_TEST

START_TEST(cgroup_removed_and_tracer_closed)
{
	live_attach(tracer, &one, 1);
	live_cgroup_remove(&one);
	live_close(tracer);
}
END_TEST

/* The descriptor is the caller's, and the session does not need it. */
START_TEST(descriptor_closed_after_attach)
{
	struct live_worker worker;

	live_attach(tracer, &one, 1);
	close(one.fd);
	live_worker_start(&worker, &one);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 1));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 1, 1, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tcase = live_case(suite, "sessions");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, nested_sessions_get_one_event_each);
	tcase_add_test(tcase, two_sessions_without_crosstalk);
	tcase_add_test(tcase, outside_is_not_seen);
	tcase_add_test(tcase, socket_made_inside_process_gone);
	tcase_add_test(tcase, two_tracers_on_one_cgroup);
	tcase_add_test(tcase, detach_ends_the_session_and_keeps_pending_events);
	tcase_add_test(tcase, attach_again_with_another_id);
	tcase_add_test(tcase, pending_events_of_an_earlier_session_keep_its_id);
	tcase_add_test(tcase, attach_twice);
	tcase_add_test(tcase, cgroup_removed_while_attached);
	tcase_add_test(tcase, cgroup_removed_and_tracer_closed);
	tcase_add_test(tcase, descriptor_closed_after_attach);
	return live_main(suite);
}
