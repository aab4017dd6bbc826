/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that nobody asked for, and records that lie about their size. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "name_harness.h"
#include "names/packet.h"
#include "ring/decode.h"

#define ADDRESS 0xc0000201 /* 192.0.2.1 */
#define EVIL 0xcb007101	   /* 203.0.113.1 */
#define COOKIE 7
#define TGID 100
#define ID 0x1234

static struct name_host h;

/* Changes one thing about the answer to a question for "one.example" at a time. */
static const struct attack {
	const char *what;
	uint64_t cookie;
	uint32_t server;
	uint16_t port;
	uint16_t id;
	const char *asked;
	uint16_t type;
	uint64_t delay;
	uint32_t protocol;
} attacks[] = {
	{"other id", COOKIE, NAME_SERVER, 53, ID + 1, "one.example", DNS_TYPE_A, 1, IPPROTO_UDP},
	{"other socket", 8, NAME_SERVER, 53, ID, "one.example", DNS_TYPE_A, 1, IPPROTO_UDP},
	{"other server", COOKIE, EVIL, 53, ID, "one.example", DNS_TYPE_A, 1, IPPROTO_UDP},
	{"other port", COOKIE, NAME_SERVER, 5353, ID, "one.example", DNS_TYPE_A, 1, IPPROTO_UDP},
	{"other name", COOKIE, NAME_SERVER, 53, ID, "two.example", DNS_TYPE_A, 1, IPPROTO_UDP},
	{"longer name", COOKIE, NAME_SERVER, 53, ID, "one.example.org", DNS_TYPE_A, 1, IPPROTO_UDP},
	{"other type", COOKIE, NAME_SERVER, 53, ID, "one.example", DNS_TYPE_AAAA, 1, IPPROTO_UDP},
	{"too late", COOKIE, NAME_SERVER, 53, ID, "one.example", DNS_TYPE_A, 5 * NAME_SECOND + 1,
	 IPPROTO_UDP},
};

static const struct attack right = {
	"none", COOKIE, NAME_SERVER, 53, ID, "one.example", DNS_TYPE_A, 1, IPPROTO_UDP,
};

static struct agentsh_ebpf_event answer_event(const struct attack *a)
{
	struct agentsh_ebpf_event event =
		name_event(&h, AGENTSH_EBPF_EVENT_DNS_ANSWER, a->cookie, TGID, a->server, a->port);

	event.timestamp_ns += a->delay;
	event.protocol = (uint16_t)a->protocol;
	return event;
}

static int send_answer(const struct attack *a, uint32_t flags)
{
	struct agentsh_ebpf_event event = answer_event(a);
	struct dns_builder b;

	event.flags = flags;
	dns_begin(&b, a->id, DNS_ANSWER, a->asked, a->type);
	dns_a(&b, a->asked, 60, EVIL);
	return name_datagram(&h, &event, &b);
}

START_TEST(forged)
{
	const struct attack *a = &attacks[_i];

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
	name_ask(&h, COOKIE, TGID, ID, "one.example");
	ck_assert_msg(!send_answer(a, 0), "%s: an event", a->what);
	ck_assert_msg(NAME_STATS(&h).answers_unasked == 1, "%s: not counted", a->what);
	ck_assert_uint_eq(NAME_STATS(&h).answers, 0);
	ck_assert_uint_eq(name_connect(&h, 9, TGID, EVIL)->name_id, 0);
	/* the forgery has not used up the question */
	ck_assert_int_eq(name_answer(&h, COOKIE, TGID, ID, "ONE.example", ADDRESS), 1);
	NAME_EXPECT(&h, name_connect(&h, 10, TGID, ADDRESS), "one.example");
	name_close(&h);
}
END_TEST

