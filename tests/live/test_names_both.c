/* SPDX-License-Identifier: Apache-2.0 */
/* DNS names and server names of one connection, and connections that name no server. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_hello.h"
#include "names_talk.h"

#define SERVER "127.0.53.1"
#define HOOKS (NAMES_HOOKS | AGENTSH_EBPF_HOOK_SERVER_NAME)

/* alias.test is a CNAME of real.test. */
static void zone(const struct names_query *q, struct names_answer *answer)
{
	names_reply(&answer->message, q, NAMES_NOERROR);
	if (!strcmp(q->name, "alias.test")) {
		names_cname(&answer->message, NULL, 20, "real.test");
		names_address(&answer->message, "real.test", 20, TALK_ADDRESS);
	} else {
		names_address(&answer->message, NULL, 20, TALK_ADDRESS);
	}
}

static void talk_tls(struct talk *t, const char *sni, const char *alpn)
{
	const struct client_hello hello = {.sni = sni, .alpn = alpn, .size = 517};

	memset(t, 0, sizeof(*t));
	t->port = TALK_PORT;
	t->size = client_hello_build(&hello, t->data);
}

static const struct {
	const char *asked, *owner, *sni;
	uint32_t flags;
} both[] = {
	{"alias.test", "real.test", "alias.test", 0},
	{"alias.test", "real.test", "Real.Test", 0},
	{"alias.test", "real.test", "fronted.test", AGENTSH_EBPF_NAME_FLAG_DIFFERS},
	{"real.test", "real.test", "alias.test", AGENTSH_EBPF_NAME_FLAG_DIFFERS},
};

static void try_both(int number, struct names_open how)
{
	struct agentsh_ebpf_tracer *tracer = names_open(how);
	struct names_want want;
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct talked talked;
	static struct talk t;
	uint64_t ns;

	talk_tls(&t, both[number].sni, "h2,http/1.1");
	names_serve(SERVER, 53, zone);
	talk_serve();
	names_session(tracer, &cgroup, &worker);
	ns = names_ask_by(&worker, SERVER, both[number].asked);
	live_worker_call(&worker, talk_do, &t, sizeof(t), &talked, sizeof(talked));
	live_drain(tracer);
	want = (struct names_want){
		.asked = both[number].asked,
		.owner = both[number].owner,
		.server_name = number == 1 ? "real.test" : both[number].sni,
		.alpn = "h2,http/1.1",
		.server_name_source = AGENTSH_EBPF_NAME_TLS,
		.flags = both[number].flags,
		.ttl_s = 20,
		.asker = talked.tgid,
		.resolver = SERVER,
		.answered_ns = ns,
	};
	talk_expect("DNS and TLS", &talked, &want);
}

START_TEST(dns_and_tls)
{
	try_both(_i, (struct names_open){.hooks = HOOKS});
}
END_TEST

START_TEST(dns_and_tls_without_btf)
{
	try_both(_i, (struct names_open){.hooks = HOOKS,
					 .simulate_missing = 1ULL << AGENTSH_EBPF_CHECK_BTF});
}
END_TEST

/* ---- connections that name no server ---------------------------------------- */

/* The session is the server: what comes in, and what it sends, names nobody. */
static int listener;

static void listens(const void *unused, void *at)
{
	(void)unused;
	listener = connection_listen(CONNECTION_V4, 0, 4, at);
}

/* What it sends would name a server if it had opened the connection. */
static void answers(const void *unused, void *cookie)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
	char in[1024];
	struct expectation t;
	int fd = connection_accept(listener);

	(void)unused;
	memset(&t, 0, sizeof(t));
	expectation_socket(&t, fd);
	*(uint64_t *)cookie = t.want.socket_cookie;
	LIVE_CHECK(read(fd, in, sizeof(in)) > 0, "read: %s", strerror(errno));
	LIVE_CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) > 0, "send: %s", strerror(errno));
	connection_read_end(fd);
	close(fd);
}

static void requests(const void *to, void *unused)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: inbound.test\r\n\r\n";
	int fd = names_socket(NAMES_TCP, to);
	char in[1024];

	(void)unused;
	LIVE_CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 && read(fd, in, sizeof(in)) > 0,
		   "request: %s", strerror(errno));
	close(fd);
}

static const struct {
	uint32_t hook, kind;
} inbound_events[] = {
	{AGENTSH_EBPF_HOOK_ACCEPT, AGENTSH_EBPF_EVENT_ACCEPTED},
	{AGENTSH_EBPF_HOOK_TRAFFIC, AGENTSH_EBPF_EVENT_UNANNOUNCED},
};

