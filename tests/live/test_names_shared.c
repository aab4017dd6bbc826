/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses with several names, several processes, and several sessions. */
#include <string.h>

#include "names.h"
#include "names_server.h"

#define SERVER "127.0.53.1"
#define OTHER_SERVER "127.0.53.2"
#define SHARED "127.0.4.1"
#define TTL_S 70
#define SECOND "127.0.4.2"

/* All names have the same address, apart from second.*. */
static void zone(const struct names_query *q, struct names_answer *answer)
{
	names_reply(&answer->message, q, NAMES_NOERROR);
	names_address(&answer->message, NULL, TTL_S,
		      strncmp(q->name, "second", 6) ? SHARED : SECOND);
}

/* The other server has the addresses the other way round. */
static void other_zone(const struct names_query *q, struct names_answer *answer)
{
	names_reply(&answer->message, q, NAMES_NOERROR);
	names_address(&answer->message, NULL, TTL_S,
		      strncmp(q->name, "second", 6) ? SECOND : SHARED);
}

/* Two processes ask for two names of one address: each has its own name, with flag and number. */
START_TEST(own_name_wins)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct live_worker one, two, third;
	struct names_visit visit[4];
	struct names_want want;
	struct live_cgroup cgroup;
	uint64_t ns[2];

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	names_session(tracer, &cgroup, &one);
	live_worker_start(&two, &cgroup);
	live_worker_start(&third, &cgroup);
	ns[0] = names_ask_by(&one, SERVER, "one.test");
	names_visit_by(&two, SHARED, &visit[3]); /* only one name yet, which another asked for */
	ns[1] = names_ask_by(&two, SERVER, "two.test");
	names_visit_by(&one, SHARED, &visit[0]);
	names_visit_by(&two, SHARED, &visit[1]);
	names_visit_by(&third, SHARED, &visit[2]);
	live_drain(tracer);

	want = names_answered("one.test", TTL_S, SERVER, &one, ns[0]);
	want.flags = AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS;
	names_expect("before its own question", &visit[3], &want);
	want.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	want.others = 1;
	names_expect("the first process", &visit[0], &want);
	want = names_answered("two.test", TTL_S, SERVER, &two, ns[1]);
	want.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	want.others = 1;
	names_expect("the second process", &visit[1], &want);
	want.flags |= AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS;
	names_expect("a process that did not ask", &visit[2], &want);
}
END_TEST

/* The same process asks for three names: the last one counts, also if it is asked again. */
START_TEST(last_name_wins)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct live_worker worker;
	struct names_visit visit[2];
	struct names_want want;
	struct live_cgroup cgroup;
	uint64_t ns;

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	names_session(tracer, &cgroup, &worker);
	names_ask_by(&worker, SERVER, "one.test");
	names_ask_by(&worker, SERVER, "two.test");
	ns = names_ask_by(&worker, SERVER, "three.test");
	names_visit_by(&worker, SHARED, &visit[0]);
	want = names_answered("three.test", TTL_S, SERVER, &worker, ns);
	ns = names_ask_by(&worker, SERVER, "one.test");
	names_visit_by(&worker, SHARED, &visit[1]);
	live_drain(tracer);
	want.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	want.others = 2;
	names_expect("three names", &visit[0], &want);
	want.asked = "one.test";
	want.answered_ns = ns;
	names_expect("asked again", &visit[1], &want);
}
END_TEST

/* A connection keeps the name that its first event had, although the address got another. */
static int kept_fd;

static void connects(const void *to, void *visit)
{
	const struct connection_address *at = to;
	struct names_visit *v = visit;
	struct expectation t;

	kept_fd = names_socket(NAMES_TCP, at);
	memset(&t, 0, sizeof(t));
	expectation_socket(&t, kept_fd);
	v->tcp_cookie = t.want.socket_cookie;
}

static void ends(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	connection_close_hard(kept_fd);
}

