/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of a session that was detached while records of it were unread. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "name_harness.h"
#include "names/questions.h"
#include "ring/decode.h"
#include "ring/synthetic.h"

#define ADDRESS 0xc0000201 /* 192.0.2.1 */
#define TGID 100
#define TIMEOUT_NS (5 * NAME_SECOND)

static struct name_host h;

/* Puts the record of a message into the ring, where it stays until the next read. */
static void put_message(uint32_t kind, uint64_t cookie, const struct dns_builder *b)
{
	const struct agentsh_ebpf_event event = name_event(&h, kind, cookie, TGID, NAME_SERVER, 53);
	const struct agentsh_session_state *state = &agentsh_handle_session(h.session)->state;
	const size_t size = sizeof(struct agentsh_record_packet) + AGENTSH_PACKET_SMALL;
	struct agentsh_record_packet *record = calloc(1, size);
	struct agentsh_record_outcome outcome;

	ck_assert_ptr_nonnull(record);
	agentsh_encode(&event, state, &outcome);
	record->base = outcome.base;
	record->length = record->captured = (uint32_t)b->size;
	memcpy(record + 1, b->bytes, b->size);
	ck_assert_int_eq(agentsh_synthetic_put(&h.tracer->ring, state, record, size), 0);
	free(record);
}

static void put_question(uint64_t cookie, uint16_t id, const char *name)
{
	struct dns_builder b;

	dns_begin(&b, id, DNS_QUERY, name, DNS_TYPE_A);
	put_message(AGENTSH_EBPF_EVENT_DNS_QUERY, cookie, &b);
}

static void put_answer(uint64_t cookie, uint16_t id, const char *name, uint32_t address)
{
	struct dns_builder b;

	dns_begin(&b, id, DNS_ANSWER, name, DNS_TYPE_A);
	dns_a(&b, name, 60, address);
	put_message(AGENTSH_EBPF_EVENT_DNS_ANSWER, cookie, &b);
}

static void put_connect(struct agentsh_ebpf_session *session, uint32_t address)
{
	const struct agentsh_ebpf_event event =
		name_event(&h, AGENTSH_EBPF_EVENT_CONNECT, 1000, TGID, address, 443);

	ck_assert_int_eq(agentsh_ebpf_inject(session, &event), 0);
}

struct wanted { /* an event */
	uint32_t kind;
	const char *name; /* NULL: it has none */
};

/* Reads these events, and no more. */
static void expect_events(const struct wanted *wanted, size_t count)
{
	struct agentsh_ebpf_event got[16];

	ck_assert_int_eq(agentsh_ebpf_read(h.tracer, got, UNIT_COUNT(got), 0), (int)count);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(got[i].kind, wanted[i].kind);
		if (wanted[i].name)
			NAME_EXPECT(&h, &got[i], wanted[i].name);
		else
			ck_assert_uint_eq(got[i].name_id, 0);
	}
}

/* The reader has passed the last record: the session's names and questions are gone. */
static void expect_gone(void)
{
	ck_assert_uint_eq(agentsh_names_deadline(&h.tracer->ring.names), 0);
	expect_events(NULL, 0);
	ck_assert_ptr_null(agentsh_names_table(&h.tracer->ring.names, 0, 1));
	ck_assert_uint_eq(agentsh_names_deadline(&h.tracer->ring.names), 0);
}

/* The question was read before the detach, or is unread, too; the answer stands behind it. */
START_TEST(answers)
{
	static const struct wanted with_events[] = {
		{AGENTSH_EBPF_EVENT_DNS_ANSWER, "one.example"},
		{AGENTSH_EBPF_EVENT_CONNECT, "one.example"},
		{AGENTSH_EBPF_EVENT_DNS_ANSWER, "two.example"},
		{AGENTSH_EBPF_EVENT_CONNECT, "two.example"},
		{AGENTSH_EBPF_EVENT_CONNECT, NULL},
		{AGENTSH_EBPF_EVENT_CONNECT, NULL},
	};
	static const struct wanted without_events[] = {
		{AGENTSH_EBPF_EVENT_CONNECT, "one.example"},
		{AGENTSH_EBPF_EVENT_CONNECT, "two.example"},
		{AGENTSH_EBPF_EVENT_CONNECT, NULL},
		{AGENTSH_EBPF_EVENT_CONNECT, NULL},
	};
	struct agentsh_ebpf_session *second;

	name_open(&h, _i ? AGENTSH_EBPF_OPEN_DNS_EVENTS : 0, NULL);
	name_ask(&h, 1, TGID, 1, "one.example");
	put_answer(1, 1, "one.example", ADDRESS);
	put_connect(h.session, ADDRESS);
	put_question(2, 2, "two.example");
	put_answer(2, 2, "two.example", ADDRESS + 1);
	put_connect(h.session, ADDRESS + 1);
	put_answer(2, 3, "forged.example", ADDRESS + 2);
	put_connect(h.session, ADDRESS + 2);
	ck_assert_int_eq(agentsh_ebpf_session_detach(h.session), 0);
	second = unit_attach(h.tracer, 2);
	put_connect(second, ADDRESS);
	if (_i)
		expect_events(with_events, UNIT_COUNT(with_events));
	else
		expect_events(without_events, UNIT_COUNT(without_events));
	/* the slot may be the second session's, so nothing counts any more */
	ck_assert_uint_eq(unit_tracer_stats(h.tracer).answers, 0);
	ck_assert_uint_eq(unit_tracer_stats(h.tracer).answers_unasked, 0);
	expect_gone();
	name_close(&h);
}
END_TEST

