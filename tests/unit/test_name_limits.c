/* SPDX-License-Identifier: Apache-2.0 */
/* What a session may make the library keep and do. */
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "name_harness.h"
#include "names/flows.h"
#include "names/packet.h"
#include "names/questions.h"
#include "ring/decode.h"
#include "ring/synthetic.h"

#define ADDRESS 0xc6120000 /* 198.18.0.0 */
#define TGID 100

static struct name_host h;

static const struct agentsh_name_table *table(void)
{
	const struct agentsh_session_state *state = &agentsh_handle_session(h.session)->state;

	return agentsh_names_table(&h.tracer->ring.names, state->slot, state->generation);
}

static void resolve_many(uint32_t count)
{
	char name[64];

	for (uint32_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "host-%u.example.org", i);
		h.now += NAME_SECOND / 1000;
		name_resolve(&h, TGID, name, ADDRESS + i);
	}
}

START_TEST(addresses)
{
	const struct agentsh_ebpf_session_options o = {.size = sizeof(o), .names_max = 16};

	name_open(&h, 0, &o);
	resolve_many(16);
	ck_assert_uint_eq(NAME_STATS(&h).names_evicted, 0);
	NAME_EXPECT(&h, name_connect(&h, 1, TGID, ADDRESS), "host-0.example.org");
	/* the address that was used longest ago makes room */
	name_resolve(&h, TGID, "one.example", ADDRESS + 100);
	ck_assert_uint_eq(NAME_STATS(&h).names_evicted, 1);
	ck_assert_uint_eq(name_connect(&h, 2, TGID, ADDRESS + 1)->name_id, 0);
	NAME_EXPECT(&h, name_connect(&h, 3, TGID, ADDRESS), "host-0.example.org");
	NAME_EXPECT(&h, name_connect(&h, 4, TGID, ADDRESS + 2), "host-2.example.org");
	NAME_EXPECT(&h, name_connect(&h, 5, TGID, ADDRESS + 100), "one.example");
	resolve_many(1000);
	ck_assert_uint_eq(table()->addresses.count, 16);
	ck_assert_uint_eq(NAME_STATS(&h).names_evicted, unit_tracer_stats(h.tracer).names_evicted);
	/* the events of the batch keep their names */
	NAME_EXPECT(&h, &h.events[0], "host-0.example.org");
	NAME_EXPECT(&h, &h.events[4], "one.example");
	name_begin(&h);
	{
		struct agentsh_ebpf_name name = {.size = sizeof(name)};

		ck_assert_int_eq(agentsh_ebpf_event_name(h.tracer, &h.events[0], &name), -2);
	}
	name_close(&h);
}
END_TEST

START_TEST(sockets)
{
	const struct agentsh_ebpf_session_options o = {.size = sizeof(o), .names_max = 16};

	name_open(&h, 0, &o);
	name_resolve(&h, TGID, "one.example", ADDRESS);
	for (uint64_t i = 1; i <= 100; i++)
		NAME_EXPECT(&h, name_connect(&h, i, TGID, ADDRESS), "one.example");
	ck_assert_uint_eq(table()->sockets.count, 16);
	ck_assert_uint_eq(table()->addresses.count, 1);
	name_close(&h);
}
END_TEST

START_TEST(texts)
{
	const struct agentsh_ebpf_session_options o = {.size = sizeof(o), .names_bytes = 4096};
	char name[200];

	name_open(&h, 0, &o);
	for (uint32_t i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%063u.%063u.example", i, i);
		h.now += NAME_SECOND / 1000;
		name_resolve(&h, TGID, name, ADDRESS + i);
		if (i % 2)
			NAME_EXPECT(&h, name_connect(&h, i, TGID, ADDRESS + i), name);
		ck_assert_uint_le(table()->bytes, 4096);
	}
	ck_assert_uint_gt(table()->bytes, 4096 - 2 * 136);
	ck_assert_uint_gt(NAME_STATS(&h).names_evicted, 100);
	name_close(&h);
}
END_TEST

