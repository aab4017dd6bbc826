/* SPDX-License-Identifier: Apache-2.0 */
/* Which name an event gets, with records that the test makes up. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "hello_builder.h"
#include "name_harness.h"
#include "names/packet.h"
#include "ring/decode.h"

#define ADDRESS 0xc0000201 /* 192.0.2.1 */
#define FLAG(name) AGENTSH_EBPF_NAME_FLAG_##name

static struct name_host h;

START_TEST(answer_then_connect)
{
	const struct agentsh_ebpf_event *event;
	struct agentsh_ebpf_name name;

	name_open(&h, 0, NULL);
	ck_assert_int_eq(name_ask(&h, 7, 100, 1, "Api.Example.ORG"), 0);
	ck_assert_int_eq(name_answer(&h, 7, 100, 1, "api.example.org", ADDRESS), 0);
	h.now += NAME_SECOND;
	event = name_connect(&h, 8, 100, ADDRESS);
	name = name_of(&h, event);
	ck_assert_str_eq(name.asked, "api.example.org");
	ck_assert_str_eq(name.owner, "api.example.org");
	ck_assert_str_eq(name.server_name, "");
	ck_assert_uint_eq(name.source, AGENTSH_EBPF_NAME_DNS);
	ck_assert_uint_eq(name.server_name_source, AGENTSH_EBPF_NAME_NONE);
	ck_assert_uint_eq(name.flags, 0);
	ck_assert_uint_eq(name.others, 0);
	ck_assert_uint_eq(name.asker_tgid, 100);
	ck_assert_uint_eq(name.age_ns, NAME_SECOND);
	ck_assert_uint_eq(name.ttl_ns, 60 * NAME_SECOND);
	ck_assert_uint_eq(name.resolver.family, AF_INET);
	ck_assert_uint_eq(name.resolver.port, 53);
	ck_assert_mem_eq(name.resolver.addr, "\x0a\0\0\x35", 4);
	ck_assert_uint_eq(name_connect(&h, 9, 100, ADDRESS + 1)->name_id, 0);
	ck_assert_uint_eq(NAME_STATS(&h).answers, 1);
	ck_assert_uint_eq(NAME_STATS(&h).delivered, 2); /* packets are no events */
	name_close(&h);
}
END_TEST

START_TEST(chain)
{
	const struct agentsh_ebpf_event event =
		name_event(&h, AGENTSH_EBPF_EVENT_DNS_ANSWER, 7, 100, NAME_SERVER, 53);
	struct agentsh_ebpf_event answer = event;
	struct agentsh_ebpf_name name;
	struct dns_builder b;

	name_open(&h, 0, NULL);
	answer.timestamp_ns = h.now;
	name_ask(&h, 7, 100, 1, "www.example.org");
	dns_begin(&b, 1, DNS_ANSWER, "www.example.org", DNS_TYPE_A);
	dns_cname(&b, "www.example.org", 300, "edge.example.net");
	dns_a(&b, "edge.example.net", 20, ADDRESS);
	dns_a(&b, "edge.example.net", 30, ADDRESS + 1);
	name_datagram(&h, &answer, &b);
	for (uint32_t i = 0; i < 2; i++) {
		name = name_of(&h, name_connect(&h, 8 + i, 100, ADDRESS + i));
		ck_assert_str_eq(name.asked, "www.example.org");
		ck_assert_str_eq(name.owner, "edge.example.net");
		ck_assert_uint_eq(name.ttl_ns, 20 * NAME_SECOND);
	}
	name_close(&h);
}
END_TEST

/* Of a shared address, each process has the name that it asked for last. */
START_TEST(shared_address)
{
	struct agentsh_ebpf_name name;

	name_open(&h, 0, NULL);
	name_resolve(&h, 100, "one.example", ADDRESS);
	name_resolve(&h, 200, "two.example", ADDRESS);
	name_resolve(&h, 300, "one.example", ADDRESS);
	name = name_of(&h, name_connect(&h, 1, 100, ADDRESS));
	ck_assert_str_eq(name.asked, "one.example");
	ck_assert_uint_eq(name.flags, FLAG(SHARED));
	ck_assert_uint_eq(name.others, 1);
	name = name_of(&h, name_connect(&h, 2, 200, ADDRESS));
	ck_assert_str_eq(name.asked, "two.example");
	ck_assert_uint_eq(name.flags, FLAG(SHARED));
	name = name_of(&h, name_connect(&h, 3, 400, ADDRESS));
	ck_assert_str_eq(name.asked, "one.example");
	ck_assert_uint_eq(name.flags, FLAG(SHARED) | FLAG(OTHER_PROCESS));
	ck_assert_uint_eq(name.asker_tgid, 300);
	name_resolve(&h, 100, "two.example", ADDRESS);
	NAME_EXPECT(&h, name_connect(&h, 4, 100, ADDRESS), "two.example");
	name_close(&h);
}
END_TEST