/* An answer that is too late gives no name, also behind the detach. */
START_TEST(late_answer)
{
	const uint64_t delay = TIMEOUT_NS + (uint64_t)_i;
	const struct wanted wanted = {AGENTSH_EBPF_EVENT_CONNECT, _i ? NULL : "one.example"};

	name_open(&h, 0, NULL);
	h.now -= 2 * TIMEOUT_NS;
	name_ask(&h, 1, TGID, 1, "one.example");
	h.now += delay;
	put_answer(1, 1, "one.example", ADDRESS);
	put_connect(h.session, ADDRESS);
	ck_assert_int_eq(agentsh_ebpf_session_detach(h.session), 0);
	expect_events(&wanted, 1);
	expect_gone();
	name_close(&h);
}
END_TEST

/*
 * Questions without an answer at detach are not reported, although their time has passed when the
 * reader, which needs two calls, takes the records behind them. Those of another session are.
 */
START_TEST(unanswered)
{
	static const struct wanted wanted[] = {
		{AGENTSH_EBPF_EVENT_CONNECT, NULL},
		{AGENTSH_EBPF_EVENT_DNS_QUERY, "second.example"},
	};
	const struct timespec ticks = {.tv_nsec = 50000000};
	struct agentsh_ebpf_session *first, *second;
	struct agentsh_ebpf_event event;

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
	first = h.session;
	second = unit_attach(h.tracer, 2);
	h.now -= 2 * TIMEOUT_NS;
	name_ask(&h, 1, TGID, 1, "first.example");
	h.session = second;
	name_ask(&h, 2, TGID, 1, "second.example");
	h.session = first;
	name_ask(&h, 3, TGID, 1, "third.example");
	h.now += 2 * TIMEOUT_NS;
	put_connect(first, ADDRESS);
	put_connect(first, ADDRESS);
	ck_assert_int_eq(agentsh_ebpf_session_detach(first), 0);
	ck_assert_int_eq(agentsh_ebpf_read(h.tracer, &event, 1, 0), 1);
	ck_assert_uint_eq(event.kind, AGENTSH_EBPF_EVENT_CONNECT);
	nanosleep(&ticks, NULL); /* until the clock of the timer has passed its time */
	expect_events(wanted, UNIT_COUNT(wanted));
	expect_gone();
	name_close(&h);
}
END_TEST

/* The next question forgets the old ones, if the host has not asked for events. */
START_TEST(old_questions)
{
	static const struct wanted connect = {AGENTSH_EBPF_EVENT_CONNECT, NULL};

	name_open(&h, 0, NULL);
	h.now -= 2 * TIMEOUT_NS;
	name_ask(&h, 1, TGID, 1, "one.example");
	name_ask(&h, 2, TGID, 1, "two.example");
	h.now += 2 * TIMEOUT_NS;
	put_question(3, 1, "three.example");
	put_connect(h.session, ADDRESS);
	ck_assert_int_eq(agentsh_ebpf_session_detach(h.session), 0);
	expect_events(&connect, 1);
	ck_assert_uint_eq(agentsh_names_table(&h.tracer->ring.names, 0, 1)->question_count, 1);
	expect_events(NULL, 0);
	ck_assert_ptr_null(agentsh_names_table(&h.tracer->ring.names, 0, 1));
	name_close(&h);
}
END_TEST

/* The same of questions whose records were unread. */
START_TEST(unread_questions)
{
	static const struct wanted connect = {AGENTSH_EBPF_EVENT_CONNECT, NULL};
	const struct timespec ticks = {.tv_nsec = 50000000};
	struct agentsh_ebpf_event event;

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
	h.now -= 2 * TIMEOUT_NS;
	put_question(1, 1, "one.example");
	h.now += 2 * TIMEOUT_NS;
	put_connect(h.session, ADDRESS);
	put_connect(h.session, ADDRESS);
	ck_assert_int_eq(agentsh_ebpf_session_detach(h.session), 0);
	ck_assert_int_eq(agentsh_ebpf_read(h.tracer, &event, 1, 0), 1);
	ck_assert_uint_eq(event.kind, AGENTSH_EBPF_EVENT_CONNECT);
	nanosleep(&ticks, NULL);
	expect_events(&connect, 1);
	expect_gone();
	name_close(&h);
}
END_TEST

/* Nor are those for which there is no room. */
START_TEST(surplus_questions)
{
	static const struct wanted connect = {AGENTSH_EBPF_EVENT_CONNECT, NULL};

	name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
	name_ask(&h, 1, TGID, 1, "one.example");
	for (uint16_t i = 0; i < 2 * AGENTSH_QUESTIONS_PER_SOCKET; i++)
		put_question(1, i, "more.example");
	put_connect(h.session, ADDRESS);
	ck_assert_int_eq(agentsh_ebpf_session_detach(h.session), 0);
	expect_events(&connect, 1);
	ck_assert_uint_eq(agentsh_names_table(&h.tracer->ring.names, 0, 1)->question_count,
			  AGENTSH_QUESTIONS_PER_SOCKET);
	expect_events(NULL, 0);
	ck_assert_ptr_null(agentsh_names_table(&h.tracer->ring.names, 0, 1));
	ck_assert_uint_eq(agentsh_names_deadline(&h.tracer->ring.names), 0);
	name_close(&h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_detach");
	TCase *tcase = unit_case(suite, "name_detach");

	tcase_add_loop_test(tcase, answers, 0, 2);
	tcase_add_loop_test(tcase, late_answer, 0, 2);
	tcase_add_test(tcase, unanswered);
	tcase_add_test(tcase, unread_questions);
	tcase_add_test(tcase, old_questions);
	tcase_add_test(tcase, surplus_questions);
	return unit_main(suite);
}