START_TEST(names_per_address)
{
	struct agentsh_ebpf_name name = {.size = sizeof(name)};
	char text[32];
	const uint8_t address[] = {198, 18, 0, 0};

	name_open(&h, 0, NULL);
	ck_assert_int_eq(
		agentsh_ebpf_session_name_seed(h.session, AF_INET, address, "seed.example", 0), 0);
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "host-%u.example", i);
		name_resolve(&h, 1000 + i, text, ADDRESS);
	}
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(h.session, AF_INET, address, 0, &name),
			 9);
	ck_assert_str_eq(name.asked, "seed.example");
	ck_assert_uint_eq(name.others, 8);
	for (uint32_t i = 1; i < 9; i++) {
		snprintf(text, sizeof(text), "host-%u.example", 20 - i);
		ck_assert_int_eq(
			agentsh_ebpf_session_name_lookup(h.session, AF_INET, address, i, &name), 9);
		ck_assert_str_eq(name.asked, text);
	}
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(h.session, AF_INET, address, 9, &name),
			 -2);
	ck_assert_uint_eq(NAME_STATS(&h).names_evicted, 12);
	name_close(&h);
}
END_TEST

START_TEST(questions)
{
	name_open(&h, 0, NULL);
	for (uint16_t i = 0; i < 100; i++)
		name_ask(&h, 1, TGID, i, "one.example");
	ck_assert_uint_eq(table()->question_count, AGENTSH_QUESTIONS_PER_SOCKET);
	for (uint16_t i = 0; i < 1000; i++)
		name_ask(&h, 2 + i, TGID, i, "one.example");
	ck_assert_uint_eq(table()->question_count, AGENTSH_QUESTIONS);
	/* the newest are kept */
	name_answer(&h, 1001, TGID, 999, "one.example", ADDRESS);
	name_answer(&h, 2, TGID, 0, "one.example", ADDRESS);
	ck_assert_uint_eq(NAME_STATS(&h).answers, 1);
	ck_assert_uint_eq(NAME_STATS(&h).answers_unasked, 1);
	h.now += 6 * NAME_SECOND;
	name_ask(&h, 5000, TGID, 1, "two.example");
	ck_assert_uint_eq(table()->question_count, 1);
	name_close(&h);
}
END_TEST

/* A question that is forgotten cannot carry a name out unnoticed. */
START_TEST(surplus_questions)
{
	char name[] = "a.example";

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
	for (uint16_t i = 0; i < AGENTSH_QUESTIONS_PER_SOCKET; i++) {
		name[0] = (char)('a' + i);
		ck_assert_int_eq(name_ask(&h, 1, TGID, i, name), 0);
	}
	ck_assert_int_eq(name_ask(&h, 1, TGID, 99, "last.example"), 1);
	ck_assert_uint_eq(h.events[0].kind, AGENTSH_EBPF_EVENT_DNS_QUERY);
	NAME_EXPECT(&h, &h.events[0], "a.example");
	ck_assert_uint_eq(NAME_STATS(&h).delivered, 1);
	name_close(&h);
}
END_TEST

START_TEST(flows)
{
	struct agentsh_ebpf_event event;
	const struct agentsh_packet packet = {
		.data = (const uint8_t *)"\x01\x00 unfinished",
		.captured = 10,
		.length = 10,
	};

	name_open(&h, 0, NULL);
	for (uint64_t i = 1; i < 1000; i++) {
		event = name_event(&h, AGENTSH_EBPF_EVENT_DNS_ANSWER, i, TGID, NAME_SERVER, 53);
		event.protocol = IPPROTO_TCP;
		name_packet(&h, h.session, &event, &packet);
		ck_assert_uint_le(table()->flows.count, AGENTSH_FLOWS);
	}
	ck_assert_uint_eq(table()->flows.count, AGENTSH_FLOWS);
	name_close(&h);
}
END_TEST

/* 4,000 messages at once, and 2,000 per second. */
START_TEST(rate)
{
	name_open(&h, 0, NULL);
	for (int i = 0; i < 5000; i++)
		name_ask(&h, 1, TGID, 1, "one.example");
	ck_assert_uint_eq(NAME_STATS(&h).messages_skipped, 1000);
	/* forged answers are found out before they are parsed, and do not count */
	for (int i = 0; i < 5000; i++)
		name_answer(&h, 1, TGID, 2, "one.example", ADDRESS);
	ck_assert_uint_eq(NAME_STATS(&h).messages_skipped, 1000);
	ck_assert_uint_eq(NAME_STATS(&h).answers_unasked, 5000);
	h.now += NAME_SECOND;
	for (int i = 0; i < 3000; i++)
		name_ask(&h, 1, TGID, 1, "one.example");
	ck_assert_uint_eq(NAME_STATS(&h).messages_skipped, 2000);
	name_close(&h);
}
END_TEST