START_TEST(expired)
{
	struct agentsh_ebpf_name name;

	name_open(&h, 0, NULL);
	name_resolve(&h, 100, "one.example", ADDRESS);
	h.now += 60 * NAME_SECOND;
	ck_assert_uint_eq(name_of(&h, name_connect(&h, 1, 100, ADDRESS)).flags, 0);
	h.now++;
	name = name_of(&h, name_connect(&h, 2, 100, ADDRESS));
	ck_assert_uint_eq(name.flags, FLAG(EXPIRED));
	ck_assert_uint_eq(name.age_ns, 60 * NAME_SECOND + 1);
	name_resolve(&h, 100, "one.example", ADDRESS);
	ck_assert_uint_eq(name_of(&h, name_connect(&h, 3, 100, ADDRESS)).flags, 0);
	name_close(&h);
}
END_TEST

/* All events of a connection have the name of its connect(), also a name that it had not. */
START_TEST(connection_keeps_its_name)
{
	static const uint32_t kinds[] = {
		AGENTSH_EBPF_EVENT_CONNECTED,
		AGENTSH_EBPF_EVENT_FIRST_DATA,
		AGENTSH_EBPF_EVENT_PROGRESS,
		AGENTSH_EBPF_EVENT_CLOSED,
	};

	name_open(&h, 0, NULL);
	name_resolve(&h, 100, "other.example", ADDRESS + 1);
	ck_assert_uint_eq(name_connect(&h, 1, 100, ADDRESS)->name_id, 0);
	name_resolve(&h, 100, "first.example", ADDRESS);
	NAME_EXPECT(&h, name_connect(&h, 2, 100, ADDRESS), "first.example");
	name_resolve(&h, 100, "second.example", ADDRESS);
	for (size_t i = 0; i < UNIT_COUNT(kinds); i++) {
		struct agentsh_ebpf_event event = name_event(&h, kinds[i], 1, 100, ADDRESS, 443);

		ck_assert_uint_eq(name_deliver(&h, h.session, &event)->name_id, 0);
		event.socket_cookie = 2;
		NAME_EXPECT(&h, name_deliver(&h, h.session, &event), "first.example");
	}
	/* the end of the connection is the end of what was kept */
	ck_assert_uint_eq(agentsh_names_table(&h.tracer->ring.names, 0, 1)->sockets.count, 0);
	name_close(&h);
}
END_TEST

/* A peer that connects is no destination; and AF_UNIX has no address. */
START_TEST(no_destination)
{
	struct agentsh_ebpf_event event;

	name_open(&h, 0, NULL);
	name_resolve(&h, 100, "one.example", ADDRESS);
	event = name_event(&h, AGENTSH_EBPF_EVENT_ACCEPTED, 1, 100, ADDRESS, 443);
	event.flags = AGENTSH_EBPF_FLAG_INBOUND;
	ck_assert_uint_eq(name_deliver(&h, h.session, &event)->name_id, 0);
	event = name_event(&h, AGENTSH_EBPF_EVENT_CONNECT, 1, 100, ADDRESS, 443);
	event.family = 1;
	ck_assert_uint_eq(name_deliver(&h, h.session, &event)->name_id, 0);
	name_close(&h);
}
END_TEST

START_TEST(sessions_do_not_mix)
{
	struct agentsh_ebpf_session *second;
	struct agentsh_ebpf_event event;
	struct agentsh_ebpf_name name = {.size = sizeof(name)};

	name_open(&h, 0, NULL);
	second = unit_attach(h.tracer, 2);
	name_resolve(&h, 100, "one.example", ADDRESS);
	event = name_event(&h, AGENTSH_EBPF_EVENT_CONNECT, 1, 100, ADDRESS, 443);
	ck_assert_uint_eq(name_deliver(&h, second, &event)->name_id, 0);
	NAME_EXPECT(&h, name_deliver(&h, h.session, &event), "one.example");
	ck_assert_int_eq(
		agentsh_ebpf_session_name_lookup(second, AF_INET, event.remote_addr, 0, &name),
		-ENOENT);
	ck_assert_uint_eq(unit_session_stats(second).answers, 0);
	ck_assert_uint_eq(unit_tracer_stats(h.tracer).answers, 1);
	name_close(&h);
}
END_TEST

