/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that flood the ring with DNS messages lose only their own messages: their connections
 * and another session's names are all there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "names_server.h"

#define SERVER "127.0.53.1"
#define FLOODS 2 /* their session_ids are 1 and 2 */
#define QUIET 3
#define FLOOD_QUOTA 30 /* the messages of all floods then take less than half of the ring */
#define QUESTIONS 4000
#define VISITS 20

static void zone(const struct names_query *q, struct names_answer *answer)
{
	static const char filler[250] = {(char)249};
	char text[20];
	int number;

	names_reply(&answer->message, q, NAMES_NOERROR);
	if (sscanf(q->name, "quiet%d.test", &number) == 1) {
		snprintf(text, sizeof(text), "127.0.9.%d", number);
		names_address(&answer->message, NULL, 90, text);
		return;
	}
	for (int i = 0; i < 3; i++)
		names_record(&answer->message, NULL, NAMES_TXT, 5, filler, sizeof(filler));
	names_address(&answer->message, NULL, 90, "127.0.10.1");
}

static void floods(const void *unused, void *unused_out)
{
	const struct connection_address server = connection_address(SERVER, 53);
	static struct names_message m;
	char name[40];
	int fd = names_socket(NAMES_CONNECTED, &server);

	(void)unused;
	(void)unused_out;
	for (int i = 0; i < QUESTIONS; i++) {
		snprintf(name, sizeof(name), "flood%d.test", i);
		names_question(&m, (uint16_t)i, name, NAMES_A);
		names_send(fd, NAMES_CONNECTED, &server, &m);
		names_receive(fd, NAMES_CONNECTED, &m);
	}
	close(fd);
}

struct visits {
	struct names_visit list[VISITS];
	uint64_t ns;
};

static void visits_all(const void *ask, void *out)
{
	const struct connection_address server = connection_address(SERVER, 53);
	struct visits *v = out;
	char text[20];

	v->ns = connection_now();
	for (int i = 0; i < VISITS; i++) {
		struct connection_address to;

		snprintf(text, sizeof(text), "quiet%d.test", i);
		if (*(const int *)ask)
			names_ask(NAMES_CONNECTED, &server, text, NAMES_A, (uint16_t)i);
		snprintf(text, sizeof(text), "127.0.9.%d", i);
		to = connection_address(text, NAMES_PORT);
		names_visit(&to, &v->list[i]);
	}
}

/* Events of a kind, or of all kinds if it is 0. */
static uint64_t seen_events(uint64_t session_id, uint32_t kind)
{
	uint64_t count = 0;

	for (size_t i = 0; i < live_seen.count; i++)
		count += live_seen.list[i].session_id == session_id &&
			 (!kind || live_seen.list[i].kind == kind);
	return count;
}

/*
 * Messages of a session that were taken from the ring or lost. Each question that was taken has
 * DNS_ANSWER or DNS_QUERY, or is malformed because it was one too many.
 */
static uint64_t accounted(uint64_t session_id, const struct agentsh_ebpf_session *session)
{
	const struct agentsh_ebpf_stats stats = live_session_stats(session);

	return seen_events(session_id, AGENTSH_EBPF_EVENT_DNS_ANSWER) +
	       seen_events(session_id, AGENTSH_EBPF_EVENT_DNS_QUERY) + stats.answers +
	       stats.answers_unasked + stats.answers_malformed + stats.packets_lost;
}

/* The last questions have their DNS_QUERY when their time has passed. */
static void drain_questions(struct agentsh_ebpf_tracer *tracer,
			    struct agentsh_ebpf_session *const session[FLOODS])
{
	int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	while ((accounted(1, session[0]) < 2 * QUESTIONS ||
		accounted(2, session[1]) < 2 * QUESTIONS) &&
	       live_now_ms() < end)
		LIVE_CHECK(agentsh_ebpf_poll(tracer, 50) >= 0, "poll");
	live_drain(tracer);
}

