/* SPDX-License-Identifier: Apache-2.0 */
/* Answers over TCP of a trusted name server: what was not seen from its beginning is not trusted.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "name_harness.h"
#include "names/packet.h"
#include "names/stream.h"

#define ADDRESS 0xc0000201 /* 192.0.2.1 */
#define COOKIE 7
#define TGID 100
#define START 0xfffffff0U /* sequence numbers near this one wrap around */
#define TXT 16
#define FILLER 250

static struct name_host h;

static const struct agentsh_ebpf_session_options trusting = {
	.size = sizeof(trusting),
	.trusted_resolvers = {{.family = AF_INET, .addr = {10, 0, 0, 53}}},
};

static int send_bytes(uint32_t kind, size_t at, const void *data, size_t size, bool begins)
{
	struct agentsh_ebpf_event event = name_event(&h, kind, COOKIE, TGID, NAME_SERVER, 53);
	const struct agentsh_packet packet = {
		.data = data,
		.captured = (uint32_t)size,
		.length = (uint32_t)size,
		.sequence = START + (uint32_t)at,
		.segment = begins, /* the connection begins with this record */
	};

	event.protocol = IPPROTO_TCP;
	event.socket_type = SOCK_STREAM;
	return name_packet(&h, h.session, &event, &packet);
}

/* Appends a message behind its length. */
static void frame(struct dns_builder *to, const struct dns_builder *message)
{
	dns_put16(to, (uint16_t)message->size);
	dns_put(to, message->bytes, message->size);
}

/* Sends the question number id behind the earlier ones; the first one is 0. */
static void ask(uint16_t id, const char *name)
{
	static size_t at;
	struct dns_builder b, framed = {0};

	if (!id)
		at = 0;
	dns_begin(&b, id, DNS_QUERY, name, DNS_TYPE_A);
	frame(&framed, &b);
	ck_assert_int_eq(
		send_bytes(AGENTSH_EBPF_EVENT_DNS_QUERY, at, framed.bytes, framed.size, !id), 0);
	at += framed.size;
}

static void frame_answer(struct dns_builder *to, uint16_t id, const char *name)
{
	struct dns_builder b;

	dns_begin(&b, id, DNS_ANSWER, name, DNS_TYPE_A);
	dns_a(&b, name, 60, ADDRESS + id);
	frame(to, &b);
}

static int answer(size_t at, const void *data, size_t size, bool begins)
{
	return send_bytes(AGENTSH_EBPF_EVENT_DNS_ANSWER, at, data, size, begins);
}

static uint32_t dns_flags(const struct agentsh_ebpf_event *event)
{
	struct agentsh_ebpf_dns dns = {.size = sizeof(dns)};

	ck_assert_int_eq(agentsh_ebpf_event_dns(h.tracer, event, &dns), 0);
	return dns.flags;
}

static void expect_answers(uint64_t trusted, uint64_t untrusted, uint64_t malformed)
{
	const struct agentsh_ebpf_stats stats = NAME_STATS(&h);

	ck_assert_uint_eq(stats.answers, trusted);
	ck_assert_uint_eq(stats.answers_untrusted, untrusted);
	ck_assert_uint_eq(stats.answers_malformed, malformed);
	ck_assert_uint_eq(stats.answers_unasked, 0);
}

/* The address of the answer number id has this name; NULL: none. */
static void expect_name(uint16_t id, const char *name)
{
	const struct agentsh_ebpf_event *event =
		name_connect(&h, COOKIE + 1U + id, TGID, ADDRESS + id);

	if (name)
		NAME_EXPECT(&h, event, name);
	else
		ck_assert_uint_eq(event->name_id, 0);
}

/* Two answers from the beginning of the connection, in pieces. */
START_TEST(whole)
{
	static const size_t pieces[] = {1, 2, 3, 45, 1000};
	const size_t piece = pieces[_i];
	struct dns_builder framed = {0};
	int events = 0;

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, &trusting);
	ask(0, "one.example");
	ask(1, "two.example");
	frame_answer(&framed, 0, "one.example");
	frame_answer(&framed, 1, "two.example");
	for (size_t at = 0; at < framed.size; at += piece)
		events += answer(at, framed.bytes + at,
				 framed.size - at < piece ? framed.size - at : piece, !at);
	ck_assert_int_eq(events, 2);
	ck_assert_uint_eq(dns_flags(&h.events[0]), AGENTSH_EBPF_DNS_FLAG_TCP);
	ck_assert_uint_eq(dns_flags(&h.events[1]), AGENTSH_EBPF_DNS_FLAG_TCP);
	expect_answers(2, 0, 0);
	expect_name(0, "one.example");
	expect_name(1, "two.example");
	name_close(&h);
}
END_TEST

/*
 * The records of the beginning were lost. What looks like an answer may be the content of another
 * one, which its owner has chosen. _i 1: a session that trusts every name server takes it.
 */