/* Events that are delivered after detach have their names; the next session has none of them. */
START_TEST(detached)
{
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_event event, got[4];
	struct agentsh_ebpf_name name = {.size = sizeof(name)};

	name_open(&h, 0, NULL);
	name_resolve(&h, 100, "one.example", ADDRESS);
	event = name_event(&h, AGENTSH_EBPF_EVENT_CONNECT, 1, 100, ADDRESS, 443);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(agentsh_ebpf_inject(h.session, &event), 0);
	ck_assert_int_eq(agentsh_ebpf_session_detach(h.session), 0);
	ck_assert_int_eq(
		agentsh_ebpf_session_name_lookup(h.session, AF_INET, event.remote_addr, 0, &name),
		-EINVAL);
	session = unit_attach(h.tracer, 2);
	ck_assert_int_eq(agentsh_ebpf_inject(session, &event), 0);
	ck_assert_int_eq(agentsh_ebpf_read(h.tracer, got, 4, 0), 3);
	NAME_EXPECT(&h, &got[0], "one.example");
	NAME_EXPECT(&h, &got[1], "one.example");
	ck_assert_uint_eq(got[2].name_id, 0);
	ck_assert_int_eq(agentsh_ebpf_read(h.tracer, got + 1, 1, 0), 0);
	ck_assert_int_eq(agentsh_ebpf_event_name(h.tracer, &got[0], &name), -ENOENT);
	ck_assert_ptr_null(agentsh_names_table(&h.tracer->ring.names, 0, 1));
	ck_assert_uint_eq(unit_tracer_stats(h.tracer).answers, 1);
	name_close(&h);
}
END_TEST

/* ---- names of servers ----------------------------------------------------------- */

/* The first data of a connection; begins says whether the record is its first. */
static int send_data(uint64_t cookie, uint32_t sequence, const void *data, size_t size, bool begins)
{
	const struct agentsh_ebpf_event event =
		name_event(&h, AGENTSH_EBPF_EVENT_SERVER_NAME, cookie, 100, ADDRESS, 443);
	const struct agentsh_packet packet = {
		.data = data,
		.captured = (uint32_t)size,
		.length = (uint32_t)size,
		.sequence = sequence,
		.segment = begins,
	};

	return name_packet(&h, h.session, &event, &packet);
}

static int send_first(uint64_t cookie, uint32_t sequence, const void *data, size_t size)
{
	return send_data(cookie, sequence, data, size, true);
}

/* A record that was lost before may have hidden the beginning. */
START_TEST(server_name_in_the_middle)
{
	const char request[] = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";

	name_open(&h, 0, NULL);
	ck_assert_int_eq(send_data(1, 1, request, sizeof(request) - 1, false), 0);
	ck_assert_int_eq(send_data(1, 1, request, sizeof(request) - 1, true), 0);
	name_close(&h);
}
END_TEST

START_TEST(server_name)
{
	struct agentsh_ebpf_event closed;
	struct agentsh_ebpf_name name;
	struct hello hello;

	hello_begin(&hello);
	hello_sni(&hello, "front.example");
	hello_alpn(&hello, "\2h2\10http/1.1");
	hello_end(&hello, 16384);
	name_open(&h, 0, NULL);
	name_resolve(&h, 100, "one.example", ADDRESS);
	name_connect(&h, 1, 100, ADDRESS);
	ck_assert_int_eq(send_first(1, UINT32_MAX - 2, hello.bytes, 5), 0);
	ck_assert_int_eq(send_first(1, 2, hello.bytes + 5, hello.size - 5), 1);
	ck_assert_uint_eq(h.events[1].kind, AGENTSH_EBPF_EVENT_SERVER_NAME);
	/* once per connection */
	ck_assert_int_eq(send_first(1, 2 + (uint32_t)hello.size, hello.bytes, hello.size), 0);
	closed = name_event(&h, AGENTSH_EBPF_EVENT_CLOSED, 1, 100, ADDRESS, 443);
	name_deliver(&h, h.session, &closed);
	ck_assert_uint_eq(name_of(&h, &h.events[0]).server_name_source, AGENTSH_EBPF_NAME_NONE);
	for (int i = 1; i < 3; i++) {
		name = name_of(&h, &h.events[i]);
		ck_assert_str_eq(name.asked, "one.example");
		ck_assert_str_eq(name.server_name, "front.example");
		ck_assert_str_eq(name.alpn, "h2,http/1.1");
		ck_assert_uint_eq(name.server_name_source, AGENTSH_EBPF_NAME_TLS);
		ck_assert_uint_eq(name.flags, FLAG(DIFFERS));
	}
	ck_assert_uint_eq(NAME_STATS(&h).delivered, 3);
	name_close(&h);
}
END_TEST

