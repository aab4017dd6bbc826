/* SPDX-License-Identifier: Apache-2.0 */
/* The server that a process names in the first data of a connection: TLS and HTTP. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_hello.h"
#include "names_talk.h"

#define CONNECT_REQUEST "CONNECT Proxied.Test:443 HTTP/1.1\r\nHost: proxied.test:443\r\n\r\n"

static const struct first_data {
	const char *title;
	struct client_hello hello;
	const char *text; /* instead of a ClientHello, or before it if hello.sni is set */
	size_t first, piece;
	uint16_t port;	  /* 0: TALK_PORT */
	const char *name; /* expected; NULL: no event */
	uint32_t flags;
} cases[] = {
	/* TLS */
	{"short", {.sni = "short.test"}, .name = "short.test"},
	{"260 bytes", {.sni = "go.test", .alpn = "h2,http/1.1", .size = 260}, .name = "go.test"},
	{"517 bytes",
	 {.sni = "Curl.Test", .alpn = "h2,http/1.1", .size = 517},
	 .name = "curl.test"},
	{"1,554 bytes", {.sni = "pq.test", .alpn = "h2", .size = 1554}, .name = "pq.test"},
	{"1,554 bytes, name at the end",
	 {.sni = "pq.test", .size = 1554, .late = true},
	 .name = "pq.test"},
	{"3,900 bytes", {.sni = "huge.test", .size = 3900, .late = true}, .name = "huge.test"},
	{"5 bytes and the rest",
	 {.sni = "rest.test", .alpn = "h2", .size = 517},
	 .first = 5,
	 .name = "rest.test"},
	{"5 bytes and the rest of 1,554",
	 {.sni = "rest.test", .size = 1554, .late = true},
	 .first = 5,
	 .name = "rest.test"},
	{"one byte and the rest", {.sni = "one.test", .size = 517}, .first = 1, .name = "one.test"},
	{"one byte at a time",
	 {.sni = "bytes.test", .size = 300},
	 .first = 1,
	 .piece = 1,
	 .name = NULL},
	{"pieces of 100 bytes",
	 {.sni = "pieces.test", .size = 517, .late = true},
	 .first = 100,
	 .piece = 100,
	 .name = "pieces.test"},
	{"pieces of 74 bytes, in 8 segments",
	 {.sni = "seven.test", .size = 517, .late = true},
	 .first = 74,
	 .piece = 74,
	 .name = "seven.test"},
	{"TLS records of 100 bytes",
	 {.sni = "records.test", .size = 517, .record = 100, .late = true},
	 .name = "records.test"},
	{"without server_name", {.alpn = "h2", .size = 300}, .name = NULL},
	{"ECH",
	 {.sni = "public.test", .alpn = "h2", .ech = true, .size = 600},
	 .name = "public.test",
	 .flags = AGENTSH_EBPF_NAME_FLAG_OUTER},
	{"the server sends first",
	 {.sni = "late.test", .size = 517},
	 .port = TALK_FIRST_PORT,
	 .name = "late.test"},
	{"a name of 253 bytes",
	 {.sni = "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23."
		 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23."
		 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23."
		 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g"},
	 .name = "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23."
		 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23."
		 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23."
		 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g"},
	/* HTTP */
	{"HTTP", .text = "GET / HTTP/1.1\r\nHost: Web.Test\r\n\r\n", .name = "web.test"},
	{"HTTP with a port", .text = "GET / HTTP/1.1\r\nHost: web.test:8080\r\n\r\n",
	 .name = "web.test"},
	{"HTTP, Host not first",
	 .text = "POST /x HTTP/1.1\r\nAccept: */*\r\nhost:web.test\r\nContent-Length: 0\r\n\r\n",
	 .name = "web.test"},
	{"HTTP without Host", .text = "GET / HTTP/1.0\r\nAccept: */*\r\n\r\n", .name = NULL},
	{"HTTP, pipelined",
	 .text = "GET /1 HTTP/1.1\r\nHost: one.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: "
		 "two.test\r\n\r\n",
	 .name = "one.test"},
	{"HTTP in two segments", .text = "GET / HTTP/1.1\r\nHost: split.test\r\n\r\n", .first = 20,
	 .name = "split.test"},
	{"HTTP, Host cut between segments", .text = "GET / HTTP/1.1\r\nHost: split.test\r\n\r\n",
	 .first = 26, .name = "split.test"},
	{"SSH", .text = "SSH-2.0-OpenSSH_9.2\r\nHost: ssh.test\r\n\r\n", .name = NULL},
	/* a proxy */
	{"CONNECT", .text = CONNECT_REQUEST, .name = "proxied.test"},
	{"TLS behind CONNECT",
	 {.sni = "proxied.test", .size = 517},
	 .text = CONNECT_REQUEST,
	 .first = sizeof(CONNECT_REQUEST) - 1,
	 .name = "proxied.test"},
};

static void fill(const struct first_data *c, struct talk *t)
{
	memset(t, 0, sizeof(*t));
	t->port = c->port ? c->port : TALK_PORT;
	t->first = c->first;
	t->piece = c->piece;
	if (c->text) {
		t->size = strlen(c->text);
		memcpy(t->data, c->text, t->size);
	}
	if (c->text && c->hello.sni)
		t->pause = t->size; /* the proxy answers first */
	if (!c->text || c->hello.sni) {
		uint8_t hello[CLIENT_HELLO_MAX];
		size_t size = client_hello_build(&c->hello, hello);

		LIVE_CHECK(t->size + size <= sizeof(t->data), "too long");
		memcpy(t->data + t->size, hello, size);
		t->size += size;
	}
}

/* A case for each address family. */
static void try_case(int number, struct names_open how)
{
	const struct first_data *c = &cases[number / 3];
	struct agentsh_ebpf_tracer *tracer = names_open(how);
	struct names_want want = {.server_name = c->name, .flags = c->flags};
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct talked talked;
	static struct talk t;

	fill(c, &t);
	t.family = (uint32_t)number % 3;
	talk_serve();
	session = names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, talk_do, &t, sizeof(t), &talked, sizeof(talked));
	live_worker_stop(&worker);
	live_drain(tracer);
	if (c->name) {
		want.server_name_source = c->text ? AGENTSH_EBPF_NAME_HTTP : AGENTSH_EBPF_NAME_TLS;
		want.alpn = c->text ? NULL : c->hello.alpn;
	}
	talk_expect(c->title, &talked, &want);
	CONNECTION_SAME(live_session_stats(session).packets_lost, 0);
	CONNECTION_SAME(live_session_stats(session).lost, 0);
}

START_TEST(server_name_alone)
{
	try_case(_i, (struct names_open){.hooks = TALK_HOOKS});
}
END_TEST

/* Each case with one of the families, because machines under emulation are slow. */
static int in_turn(int number)
{
	return number * 3 + number % 3;
}

START_TEST(server_name_without_btf)
{
	try_case(in_turn(_i),
		 (struct names_open){.hooks = TALK_HOOKS,
				     .simulate_missing = 1ULL << AGENTSH_EBPF_CHECK_BTF});
}
END_TEST

START_TEST(server_name_with_everything)
{
	try_case(_i,
		 (struct names_open){.hooks = TALK_HOOKS | NAMES_HOOKS | AGENTSH_EBPF_HOOK_TRAFFIC |
					      AGENTSH_EBPF_HOOK_ACCEPT});
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: servers");
	TCase *tcase = live_case(suite, "first data");

	tcase_add_loop_test(tcase, server_name_alone, 0, (int)LIVE_COUNT(cases) * 3);
	tcase_add_loop_test(tcase, server_name_without_btf, 0, (int)LIVE_COUNT(cases));
	tcase_add_loop_test(tcase, server_name_with_everything, 0, (int)LIVE_COUNT(cases));
	return names_main(suite);
}
