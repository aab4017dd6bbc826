/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session that floods the ring with DNS messages loses only its own messages: its connections and
 * another session's names are all there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "names_server.h"

#define SERVER "127.0.53.1"
#define FLOOD 1
#define QUIET 2
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

START_TEST(flood)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.ring_size = 1 << 20, .ring_quota = 40});
	struct agentsh_ebpf_session *session[2];
	struct agentsh_ebpf_stats stats;
	struct live_cgroup cgroup[2];
	struct live_worker worker[2];
	static struct visits seen[2];
	char name[20];

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	for (int i = 0; i < 2; i++) {
		live_cgroup_make(&cgroup[i], NULL);
		session[i] = live_attach(tracer, &cgroup[i], i ? QUIET : FLOOD);
		live_worker_start(&worker[i], &cgroup[i]);
	}
	/* Nobody reads until all has happened. */
	live_worker_call(&worker[0], floods, NULL, 0, NULL, 0);
	live_worker_call(&worker[0], visits_all, &(int){0}, sizeof(int), &seen[0], sizeof(seen[0]));
	live_worker_call(&worker[1], visits_all, &(int){1}, sizeof(int), &seen[1], sizeof(seen[1]));
	live_drain(tracer);

	for (int i = 0; i < VISITS; i++) {
		const struct names_want want = {
			.asked = name,
			.ttl_s = 90,
			.asker = seen[1].list[i].tgid,
			.answered_ns = seen[1].ns,
			.resolver = SERVER,
		};

		snprintf(name, sizeof(name), "quiet%d.test", i);
		names_expect_in(QUIET, name, &seen[1].list[i], &want);
		names_expect_in(FLOOD, name, &seen[0].list[i], &(struct names_want){0});
	}
	stats = live_session_stats(session[1]);
	CONNECTION_SAME(stats.lost, 0);
	CONNECTION_SAME(stats.packets_lost, 0);
	CONNECTION_SAME(stats.answers, VISITS);
	stats = live_session_stats(session[0]);
	CONNECTION_SAME(stats.lost, 0);
	LIVE_CHECK(stats.packets_lost > QUESTIONS && stats.packets_lost < 2 * QUESTIONS,
		   "packets_lost is %llu", (unsigned long long)stats.packets_lost);
	LIVE_CHECK(stats.answers && stats.answers + stats.answers_unasked +
						    stats.answers_malformed + stats.packets_lost <=
					    2 * QUESTIONS,
		   "%llu answers, %llu unasked, %llu malformed", (unsigned long long)stats.answers,
		   (unsigned long long)stats.answers_unasked,
		   (unsigned long long)stats.answers_malformed);
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