static void expect_flood(uint64_t session_id, const struct agentsh_ebpf_session *session,
			 const struct visits *visits)
{
	const struct agentsh_ebpf_stats stats = live_session_stats(session);

	for (int i = 0; i < VISITS; i++)
		names_expect_in(session_id, "flood", &visits->list[i], &(struct names_want){0});
	CONNECTION_SAME(stats.lost, 0);
	CONNECTION_SAME(stats.delivered, seen_events(session_id, 0));
	CONNECTION_SAME(stats.answers, seen_events(session_id, AGENTSH_EBPF_EVENT_DNS_ANSWER));
	CONNECTION_SAME(accounted(session_id, session), 2 * QUESTIONS);
	LIVE_CHECK(stats.packets_lost > QUESTIONS && stats.packets_lost < 2 * QUESTIONS,
		   "packets_lost is %llu", (unsigned long long)stats.packets_lost);
	LIVE_CHECK(stats.answers, "no answer was taken");
}

static void expect_quiet(const struct agentsh_ebpf_session *session, const struct visits *visits)
{
	const struct agentsh_ebpf_stats stats = live_session_stats(session);
	char name[20];

	for (int i = 0; i < VISITS; i++) {
		const struct names_want want = {
			.asked = name,
			.ttl_s = 90,
			.asker = visits->list[i].tgid,
			.answered_ns = visits->ns,
			.resolver = SERVER,
		};

		snprintf(name, sizeof(name), "quiet%d.test", i);
		names_expect_in(QUIET, name, &visits->list[i], &want);
	}
	CONNECTION_SAME(stats.lost, 0);
	CONNECTION_SAME(stats.packets_lost, 0);
	CONNECTION_SAME(stats.delivered, seen_events(QUIET, 0));
	CONNECTION_SAME(stats.answers, VISITS);
	CONNECTION_SAME(seen_events(QUIET, AGENTSH_EBPF_EVENT_DNS_ANSWER), VISITS);
	CONNECTION_SAME(seen_events(QUIET, AGENTSH_EBPF_EVENT_DNS_QUERY), 0);
	CONNECTION_SAME(stats.answers_unasked + stats.answers_malformed, 0);
}

/* The events of DNS messages tell which of them were taken. */
START_TEST(flood)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.flags = AGENTSH_EBPF_OPEN_DNS_EVENTS,
					       .ring_size = 1 << 20,
					       .ring_quota = FLOOD_QUOTA});
	struct agentsh_ebpf_session *session[QUIET];
	struct live_cgroup cgroup[QUIET];
	struct live_worker worker[QUIET];
	static struct visits seen[QUIET];

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	for (int i = 0; i < QUIET; i++) {
		live_cgroup_make(&cgroup[i], NULL);
		session[i] = live_attach(tracer, &cgroup[i], (uint64_t)i + 1);
		live_worker_start(&worker[i], &cgroup[i]);
	}
	/* Nobody reads until all has happened. */
	for (int i = 0; i < FLOODS; i++)
		live_worker_send(&worker[i], floods, NULL, 0, 0);
	for (int i = 0; i < FLOODS; i++)
		live_worker_receive(&worker[i], NULL, 0);
	for (int i = 0; i < QUIET; i++)
		live_worker_call(&worker[i], visits_all, &(int){i == FLOODS}, sizeof(int), &seen[i],
				 sizeof(seen[i]));
	drain_questions(tracer, session);

	for (int i = 0; i < FLOODS; i++)
		expect_flood((uint64_t)i + 1, session[i], &seen[i]);
	expect_quiet(session[FLOODS], &seen[FLOODS]);
	CONNECTION_SAME(live_tracer_stats(tracer).malformed, 0);
}
END_TEST

/* After the flood has been read, the session has its names again. */
START_TEST(after_the_flood)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.ring_size = 1 << 20, .ring_quota = 40});
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct names_visit visit;
	uint64_t ns;
	int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, floods, NULL, 0, NULL, 0);
	do { /* the rate limit may still hold */
		live_drain(tracer);
		live_seen.count = 0;
		ns = names_ask_by(&worker, SERVER, "quiet1.test");
		names_visit_by(&worker, "127.0.9.1", &visit);
		live_drain(tracer);
	} while (!live_seen
			  .list[names_find(NAMES_SESSION, AGENTSH_EBPF_EVENT_CONNECT,
					   visit.tcp_cookie, 0)]
			  .name_id &&
		 live_now_ms() < end);
	names_expect("after the flood", &visit,
		     &(struct names_want){.asked = "quiet1.test",
					  .ttl_s = 90,
					  .asker = visit.tgid,
					  .answered_ns = ns,
					  .resolver = SERVER});
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: flood");
	TCase *tcase = live_case(suite, "flood");

	tcase_add_test(tcase, flood);
	tcase_add_test(tcase, after_the_flood);
	return names_main(suite);
}