/* A socket that was there before the session need not have asked; but if it did, answers match. */
START_TEST(forged_to_an_earlier_socket)
{
	const struct attack *a = &attacks[_i];
	bool other_socket = a->cookie != COOKIE;

	name_open(&h, 0, NULL);
	name_ask(&h, COOKIE, TGID, ID, "one.example");
	send_answer(a, AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	ck_assert_msg(NAME_STATS(&h).answers == other_socket, "%s", a->what);
	ck_assert_msg(NAME_STATS(&h).answers_unasked == !other_socket, "%s", a->what);
	/* nor does it help to come after the right answer */
	send_answer(&right, AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	ck_assert_uint_eq(NAME_STATS(&h).answers, other_socket + 1);
	send_answer(a, AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	send_answer(&right, AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	ck_assert_uint_eq(NAME_STATS(&h).answers, 2 * other_socket + 1);
	name_close(&h);
}
END_TEST

START_TEST(unasked)
{
	struct agentsh_ebpf_dns dns = {.size = sizeof(dns)};
	struct agentsh_ebpf_name name;

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
	ck_assert_int_eq(send_answer(&attacks[0], AGENTSH_EBPF_FLAG_UNATTRIBUTED), 1);
	ck_assert_int_eq(agentsh_ebpf_event_dns(h.tracer, &h.events[0], &dns), 0);
	ck_assert_uint_eq(dns.flags, AGENTSH_EBPF_DNS_FLAG_UNASKED);
	ck_assert_uint_eq(h.events[0].duration_ns, 0);
	name = name_of(&h, name_connect(&h, 9, TGID, EVIL));
	ck_assert_str_eq(name.asked, "one.example");
	ck_assert_uint_eq(name.flags, AGENTSH_EBPF_NAME_FLAG_UNASKED);
	ck_assert_uint_eq(name.asker_tgid, 0);
	name_close(&h);
}
END_TEST

/* A question from before the session has had its answer, or none, after the timeout. */
START_TEST(unasked_only_at_first)
{
	name_open(&h, 0, NULL);
	h.now += 5 * NAME_SECOND - NAME_SECOND / 2;
	send_answer(&attacks[0], AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	ck_assert_uint_eq(NAME_STATS(&h).answers, 1);
	h.now += NAME_SECOND;
	send_answer(&attacks[1], AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	ck_assert_uint_eq(NAME_STATS(&h).answers, 1);
	ck_assert_uint_eq(NAME_STATS(&h).answers_unasked, 1);
	name_close(&h);
}
END_TEST

/* A process does not get the names of an earlier process with the same number as its own. */
START_TEST(process_number_again)
{
	struct agentsh_ebpf_event event;
	struct agentsh_ebpf_name name;
	struct dns_builder b;

	name_open(&h, 0, NULL);
	event = name_event(&h, AGENTSH_EBPF_EVENT_DNS_QUERY, COOKIE, TGID, NAME_SERVER, 53);
	event.process_start_ns = NAME_SECOND;
	dns_begin(&b, ID, DNS_QUERY, "one.example", DNS_TYPE_A);
	ck_assert_int_eq(name_datagram(&h, &event, &b), 0);
	ck_assert_int_eq(name_answer(&h, COOKIE, TGID, ID, "one.example", ADDRESS), 0);
	for (uint64_t start = 1; start <= 2; start++) {
		event = name_event(&h, AGENTSH_EBPF_EVENT_CONNECT, COOKIE + start, TGID, ADDRESS,
				   443);
		event.process_start_ns = start * NAME_SECOND;
		name = name_of(&h, name_deliver(&h, h.session, &event));
		ck_assert_str_eq(name.asked, "one.example");
		ck_assert_uint_eq(name.flags,
				  start == 1 ? 0 : AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS);
	}
	name_close(&h);
}
END_TEST

START_TEST(duplicate)
{
	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
	name_ask(&h, COOKIE, TGID, ID, "one.example");
	ck_assert_int_eq(name_answer(&h, COOKIE, TGID, ID, "one.example", ADDRESS), 1);
	ck_assert_int_eq(name_answer(&h, COOKIE, TGID, ID, "one.example", EVIL), 0);
	ck_assert_uint_eq(NAME_STATS(&h).answers_unasked, 1);
	ck_assert_uint_eq(name_connect(&h, 9, TGID, EVIL)->name_id, 0);
	name_close(&h);
}
END_TEST

static const struct agentsh_ebpf_address trusted[] = {
	{.family = AF_INET, .addr = {10, 0, 0, 53}},
	{.family = AF_INET, .port = 53, .addr = {10, 0, 0, 53}},
	{.family = AF_INET6, .addr = {[10] = 0xff, 0xff, 10, 0, 0, 53}},
};

START_TEST(untrusted)
{
	const struct agentsh_ebpf_session_options o = {
		.size = sizeof(o),
		.trusted_resolvers = {[3] = trusted[_i]},
	};
	struct attack a = attacks[2];
	struct agentsh_ebpf_event question;
	struct agentsh_ebpf_dns dns = {.size = sizeof(dns)};
	struct dns_builder b;

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, &o);
	question = name_event(&h, AGENTSH_EBPF_EVENT_DNS_QUERY, COOKIE, TGID, EVIL, 53);
	dns_begin(&b, ID, DNS_QUERY, "one.example", DNS_TYPE_A);
	name_datagram(&h, &question, &b);
	ck_assert_int_eq(send_answer(&a, 0), 1);
	ck_assert_int_eq(agentsh_ebpf_event_dns(h.tracer, &h.events[0], &dns), 0);
	ck_assert_uint_eq(dns.flags, AGENTSH_EBPF_DNS_FLAG_UNTRUSTED);
	NAME_EXPECT(&h, &h.events[0], "one.example");
	ck_assert_uint_eq(name_connect(&h, 9, TGID, EVIL)->name_id, 0);
	ck_assert_uint_eq(NAME_STATS(&h).answers_untrusted, 1);
	ck_assert_uint_eq(NAME_STATS(&h).answers, 0);
	name_resolve(&h, TGID, "two.example", ADDRESS);
	NAME_EXPECT(&h, name_connect(&h, 10, TGID, ADDRESS), "two.example");
	name_close(&h);
}
END_TEST

/* captured says how much of the record is the packet; more than the record has is refused. */
START_TEST(sizes)
{
	static const size_t rooms[] = {AGENTSH_PACKET_SMALL, AGENTSH_PACKET_LARGE};
	const size_t room = rooms[_i], size = sizeof(struct agentsh_record_packet) + room;
	struct agentsh_record_packet *record = calloc(1, size);
	struct agentsh_ebpf_event event;
	struct agentsh_origin origin;

	ck_assert_ptr_nonnull(record);
	record->base.head.version = AGENTSH_RECORD_VERSION;
	record->base.head.kind = AGENTSH_EBPF_EVENT_DNS_ANSWER;
	record->length = UINT32_MAX;
	for (record->captured = 0; record->captured <= room; record->captured++) {
		ck_assert_int_eq(agentsh_decode(record, size, &event, &origin), 0);
		ck_assert_uint_eq(origin.packet.captured, record->captured);
		ck_assert_ptr_eq(origin.packet.data, record + 1);
		ck_assert_int_eq(origin.type, AGENTSH_RECORD_PACKET);
		ck_assert_uint_eq(origin.ring_bytes, size + 8);
	}
	ck_assert_int_ne(agentsh_decode(record, size, &event, &origin), 0);
	record->captured = UINT32_MAX;
	ck_assert_int_ne(agentsh_decode(record, size, &event, &origin), 0);
	record->captured = 100;
	record->length = 99;
	ck_assert_int_ne(agentsh_decode(record, size, &event, &origin), 0);
	record->length = 100;
	ck_assert_int_eq(agentsh_decode(record, size, &event, &origin), 0);
	for (uint8_t kind = 0; kind < 255; kind++) {
		record->base.head.kind = kind;
		ck_assert_int_eq(!agentsh_decode(record, size, &event, &origin),
				 kind >= AGENTSH_EBPF_EVENT_DNS_QUERY &&
					 kind <= AGENTSH_EBPF_EVENT_SERVER_NAME);
	}
	free(record);
}
END_TEST

/* Several datagrams in one packet are several answers, and each finds its question. */
START_TEST(several_datagrams)
{
	static const char *const names[] = {"aa.example", "bb.example", "cc.example"};
	struct agentsh_ebpf_event event;
	struct agentsh_packet packet = {0};
	struct dns_builder b;
	uint8_t data[4096];

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
	for (uint16_t i = 0; i < 3; i++) {
		name_ask(&h, COOKIE, TGID, i, names[i]);
		dns_begin(&b, i, DNS_ANSWER, names[i], DNS_TYPE_A);
		dns_a(&b, names[i], 60, ADDRESS + i);
		memcpy(data + i * b.size, b.bytes, b.size);
	}
	event = name_event(&h, AGENTSH_EBPF_EVENT_DNS_ANSWER, COOKIE, TGID, NAME_SERVER, 53);
	packet = (struct agentsh_packet){
		.data = data,
		.captured = (uint32_t)(3 * b.size - 1), /* the last one is cut */
		.length = (uint32_t)(3 * b.size),
		.segment = (uint32_t)b.size,
	};
	/* the host's array has room for one event; the others wait for the next batch */
	h.batch.max = 1;
	ck_assert_int_eq(name_packet(&h, h.session, &event, &packet), 1);
	NAME_EXPECT(&h, &h.events[0], names[0]);
	ck_assert(h.batch.full);
	for (int i = 1; i < 3; i++) {
		name_begin(&h);
		h.batch.max = 1;
		agentsh_deliver_ready(&h.tracer->ring);
		ck_assert_int_eq(h.batch.count, 1);
		NAME_EXPECT(&h, &h.events[0], names[i]);
	}
	ck_assert_uint_eq(NAME_STATS(&h).delivered, 3);
	name_close(&h);
}
END_TEST

/* Packets may be split into datagrams of one byte: the work has a limit. */
START_TEST(tiny_datagrams)
{
	struct agentsh_ebpf_event event;
	static const uint8_t data[4096];
	const struct agentsh_packet packet = {
		.data = data,
		.captured = sizeof(data),
		.length = 60000,
		.segment = 1,
	};

	name_open(&h, 0, NULL);
	event = name_event(&h, AGENTSH_EBPF_EVENT_DNS_ANSWER, COOKIE, TGID, NAME_SERVER, 53);
	ck_assert_int_eq(name_packet(&h, h.session, &event, &packet), 0);
	ck_assert_uint_eq(NAME_STATS(&h).answers_malformed, 16);
	ck_assert_uint_eq(NAME_STATS(&h).messages_skipped, 1);
	name_close(&h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_attacks");
	TCase *tcase = unit_case(suite, "name_attacks");

	tcase_add_loop_test(tcase, forged, 0, (int)UNIT_COUNT(attacks));
	tcase_add_loop_test(tcase, forged_to_an_earlier_socket, 0, (int)UNIT_COUNT(attacks));
	tcase_add_test(tcase, unasked);
	tcase_add_test(tcase, unasked_only_at_first);
	tcase_add_test(tcase, process_number_again);
	tcase_add_test(tcase, duplicate);
	tcase_add_loop_test(tcase, untrusted, 0, (int)UNIT_COUNT(trusted));
	tcase_add_loop_test(tcase, sizes, 0, 2);
	tcase_add_test(tcase, several_datagrams);
	tcase_add_test(tcase, tiny_datagrams);
	return unit_main(suite);
}
