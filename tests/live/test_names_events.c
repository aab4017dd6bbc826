/* SPDX-License-Identifier: Apache-2.0 */
/* The events of answers, and of questions that nobody answered. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "names.h"
#include "names_server.h"

#define ANSWER AGENTSH_EBPF_EVENT_DNS_ANSWER
#define QUERY AGENTSH_EBPF_EVENT_DNS_QUERY
#define SERVER4 "127.0.53.1"
#define SERVER6 "::1"
#define TIMEOUT_MS 1500 /* an emulated machine takes some tenths of a second for an answer */
#define OPEN_EVENTS                                                                                \
	((struct names_open){.flags = AGENTSH_EBPF_OPEN_DNS_EVENTS, .dns_timeout_ms = TIMEOUT_MS})

static const struct answer {
	const char *title, *name;
	uint16_t type, rcode;
	enum names_way way;
	bool v6;
	uint32_t flags, count;
	const char *addresses[3];
	uint32_t ttl;
} answers[] = {
	{"A",
	 "three.test",
	 NAMES_A,
	 0,
	 NAMES_CONNECTED,
	 false,
	 0,
	 3,
	 {"127.0.7.1", "127.0.7.2", "127.0.7.3"},
	 11},
	{"A, without connect()",
	 "three.test",
	 NAMES_A,
	 0,
	 NAMES_UNCONNECTED,
	 false,
	 0,
	 3,
	 {"127.0.7.1", "127.0.7.2", "127.0.7.3"},
	 11},
	{"A over TCP",
	 "three.test",
	 NAMES_A,
	 0,
	 NAMES_TCP,
	 false,
	 AGENTSH_EBPF_DNS_FLAG_TCP,
	 3,
	 {"127.0.7.1", "127.0.7.2", "127.0.7.3"},
	 11},
	{"AAAA over IPv6",
	 "three.test",
	 NAMES_AAAA,
	 0,
	 NAMES_CONNECTED,
	 true,
	 0,
	 2,
	 {"fd53::1", "fd53::2"},
	 12},
	{"CNAME", "chain.test", NAMES_A, 0, NAMES_CONNECTED, false, 0, 1, {"127.0.7.1"}, 13},
	{"NXDOMAIN", "none.test", NAMES_A, NAMES_NXDOMAIN, NAMES_CONNECTED, false, 0, 0, {NULL}, 0},
	{"SERVFAIL",
	 "fail.test",
	 NAMES_AAAA,
	 NAMES_SERVFAIL,
	 NAMES_CONNECTED,
	 true,
	 0,
	 0,
	 {NULL},
	 0},
	{"no address", "empty.test", NAMES_AAAA, 0, NAMES_CONNECTED, false, 0, 0, {NULL}, 0},
	{"truncated",
	 "big.test",
	 NAMES_A,
	 0,
	 NAMES_CONNECTED,
	 false,
	 AGENTSH_EBPF_DNS_FLAG_TRUNCATED,
	 0,
	 {NULL},
	 0},
	{"HTTPS", "https.test", NAMES_HTTPS, 0, NAMES_CONNECTED, false, 0, 0, {NULL}, 0},
	{"more than 32 records",
	 "many.test",
	 NAMES_A,
	 0,
	 NAMES_CONNECTED,
	 false,
	 AGENTSH_EBPF_DNS_FLAG_CUT,
	 32,
	 {"127.0.8.1", "127.0.8.2", "127.0.8.3"},
	 14},
};

