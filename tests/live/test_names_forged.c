/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that nobody asked for give no name: forged by a neighbour outside the session, sent by
 * another server, or too late. The steps of the client and the sender are told by the test.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "names_server.h"

#define SERVER "127.0.53.1"
#define ELSEWHERE "127.0.53.7"
#define REAL "127.0.5.1"
#define FORGED "127.0.5.2"
#define ID 0x4321
#define TTL_S 80

/* The questions arrive somewhere, but the test sends the answers. */
static void silent(const struct names_query *q, struct names_answer *answer)
{
	(void)q;
	(void)answer;
}

/* ---- the client, in the session --------------------------------------------- */

static int asking = -1; /* state of the worker */

struct opened {
	struct connection_address at;
	uint64_t ns;
};

static void opens(const void *way, void *out)
{
	const struct connection_address server = connection_address(SERVER, 53);
	struct opened *opened = out;
	struct connection_address any = connection_address("127.0.0.1", 0);

	asking = names_socket(*(const enum names_way *)way, &server);
	if (*(const enum names_way *)way == NAMES_UNCONNECTED)
		LIVE_CHECK(!bind(asking, &any.sa.any, any.size), "bind: %s", strerror(errno));
	opened->at.size = sizeof(opened->at.sa);
	LIVE_CHECK(!getsockname(asking, &opened->at.sa.any, &opened->at.size), "getsockname");
	opened->ns = connection_now();
}

static void asks(const void *way, void *ns)
{
	const struct connection_address server = connection_address(SERVER, 53);
	static struct names_message m;

	names_question(&m, ID, "real.test", NAMES_A);
	*(uint64_t *)ns = connection_now();
	names_send(asking, *(const enum names_way *)way, &server, &m);
}

static void receives(const void *unused, void *unused_out)
{
	static struct names_message m;

	(void)unused;
	(void)unused_out;
	names_receive(asking, NAMES_CONNECTED, &m);
}

/* ---- the sender, outside ---------------------------------------------------- */

struct forged {
	char from[40], name[40], address[20];
	uint16_t port, id;
	struct connection_address to;
};

static void sends(const void *arg, void *unused)
{
	const struct forged *f = arg;
	const struct connection_address from = connection_address(f->from, f->port);
	static struct names_message question, m;
	struct names_query q;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	LIVE_CHECK(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) &&
			   !bind(fd, &from.sa.any, from.size),
		   "forged answer: %s", strerror(errno));
	names_question(&question, f->id, f->name, NAMES_A);
	LIVE_CHECK(names_read_query(&q, question.data, question.size, false), "question");
	names_reply(&m, &q, NAMES_NOERROR);
	names_address(&m, NULL, TTL_S, f->address);
	LIVE_CHECK(sendto(fd, m.data, m.size, 0, &f->to.sa.any, f->to.size) == (ssize_t)m.size,
		   "forged answer: %s", strerror(errno));
	close(fd);
}

static void send_one(struct live_worker *sender, const struct connection_address *to,
		     struct forged f)
{
	f.to = *to;
	live_worker_call(sender, sends, &f, sizeof(f), NULL, 0);
}

static const struct forged forgeries[] = {
	{SERVER, "real.test", FORGED, 53, ID + 1, {.size = 0}},	    /* another id */
	{SERVER, "other.test", FORGED, 53, ID, {.size = 0}},	    /* another question */
	{ELSEWHERE, "real.test", FORGED, 53, ID, {.size = 0}},	    /* another server */
	{ELSEWHERE, "other.test", FORGED, 53, ID + 1, {.size = 0}}, /* nothing is right */
};

static const struct forged real = {SERVER, "real.test", REAL, 53, ID, {.size = 0}};

static struct names_want real_name(const struct live_worker *asker, uint64_t ns)
{
	return names_answered("real.test", TTL_S, SERVER, asker, ns);
}

static void receive_and_visit(struct agentsh_ebpf_tracer *tracer, struct live_worker *worker,
			      struct names_visit *visit)
{
	live_worker_call(worker, receives, NULL, 0, NULL, 0);
	names_visit_by(worker, REAL, visit);
	live_drain(tracer);
}

/*
 * Forged answers arrive before the question, between question and answer, and after the answer.
 * On a connected socket the kernel drops those from elsewhere. Without the hook UDP a socket that
 * is not connected has no state, but its questions are known.
 */