START_TEST(in_the_middle)
{
	struct dns_builder framed = {0};

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, _i ? NULL : &trusting);
	ask(0, "one.example");
	frame_answer(&framed, 0, "one.example");
	ck_assert_int_eq(answer(100, framed.bytes, framed.size, false), 1);
	NAME_EXPECT(&h, &h.events[0], "one.example");
	ck_assert_uint_eq(dns_flags(&h.events[0]),
			  AGENTSH_EBPF_DNS_FLAG_TCP | (_i ? 0 : AGENTSH_EBPF_DNS_FLAG_UNTRUSTED));
	expect_answers((uint64_t)_i, !_i, 0);
	expect_name(0, _i ? "one.example" : NULL);
	name_close(&h);
}
END_TEST

/* After a lost segment the next one may begin within a message. Nothing behind it is trusted. */
START_TEST(lost_segment)
{
	struct dns_builder framed = {0};
	size_t far = 2 * AGENTSH_STREAM_MAX;

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, &trusting);
	for (uint16_t i = 0; i < 3; i++)
		ask(i, "one.example");
	frame_answer(&framed, 0, "one.example");
	/* a message of 8 KiB begins, and none of its rest is seen that the stream could hold */
	ck_assert_int_eq(answer(0, framed.bytes, framed.size, true), 1);
	ck_assert_int_eq(answer(framed.size, "\x20\0 of which this is the beginning", 33, false),
			 0);
	ck_assert_int_eq(answer(far, "the rest", 8, false), 0);
	for (uint16_t i = 1; i < 3; i++) {
		framed.size = 0;
		frame_answer(&framed, i, "one.example");
		ck_assert_int_eq(
			answer(far + 8 + (i - 1U) * framed.size, framed.bytes, framed.size, false),
			1);
		ck_assert_uint_eq(dns_flags(&h.events[i]),
				  AGENTSH_EBPF_DNS_FLAG_TCP | AGENTSH_EBPF_DNS_FLAG_UNTRUSTED);
	}
	expect_answers(1, 2, 0);
	expect_name(0, "one.example");
	expect_name(1, NULL);
	expect_name(2, NULL);
	name_close(&h);
}
END_TEST

/* Bytes that are no message: where the next one begins is not known. */
START_TEST(no_message)
{
	struct dns_builder framed = {0};

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, &trusting);
	ask(0, "one.example");
	ck_assert_int_eq(answer(0, "\0\13too short..", 14, true), 0);
	expect_answers(0, 0, 1);
	frame_answer(&framed, 0, "one.example");
	ck_assert_int_eq(answer(14, framed.bytes, framed.size, false), 1);
	expect_answers(0, 1, 1);
	expect_name(0, NULL);
	name_close(&h);
}
END_TEST

/* A message that the stream cannot hold is trusted as far as it was seen, like the next one. */
START_TEST(cut)
{
	static const char filler[FILLER] = {(char)(FILLER - 1)};
	struct dns_builder b, framed = {0};
	size_t end;
	int events = 0;

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, &trusting);
	ask(0, "one.example");
	ask(1, "two.example");
	dns_begin(&b, 0, DNS_ANSWER, "one.example", DNS_TYPE_A);
	dns_a(&b, "one.example", 60, ADDRESS);
	for (int i = 0; i < 20; i++)
		dns_record(&b, "one.example", TXT, 60, filler, FILLER);
	dns_a(&b, "one.example", 60, ADDRESS + 2); /* behind what the stream holds */
	ck_assert_uint_gt(b.size, AGENTSH_STREAM_MAX + 1000);
	frame(&framed, &b);
	end = framed.size;
	for (size_t at = 0; at < end; at += 1000)
		events += answer(at, framed.bytes + at, end - at < 1000 ? end - at : 1000, !at);
	ck_assert_int_eq(events, 1);
	ck_assert_uint_eq(dns_flags(&h.events[0]),
			  AGENTSH_EBPF_DNS_FLAG_TCP | AGENTSH_EBPF_DNS_FLAG_CUT);
	frame_answer(&framed, 1, "two.example");
	ck_assert_int_eq(answer(end, framed.bytes + end, framed.size - end, false), 1);
	ck_assert_uint_eq(dns_flags(&h.events[1]), AGENTSH_EBPF_DNS_FLAG_TCP);
	expect_answers(2, 0, 0);
	expect_name(0, "one.example");
	expect_name(1, "two.example");
	expect_name(2, NULL);
	name_close(&h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_tcp");
	TCase *tcase = unit_case(suite, "name_tcp");

	tcase_add_loop_test(tcase, whole, 0, 5);
	tcase_add_loop_test(tcase, in_the_middle, 0, 2);
	tcase_add_test(tcase, lost_segment);
	tcase_add_test(tcase, no_message);
	tcase_add_test(tcase, cut);
	return unit_main(suite);
}