static void zone(const struct names_query *q, struct names_answer *answer)
{
	struct names_message *m = &answer->message;
	char text[20];

	if (!strncasecmp(q->name, "silent", 6))
		return;
	names_reply(m, q,
		    !strcmp(q->name, "none.test")   ? NAMES_NXDOMAIN
		    : !strcmp(q->name, "fail.test") ? NAMES_SERVFAIL
						    : NAMES_NOERROR);
	if (!strcmp(q->name, "three.test") && q->type == NAMES_AAAA) {
		names_address(m, NULL, 12, "fd53::1");
		names_address(m, NULL, 12, "fd53::2");
	} else if (!strcmp(q->name, "three.test")) {
		names_address(m, NULL, 11, "127.0.7.1");
		names_address(m, NULL, 11, "127.0.7.2");
		names_address(m, NULL, 11, "127.0.7.3");
	} else if (!strcmp(q->name, "chain.test")) {
		names_cname(m, NULL, 13, "end.test");
		names_address(m, "end.test", 13, "127.0.7.1");
	} else if (!strcmp(q->name, "big.test")) {
		names_set_flags(m, NAMES_TC);
	} else if (!strcmp(q->name, "https.test")) {
		names_record(m, NULL, NAMES_HTTPS, 5, "\0\1\0\0\1\0\3\2h2", 10);
	} else if (!strcmp(q->name, "many.test")) {
		for (int i = 1; i <= 40; i++) {
			snprintf(text, sizeof(text), "127.0.8.%d", i);
			names_address(m, NULL, 14, text);
		}
	}
}

struct question {
	struct connection_address server;
	char name[60];
	uint16_t type;
	enum names_way way;
	bool waits; /* for the answer */
};

struct asked {
	uint64_t ns[3], cookie; /* before and after the question, and after the answer */
};

static void asks(const void *arg, void *out)
{
	const struct question *q = arg;
	struct asked *asked = out;
	static struct names_message m;
	struct expectation t;
	int fd = names_socket(q->way, &q->server);

	memset(&t, 0, sizeof(t));
	expectation_socket(&t, fd);
	asked->cookie = t.want.socket_cookie;
	names_question(&m, 77, q->name, q->type);
	asked->ns[0] = connection_now();
	names_send(fd, q->way, &q->server, &m);
	asked->ns[1] = connection_now();
	if (q->waits)
		names_receive(fd, q->way, &m);
	asked->ns[2] = connection_now();
	if (q->waits)
		close(fd); /* else it stays open */
}

static struct asked ask(struct live_worker *worker, const char *server, const char *name,
			uint16_t type, enum names_way way, bool waits)
{
	struct question q;
	struct asked asked;

	memset(&q, 0, sizeof(q));
	q.server = connection_address(server, 53);
	snprintf(q.name, sizeof(q.name), "%s", name);
	q.type = type;
	q.way = way;
	q.waits = waits;
	live_worker_call(worker, asks, &q, sizeof(q), &asked, sizeof(asked));
	return asked;
}

/* What question and answer have in common: who asked which server. */
static void same_event(const char *title, const struct agentsh_ebpf_event *e, bool v6, bool tcp,
		       const struct live_worker *worker, uint64_t cookie)
{
	const struct connection_address server = connection_address(v6 ? SERVER6 : SERVER4, 53);
	uint8_t addr[16];
	uint16_t port;

	connection_end(&server, addr, &port);
	CONNECTION_SAME(e->tgid, worker->pid);
	CONNECTION_SAME(e->session_id, NAMES_SESSION);
	CONNECTION_SAME(e->socket_cookie, cookie);
	CONNECTION_SAME(e->family, v6 ? AF_INET6 : AF_INET);
	CONNECTION_SAME(e->protocol, tcp ? IPPROTO_TCP : IPPROTO_UDP);
	CONNECTION_SAME(e->socket_type, tcp ? SOCK_STREAM : SOCK_DGRAM);
	CONNECTION_SAME(e->remote_port, port);
	CONNECTION_SAME(e->error, 0);
	LIVE_CHECK(!memcmp(e->remote_addr, addr, 16), "%s: remote_addr", title);
}

static void same_addresses(const struct answer *a, const struct names_of *of)
{
	CONNECTION_SAME(of->dns.addresses, a->count);
	CONNECTION_SAME(of->addresses_ret, a->count);
	for (uint32_t i = 0; i < a->count && i < 3; i++) {
		const struct connection_address should = connection_address(a->addresses[i], 0);
		uint8_t addr[16];
		uint16_t port;

		connection_end(&should, addr, &port);
		CONNECTION_SAME(of->addresses[i].family, should.sa.any.sa_family);
		CONNECTION_SAME(of->addresses[i].port, 0);
		CONNECTION_SAME(of->addresses[i].ttl_s, a->ttl);
		LIVE_CHECK(!memcmp(of->addresses[i].addr, addr, 16), "%s: address %u", a->title, i);
	}
}