START_TEST(inbound)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.hooks = HOOKS | inbound_events[_i].hook});
	struct connection_address at;
	struct live_cgroup cgroup;
	struct live_worker worker, outside;
	uint64_t cookie;

	names_session(tracer, &cgroup, &worker);
	live_worker_start(&outside, NULL);
	live_worker_call(&worker, listens, NULL, 0, &at, sizeof(at));
	live_worker_send(&outside, requests, &at, sizeof(at), 0);
	live_worker_call(&worker, answers, NULL, 0, &cookie, sizeof(cookie));
	live_worker_receive(&outside, NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	LIVE_CHECK(names_find(NAMES_SESSION, inbound_events[_i].kind, cookie, 0) < live_seen.count,
		   "no %s, of %zu events", agentsh_ebpf_kind_name(inbound_events[_i].kind),
		   live_seen.count);
	for (size_t i = 0; i < live_seen.count; i++)
		names_expect_at("inbound", i, &(struct names_want){0});
	LIVE_CHECK(names_find(NAMES_SESSION, AGENTSH_EBPF_EVENT_SERVER_NAME, 0, 0) ==
			   live_seen.count,
		   "a SERVER_NAME of an inbound connection");
}
END_TEST

/*
 * A connection from before the session: its first data may have been sent before. The first packet
 * gives UNANNOUNCED, so that the second one finds a socket that is known.
 */
static int early;

static void connects_early(const void *unused, void *unused_out)
{
	const struct connection_address to = connection_address(TALK_ADDRESS, TALK_PORT);

	(void)unused;
	(void)unused_out;
	early = names_socket(NAMES_TCP, &to);
}

static void sends_late(const void *talk, void *unused)
{
	const struct talk *t = talk;

	(void)unused;
	for (int i = 0; i < 2; i++) {
		char byte;

		LIVE_CHECK(send(early, t->data, t->size, MSG_NOSIGNAL) == (ssize_t)t->size,
			   "send: %s", strerror(errno));
		/* it has arrived, so the next one is a segment of its own */
		LIVE_CHECK(read(early, &byte, 1) == 1, "read: %s", strerror(errno));
	}
	close(early);
}

START_TEST(earlier_connection)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.hooks = HOOKS | AGENTSH_EBPF_HOOK_TRAFFIC});
	struct live_cgroup cgroup;
	struct live_worker worker;
	static struct talk t;

	talk_tls(&t, "early.test", NULL);
	talk_serve();
	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, connects_early, NULL, 0, NULL, 0);
	live_attach(tracer, &cgroup, NAMES_SESSION);
	live_worker_call(&worker, sends_late, &t, sizeof(t), NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	LIVE_CHECK(names_find(NAMES_SESSION, AGENTSH_EBPF_EVENT_UNANNOUNCED, 0, 0) <
			   live_seen.count,
		   "no UNANNOUNCED, of %zu events", live_seen.count);
	for (size_t i = 0; i < live_seen.count; i++)
		names_expect_at("an earlier connection", i, &(struct names_want){0});
}
END_TEST

/* The second request of a connection names nobody, also after many bytes. */
START_TEST(later_requests)
{
	static const char first[] =
		"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 4000\r\n\r\n";
	static const char second[] = "GET / HTTP/1.1\r\nHost: two.test\r\n\r\n";
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){.hooks = TALK_HOOKS});
	const struct names_want want = {.server_name = "one.test",
					.server_name_source = AGENTSH_EBPF_NAME_HTTP};
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct talked talked;
	static struct talk t;

	memset(&t, 0, sizeof(t));
	t.port = TALK_PORT;
	memcpy(t.data, first, strlen(first));
	t.size = strlen(first) + 4000;
	t.pause = t.size;
	memcpy(t.data + t.size, second, strlen(second));
	t.size += strlen(second);
	talk_serve();
	names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, talk_do, &t, sizeof(t), &talked, sizeof(talked));
	live_worker_stop(&worker);
	live_drain(tracer);
	talk_expect("two requests", &talked, &want);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: DNS and servers");
	TCase *tcase = live_case(suite, "DNS and servers");

	tcase_add_loop_test(tcase, dns_and_tls, 0, (int)LIVE_COUNT(both));
	tcase_add_loop_test(tcase, dns_and_tls_without_btf, 0, (int)LIVE_COUNT(both));
	tcase = live_case(suite, "no server name");
	tcase_add_loop_test(tcase, inbound, 0, (int)LIVE_COUNT(inbound_events));
	tcase_add_test(tcase, earlier_connection);
	tcase_add_test(tcase, later_requests);
	return names_main(suite);
}