static const struct {
	enum names_way way;
	uint32_t hooks;
} forged_ways[] = {
	{NAMES_UNCONNECTED, NAMES_HOOKS},
	{NAMES_CONNECTED, NAMES_HOOKS},
	{NAMES_UNCONNECTED, NAMES_HOOKS & ~AGENTSH_EBPF_HOOK_UDP},
	{NAMES_CONNECTED, NAMES_HOOKS & ~AGENTSH_EBPF_HOOK_UDP},
};

START_TEST(forged)
{
	const enum names_way way = forged_ways[_i].way;
	const bool known = way == NAMES_CONNECTED || forged_ways[_i].hooks == NAMES_HOOKS;
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.hooks = forged_ways[_i].hooks});
	struct live_worker worker, sender;
	struct names_visit visit[2];
	struct agentsh_ebpf_stats stats;
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct names_want want;
	struct opened opened;
	struct forged late;
	uint64_t ns;
	uint32_t seen = 0;

	names_serve(SERVER, 53, silent);
	names_serve_visits();
	session = names_session(tracer, &cgroup, &worker);
	live_worker_start(&sender, NULL);
	live_worker_call(&worker, opens, &way, sizeof(way), &opened, sizeof(opened));
	if (way == NAMES_CONNECTED) /* before the question */
		send_one(&sender, &opened.at, real);
	live_worker_call(&worker, asks, &way, sizeof(way), &ns, sizeof(ns));
	for (size_t i = 0; i < LIVE_COUNT(forgeries); i++)
		send_one(&sender, &opened.at, forgeries[i]);
	send_one(&sender, &opened.at, real);
	late = real;
	snprintf(late.address, sizeof(late.address), "%s", FORGED);
	send_one(&sender, &opened.at, late);
	seen = way == NAMES_CONNECTED ? 5 : 6;
	for (uint32_t i = 0; i < seen; i++)
		live_worker_call(&worker, receives, NULL, 0, NULL, 0);
	names_visit_by(&worker, REAL, &visit[0]);
	names_visit_by(&worker, FORGED, &visit[1]);
	live_drain(tracer);
	want = real_name(&worker, ns);
	if (!known)
		want.asker = 0;
	names_expect_tcp(NAMES_SESSION, "the real answer", &visit[0], &want);
	names_expect_tcp(NAMES_SESSION, "the forged ones", &visit[1], &(struct names_want){0});
	stats = live_session_stats(session);
	CONNECTION_SAME(stats.answers, 1);
	CONNECTION_SAME(stats.answers_unasked, seen - 1);
}
END_TEST

/*
 * A socket that has neither connected nor sent is like one from before the session: what it gets
 * has the flag UNASKED, and a question's answer takes its place.
 */
START_TEST(never_asked)
{
	const enum names_way way = NAMES_UNCONNECTED;
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.dns_timeout_ms = 600000});
	struct forged first = real;
	struct live_worker worker, sender;
	struct names_visit visit[2];
	struct live_cgroup cgroup;
	struct names_want want;
	struct opened opened;
	uint64_t ns[2] = {connection_now()};

	snprintf(first.name, sizeof(first.name), "forged.test");
	names_serve(SERVER, 53, silent);
	names_serve_visits();
	names_session(tracer, &cgroup, &worker);
	live_worker_start(&sender, NULL);
	live_worker_call(&worker, opens, &way, sizeof(way), &opened, sizeof(opened));
	send_one(&sender, &opened.at, first);
	live_worker_call(&worker, receives, NULL, 0, NULL, 0);
	names_visit_by(&worker, REAL, &visit[0]);
	live_worker_call(&worker, asks, &way, sizeof(way), &ns[1], sizeof(ns[1]));
	send_one(&sender, &opened.at, real);
	live_worker_call(&worker, receives, NULL, 0, NULL, 0);
	names_visit_by(&worker, REAL, &visit[1]);
	live_drain(tracer);
	want = real_name(&worker, ns[0]);
	want.asker = 0;
	want.asked = "forged.test";
	want.flags = AGENTSH_EBPF_NAME_FLAG_UNASKED;
	names_expect("never asked", &visit[0], &want);
	want = real_name(&worker, ns[1]);
	want.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	want.others = 1;
	names_expect("asked afterwards", &visit[1], &want);
}
END_TEST