START_TEST(answer_events)
{
	const struct answer *a = &answers[_i];
	struct names_open how = OPEN_EVENTS;
	struct agentsh_ebpf_tracer *tracer;
	const struct agentsh_ebpf_event *e;
	const struct names_of *of;
	struct live_worker worker;
	struct live_cgroup cgroup;
	struct asked asked;
	size_t at;

	how.dns_timeout_ms = 600000;
	tracer = names_open(how);
	names_serve(a->v6 ? SERVER6 : SERVER4, 53, zone);
	names_session(tracer, &cgroup, &worker);
	asked = ask(&worker, a->v6 ? SERVER6 : SERVER4, a->name, a->type, a->way, true);
	live_drain(tracer);
	at = names_find(NAMES_SESSION, ANSWER, asked.cookie, 0);
	LIVE_CHECK(at < live_seen.count, "%s: no DNS_ANSWER", a->title);
	e = &live_seen.list[at];
	of = &names_seen[at];
	same_event(a->title, e, a->v6, a->way == NAMES_TCP, &worker, asked.cookie);
	LIVE_CHECK(e->timestamp_ns >= asked.ns[0] && e->timestamp_ns <= asked.ns[2],
		   "%s: timestamp_ns", a->title);
	LIVE_CHECK(e->duration_ns && e->duration_ns <= asked.ns[2] - asked.ns[0],
		   "%s: duration_ns is %llu", a->title, (unsigned long long)e->duration_ns);
	LIVE_CHECK(e->name_id && !of->name_ret && !of->dns_ret, "%s: no name", a->title);
	LIVE_CHECK(!strcmp(of->name.asked, a->name), "%s: asked is %s", a->title, of->name.asked);
	CONNECTION_SAME(of->name.asker_tgid, worker.pid);
	CONNECTION_SAME(of->name.source,
			a->way == NAMES_TCP ? AGENTSH_EBPF_NAME_DNS_TCP : AGENTSH_EBPF_NAME_DNS);
	CONNECTION_SAME(of->name.resolver.port, 53);
	CONNECTION_SAME(of->dns.question_type, a->type);
	CONNECTION_SAME(of->dns.rcode, a->rcode);
	CONNECTION_SAME(of->dns.flags, a->flags);
	same_addresses(a, of);
	LIVE_CHECK(names_find(NAMES_SESSION, ANSWER, 0, 1) == live_seen.count, "two answers");
	LIVE_CHECK(names_find(NAMES_SESSION, QUERY, 0, 0) == live_seen.count, "a DNS_QUERY");
	for (size_t i = 0; i < live_seen.count; i++) /* other events have no DNS message */
		LIVE_CHECK(i == at || (names_seen[i].dns_ret == -ENOENT &&
				       names_seen[i].addresses_ret == -ENOENT),
			   "%s has a DNS message", agentsh_ebpf_kind_name(live_seen.list[i].kind));
}
END_TEST

/* Only with the flag are there events of answers and questions. */
START_TEST(no_events)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){.dns_timeout_ms = 100});
	struct pollfd readable = {.fd = agentsh_ebpf_fd(tracer), .events = POLLIN};
	struct live_worker worker;
	struct live_cgroup cgroup;
	struct asked asked;

	names_serve(SERVER4, 53, zone);
	names_session(tracer, &cgroup, &worker);
	ask(&worker, SERVER4, "three.test", NAMES_A, NAMES_CONNECTED, true);
	asked = ask(&worker, SERVER4, "silent.test", NAMES_A, NAMES_CONNECTED, false);
	while (connection_now() < asked.ns[1] + 300000000) {
		poll(&readable, 1, 50);
		live_drain(tracer);
	}
	LIVE_CHECK(live_seen.count, "no events");
	LIVE_CHECK(names_find(NAMES_SESSION, ANSWER, 0, 0) == live_seen.count, "a DNS_ANSWER");
	LIVE_CHECK(names_find(NAMES_SESSION, QUERY, 0, 0) == live_seen.count, "a DNS_QUERY");
}
END_TEST