/*
 * A host with an edge-triggered loop reads until a read returns 0, so packets without an event must
 * not end a read before the event behind them.
 */
START_TEST(packets_before_an_event)
{
	const struct agentsh_ebpf_tracer_options o = {
		.hooks = NAME_HOOKS,
		.ring_size = 16 << 20,
		.ring_quota = 100,
	};
	const size_t size = sizeof(struct agentsh_record_packet) + AGENTSH_PACKET_SMALL;
	struct agentsh_record_packet *record = calloc(1, size);
	const struct agentsh_session_state *state;
	struct agentsh_record_outcome outcome;
	struct agentsh_ebpf_event event;

	ck_assert_ptr_nonnull(record);
	h.tracer = unit_open(&o);
	h.session = unit_attach(h.tracer, 1);
	state = &agentsh_handle_session(h.session)->state;
	event = name_event(&h, AGENTSH_EBPF_EVENT_DNS_ANSWER, 1, TGID, NAME_SERVER, 53);
	agentsh_encode(&event, state, &outcome);
	record->base = outcome.base;
	record->length = record->captured = 12;
	for (int i = 0; i < 3 * AGENTSH_RECORDS_MAX; i++)
		ck_assert_int_eq(agentsh_synthetic_put(&h.tracer->ring, state, record, size), 0);
	ck_assert_int_eq(unit_inject(h.session, 5), 0);
	ck_assert_int_eq(agentsh_ebpf_read(h.tracer, &event, 1, 0), 1);
	ck_assert_uint_eq(event.socket_cookie, 5);
	ck_assert_uint_eq(NAME_STATS(&h).answers_unasked, 3 * AGENTSH_RECORDS_MAX);
	ck_assert_uint_eq(NAME_STATS(&h).delivered, 1);
	ck_assert_int_eq(agentsh_ebpf_read(h.tracer, &event, 1, 0), 0);
	/* what the session holds of the ring is nothing again */
	ck_assert_uint_eq(h.tracer->ring.slots.counters[state->slot].consumed,
			  h.tracer->ring.slots.counters[state->slot].produced);
	ck_assert_uint_eq(h.tracer->ring.slots.counters[state->slot].packets_consumed,
			  3 * AGENTSH_RECORDS_MAX * (size + 8));
	free(record);
	name_close(&h);
}
END_TEST

#ifdef __GLIBC__
#define HAVE_MALLINFO2 __GLIBC_PREREQ(2, 33)
#else
#define HAVE_MALLINFO2 0
#endif
#if HAVE_MALLINFO2
/* Sanitizers and valgrind have allocators of their own, which mallinfo2() does not show. */
static bool counts_memory(void)
{
	size_t before = mallinfo2().uordblks;
	void *volatile block = malloc(4096);
	bool counts = mallinfo2().uordblks != before;

	free(block);
	return counts;
}

START_TEST(memory)
{
	const struct agentsh_ebpf_session_options o = {.size = sizeof(o), .names_max = 1000};
	size_t before;

	name_open(&h, 0, &o);
	before = mallinfo2().uordblks;
	resolve_many(1000);
	ck_assert_uint_eq(NAME_STATS(&h).names_evicted, 0);
	ck_assert_uint_eq(table()->addresses.count, 1000);
	ck_assert_uint_lt(mallinfo2().uordblks - before, 200 * 1024);
	ck_assert_uint_gt(mallinfo2().uordblks - before, 50 * 1024); /* it was measured */
	name_close(&h);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("name_limits");
	TCase *tcase = unit_case(suite, "name_limits");

	tcase_add_test(tcase, addresses);
	tcase_add_test(tcase, sockets);
	tcase_add_test(tcase, texts);
	tcase_add_test(tcase, names_per_address);
	tcase_add_test(tcase, questions);
	tcase_add_test(tcase, surplus_questions);
	tcase_add_test(tcase, flows);
	tcase_add_test(tcase, rate);
	tcase_add_test(tcase, packets_before_an_event);
#if HAVE_MALLINFO2
	if (counts_memory())
		tcase_add_test(tcase, memory);
	else
		puts("left out: the memory of names, which this allocator does not tell");
#endif
	return unit_main(suite);
}