/* What does not come from a name server's port is no answer at all. */
START_TEST(from_another_port)
{
	const enum names_way way = NAMES_UNCONNECTED;
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct forged f = real;
	struct live_worker worker, sender;
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_stats stats;
	struct names_visit visit;
	struct live_cgroup cgroup;
	struct opened opened;
	uint64_t ns;

	f.port = 5355;
	names_serve(SERVER, 53, silent);
	names_serve_visits();
	session = names_session(tracer, &cgroup, &worker);
	live_worker_start(&sender, NULL);
	live_worker_call(&worker, opens, &way, sizeof(way), &opened, sizeof(opened));
	live_worker_call(&worker, asks, &way, sizeof(way), &ns, sizeof(ns));
	send_one(&sender, &opened.at, f);
	receive_and_visit(tracer, &worker, &visit);
	names_expect("another port", &visit, &(struct names_want){0});
	stats = live_session_stats(session);
	CONNECTION_SAME(stats.answers + stats.answers_unasked, 0);
}
END_TEST

/* Processes that have nothing to do with a session yet, and a question that one has asked. */
struct asked {
	struct live_worker worker, sender;
	struct live_cgroup cgroup;
	struct opened opened;
	uint64_t ns;
};

static void ask_before(struct asked *a, enum names_way way)
{
	names_serve(SERVER, 53, silent);
	names_serve_visits();
	live_cgroup_make(&a->cgroup, NULL);
	live_worker_start(&a->worker, &a->cgroup);
	live_worker_start(&a->sender, NULL);
	live_worker_call(&a->worker, opens, &way, sizeof(way), &a->opened, sizeof(a->opened));
	live_worker_call(&a->worker, asks, &way, sizeof(way), &a->ns, sizeof(a->ns));
}

/* The session begins between question and answer: the name has the flag UNASKED. */
START_TEST(asked_before_the_session)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.dns_timeout_ms = 600000});
	struct names_visit visit;
	struct asked asked;
	struct names_want want;

	ask_before(&asked, _i ? NAMES_CONNECTED : NAMES_UNCONNECTED);
	live_attach(tracer, &asked.cgroup, NAMES_SESSION);
	send_one(&asked.sender, &asked.opened.at, real);
	receive_and_visit(tracer, &asked.worker, &visit);
	want = real_name(&asked.worker, asked.ns);
	want.asker = 0;
	want.flags = AGENTSH_EBPF_NAME_FLAG_UNASKED;
	names_expect("asked before", &visit, &want);
}
END_TEST

/* An answer that comes later than dns_timeout_ms after the attach is no answer to such a question.
 */
START_TEST(asked_long_before_the_session)
{
	const struct timespec pause = {.tv_nsec = 150000000};
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){.dns_timeout_ms = 100});
	struct agentsh_ebpf_session *session;
	struct names_visit visit;
	struct asked asked;

	ask_before(&asked, NAMES_CONNECTED);
	session = live_attach(tracer, &asked.cgroup, NAMES_SESSION);
	nanosleep(&pause, NULL);
	send_one(&asked.sender, &asked.opened.at, real);
	receive_and_visit(tracer, &asked.worker, &visit);
	names_expect("asked long before", &visit, &(struct names_want){0});
	CONNECTION_SAME(live_session_stats(session).answers_unasked, 1);
}
END_TEST

/* An answer that arrived before the session gives no name (AGENTSH_EBPF_COVERAGE_EARLIER_ANSWER).
 */
START_TEST(answered_before_the_session)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct agentsh_ebpf_session *session;
	struct names_visit visit;
	struct asked asked;

	ask_before(&asked, NAMES_CONNECTED);
	send_one(&asked.sender, &asked.opened.at, real);
	session = live_attach(tracer, &asked.cgroup, NAMES_SESSION);
	receive_and_visit(tracer, &asked.worker, &visit);
	names_expect("answered before", &visit, &(struct names_want){0});
	CONNECTION_SAME(live_session_stats(session).answers, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: forged");
	TCase *tcase = live_case(suite, "forged");

	tcase_add_loop_test(tcase, forged, 0, (int)LIVE_COUNT(forged_ways));
	tcase_add_test(tcase, never_asked);
	tcase_add_test(tcase, from_another_port);
	tcase_add_loop_test(tcase, asked_before_the_session, 0, 2);
	tcase_add_test(tcase, asked_long_before_the_session);
	tcase_add_test(tcase, answered_before_the_session);
	return names_main(suite);
}