/* Waits with poll(2) on the descriptor, as a host's event loop does. */
static void wait_for_query(struct agentsh_ebpf_tracer *tracer, size_t count)
{
	struct pollfd readable = {.fd = agentsh_ebpf_fd(tracer), .events = POLLIN};
	int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	while (names_find(NAMES_SESSION, QUERY, 0, count - 1) == live_seen.count) {
		/* The descriptor also becomes readable for the library's own timer. */
		LIVE_CHECK(poll(&readable, 1, 1000) >= 0 && live_now_ms() < end,
			   "the descriptor does not become readable for DNS_QUERY");
		if (!readable.revents)
			continue;
		live_drain(tracer);
	}
}

START_TEST(unanswered)
{
	static const enum names_way ways[] = {NAMES_CONNECTED, NAMES_UNCONNECTED, NAMES_TCP};
	const char *server = _i / 3 ? SERVER6 : SERVER4;
	const bool tcp = ways[_i % 3] == NAMES_TCP;
	struct agentsh_ebpf_tracer *tracer = names_open(OPEN_EVENTS);
	const struct agentsh_ebpf_event *e;
	const struct names_of *of;
	struct live_worker worker;
	struct live_cgroup cgroup;
	struct asked asked[2];
	size_t at;

	names_serve(server, 53, zone);
	names_session(tracer, &cgroup, &worker);
	ask(&worker, server, "three.test", NAMES_A, NAMES_CONNECTED, true);
	asked[0] = ask(&worker, server, "Silent.test", NAMES_AAAA, ways[_i % 3], false);
	live_drain(tracer);
	wait_for_query(tracer, 1);
	at = names_find(NAMES_SESSION, QUERY, 0, 0);
	e = &live_seen.list[at];
	of = &names_seen[at];
	same_event("unanswered", e, _i / 3, tcp, &worker, asked[0].cookie);
	LIVE_CHECK(e->timestamp_ns >= asked[0].ns[0] && e->timestamp_ns <= asked[0].ns[1],
		   "timestamp_ns is not that of the question");
	LIVE_CHECK(connection_now() >= asked[0].ns[0] + TIMEOUT_MS * 1000000ULL, "too early");
	LIVE_CHECK(!of->name_ret && !strcmp(of->name.asked, "silent.test"), "asked is %s",
		   of->name.asked);
	CONNECTION_SAME(of->dns_ret, 0);
	CONNECTION_SAME(of->dns.question_type, NAMES_AAAA);
	CONNECTION_SAME(of->dns.rcode, 0);
	CONNECTION_SAME(of->dns.addresses, 0);
	CONNECTION_SAME(of->dns.flags, tcp ? AGENTSH_EBPF_DNS_FLAG_TCP : 0);

	/* The timer runs again for the next one; the first is not told again. */
	asked[1] = ask(&worker, server, "silent2.test", NAMES_A, NAMES_CONNECTED, false);
	wait_for_query(tracer, 2);
	at = names_find(NAMES_SESSION, QUERY, 0, 1);
	CONNECTION_SAME(live_seen.list[at].socket_cookie, asked[1].cookie);
	LIVE_CHECK(!strcmp(names_seen[at].name.asked, "silent2.test"), "asked is %s",
		   names_seen[at].name.asked);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: events");
	TCase *tcase = live_case(suite, "answers");

	tcase_add_loop_test(tcase, answer_events, 0, (int)LIVE_COUNT(answers));
	tcase_add_test(tcase, no_events);
	tcase = live_case(suite, "unanswered");
	tcase_add_loop_test(tcase, unanswered, 0, 5); /* TCP keeps the server busy: not the last */
	return names_main(suite);
}