START_TEST(connection_keeps_its_name)
{
	const struct connection_address to = connection_address(SHARED, NAMES_PORT);
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct live_worker worker;
	struct names_visit visit;
	struct names_want want;
	struct live_cgroup cgroup;
	uint64_t ns;

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	names_session(tracer, &cgroup, &worker);
	ns = names_ask_by(&worker, SERVER, "one.test");
	live_worker_call(&worker, connects, &to, sizeof(to), &visit, sizeof(visit));
	if (_i) /* the first time all records are in the ring at once */
		live_drain(tracer);
	names_ask_by(&worker, SERVER, "two.test");
	live_worker_call(&worker, ends, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	want = names_answered("one.test", TTL_S, SERVER, &worker, ns);
	names_expect_at("first event",
			names_find(NAMES_SESSION, AGENTSH_EBPF_EVENT_CONNECT, visit.tcp_cookie, 0),
			&want);
	LIVE_CHECK(!strcmp(names_seen[names_find(NAMES_SESSION, AGENTSH_EBPF_EVENT_CLOSED,
						 visit.tcp_cookie, 0)]
				   .name.asked,
			   "one.test"),
		   "CLOSED has another name than CONNECT");
}
END_TEST

/* ---- sessions -------------------------------------------------------------- */

/* One name with different answers in two sessions: neither sees the other's. */
START_TEST(sessions_are_apart)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct live_cgroup cgroup[2];
	struct live_worker worker[2];
	struct names_visit visit[4];
	struct names_want want;
	uint64_t ns[2];

	names_serve(SERVER, 53, zone);
	names_serve(OTHER_SERVER, 53, other_zone);
	names_serve_visits();
	for (int i = 0; i < 2; i++) {
		live_cgroup_make(&cgroup[i], NULL);
		live_attach(tracer, &cgroup[i], 100 + (uint64_t)i);
		live_worker_start(&worker[i], &cgroup[i]);
		ns[i] = names_ask_by(&worker[i], i ? OTHER_SERVER : SERVER, "name.test");
	}
	for (int i = 0; i < 4; i++)
		names_visit_by(&worker[i / 2], i % 2 ? SECOND : SHARED, &visit[i]);
	live_drain(tracer);
	for (int i = 0; i < 4; i++) {
		want = names_answered("name.test", TTL_S, SERVER, &worker[i / 2], ns[i / 2]);
		want.resolver = i / 2 ? OTHER_SERVER : SERVER;
		if (i == 1 || i == 2)
			want = (struct names_want){0};
		names_expect_in(100 + (uint64_t)i / 2, i % 2 ? "second address" : "first address",
				&visit[i], &want);
	}
}
END_TEST

/* A session inside another: what happens inside belongs to both, and nothing else to the inner. */
START_TEST(nested_sessions)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct live_cgroup outer, inner;
	struct live_worker outside, inside;
	struct names_visit visit[3];
	struct names_want want;
	uint64_t ns[2];

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	live_cgroup_make(&outer, NULL);
	live_cgroup_make(&inner, &outer);
	live_attach(tracer, &outer, 1);
	live_attach(tracer, &inner, 2);
	live_worker_start(&outside, &outer);
	live_worker_start(&inside, &inner);
	ns[0] = names_ask_by(&outside, SERVER, "outer.test");
	names_visit_by(&inside, SHARED, &visit[0]);
	ns[1] = names_ask_by(&inside, SERVER, "second.test");
	names_visit_by(&inside, SECOND, &visit[1]);
	names_visit_by(&outside, SECOND, &visit[2]);
	live_drain(tracer);

	names_expect_in(2, "inner session, a name of the outer", &visit[0],
			&(struct names_want){0});
	want = names_answered("outer.test", TTL_S, SERVER, &outside, ns[0]);
	want.flags = AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS;
	names_expect_in(1, "outer session, a visit inside", &visit[0], &want);
	want = names_answered("second.test", TTL_S, SERVER, &inside, ns[1]);
	names_expect_in(2, "inner session", &visit[1], &want);
	names_expect_in(1, "both sessions", &visit[1], &want);
	want.flags = AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS;
	names_expect_in(1, "outer session, a visit outside", &visit[2], &want);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: shared");
	TCase *tcase = live_case(suite, "shared addresses");

	tcase_add_test(tcase, own_name_wins);
	tcase_add_test(tcase, last_name_wins);
	tcase_add_loop_test(tcase, connection_keeps_its_name, 0, 2);
	tcase = live_case(suite, "sessions");
	tcase_add_test(tcase, sessions_are_apart);
	tcase_add_test(tcase, nested_sessions);
	return names_main(suite);
}