/* Without a DNS name there is still the name of the server. */
START_TEST(server_name_alone)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: one.example\r\n\r\n";
	struct agentsh_ebpf_name name;

	name_open(&h, 0, NULL);
	name_connect(&h, 1, 100, ADDRESS);
	ck_assert_int_eq(send_first(1, 1, request, sizeof(request) - 1), 1);
	name = name_of(&h, &h.events[1]);
	ck_assert_uint_eq(name.source, AGENTSH_EBPF_NAME_NONE);
	ck_assert_uint_eq(name.server_name_source, AGENTSH_EBPF_NAME_HTTP);
	ck_assert_str_eq(name.server_name, "one.example");
	ck_assert_str_eq(name.asked, "");
	ck_assert_uint_eq(name.flags, 0);
	name_close(&h);
}
END_TEST

/* A socket may connect again: that is another connection. */
START_TEST(server_name_again)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: one.example\r\n\r\n";

	name_open(&h, 0, NULL);
	for (int i = 0; i < 2; i++) {
		name_connect(&h, 1, 100, ADDRESS);
		ck_assert_uint_eq(h.events[2 * i].name_id, 0);
		ck_assert_int_eq(send_first(1, 1, request, sizeof(request) - 1), 1);
		ck_assert_int_eq(send_first(1, 1, request, sizeof(request) - 1), 0);
	}
	name_close(&h);
}
END_TEST

/* Data that is no first data names nothing, whatever follows. */
START_TEST(no_server_name)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: one.example\r\n\r\n";

	name_open(&h, 0, NULL);
	ck_assert_int_eq(send_first(1, 1, "\1\2\3\4\5\6", 6), 0);
	ck_assert_int_eq(send_first(1, 7, request, sizeof(request) - 1), 0);
	name_close(&h);
}
END_TEST

/* ---- AF_UNIX -------------------------------------------------------------------- */

static const struct agentsh_ebpf_event *connect_unix(const void *path, uint32_t size)
{
	const struct agentsh_ebpf_event put = {
		.kind = AGENTSH_EBPF_EVENT_UNIX_CONNECT,
		.timestamp_ns = h.now,
		.tgid = 100,
		.family = 1,
	};
	struct agentsh_record_unix record = {.path_len = size};
	struct agentsh_record_outcome outcome;
	int before = h.batch.count;

	agentsh_encode(&put, &agentsh_handle_session(h.session)->state, &outcome);
	record.base = outcome.base;
	memcpy(record.path, path, size < sizeof(record.path) ? size : sizeof(record.path));
	agentsh_deliver_record(&h.tracer->ring, &record, sizeof(record));
	return h.batch.count > before ? &h.events[before] : NULL;
}

START_TEST(unix_sockets)
{
	char longest[112], expected[256];
	struct agentsh_ebpf_name name;

	name_open(&h, 0, NULL);
	name = name_of(&h, connect_unix("/run/x.sock\0garbage", 19));
	ck_assert_str_eq(name.asked, "/run/x.sock");
	ck_assert_uint_eq(name.source, AGENTSH_EBPF_NAME_UNIX);
	ck_assert_uint_eq(name.flags, 0);
	NAME_EXPECT(&h, connect_unix("\0bus\0\n\x7f\\", 8), "@bus\\000\\010\\127\\092");
	NAME_EXPECT(&h, connect_unix("@a@", 3), "\\064a@"); /* a path, no abstract name */
	ck_assert_uint_eq(connect_unix("", 0)->name_id, 0);
	memset(longest, 1, sizeof(longest));
	name = name_of(&h, connect_unix(longest, 108));
	for (int i = 0; i < 63; i++)
		memcpy(expected + 4 * i, "\\001", 5);
	ck_assert_str_eq(name.asked, expected);
	ck_assert_uint_eq(name.flags, FLAG(CUT));
	ck_assert_ptr_null(connect_unix(longest, 113));
	ck_assert_uint_eq(unit_tracer_stats(h.tracer).malformed, 1);
	ck_assert_uint_eq(NAME_STATS(&h).delivered, 5);
	name_close(&h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_events");
	TCase *tcase = unit_case(suite, "name_events");

	tcase_add_test(tcase, answer_then_connect);
	tcase_add_test(tcase, chain);
	tcase_add_test(tcase, shared_address);
	tcase_add_test(tcase, expired);
	tcase_add_test(tcase, connection_keeps_its_name);
	tcase_add_test(tcase, no_destination);
	tcase_add_test(tcase, sessions_do_not_mix);
	tcase_add_test(tcase, detached);
	tcase_add_test(tcase, server_name);
	tcase_add_test(tcase, server_name_in_the_middle);
	tcase_add_test(tcase, server_name_alone);
	tcase_add_test(tcase, server_name_again);
	tcase_add_test(tcase, no_server_name);
	tcase_add_test(tcase, unix_sockets);
	return unit_main(suite);
}
