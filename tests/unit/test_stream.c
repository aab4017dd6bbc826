/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of a TCP connection in any order, and DNS messages in them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names/dns_stream.h"
#include "unit.h"

static struct agentsh_stream *stream;
static uint8_t bytes[70000];

/* Sequence numbers near this one wrap around. */
#define START 0xfffffff0U

static void setup(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)unit_random();
	stream = agentsh_stream_new();
	ck_assert_ptr_nonnull(stream);
}

static void teardown(void)
{
	agentsh_stream_free(stream);
}

/* Adds n bytes from an offset, out of a block of their size. */
static int add(size_t at, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	int ret;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes + at, n);
	ret = agentsh_stream_add(stream, START + (uint32_t)at, copy, n);
	free(copy);
	return ret;
}

/* The stream has n bytes from an offset. */
static void expect(size_t at, size_t n)
{
	size_t size;
	const uint8_t *data = agentsh_stream_data(stream, &size);

	ck_assert_uint_eq(size, n);
	ck_assert(!n || !memcmp(data, bytes + at, n));
}

START_TEST(in_order)
{
	expect(0, 0);
	ck_assert(!add(0, 0));
	for (size_t i = 0; i < 4096; i++) {
		ck_assert(!add(i, 1));
		expect(0, i + 1);
	}
	ck_assert_int_eq(add(4096, 1), -ENOSPC);
	agentsh_stream_consume(stream, 4000);
	expect(4000, 96);
	ck_assert(!add(4096, 3000));
	expect(4000, 3096);
}
END_TEST

/* Nothing was consumed, so each segment moves the start back. */
START_TEST(backwards)
{
	for (size_t i = 4096; i > 0; i--) {
		ck_assert(!add(i - 1, 1));
		expect(i - 1, 4097 - i);
	}
	agentsh_stream_consume(stream, 1);
	expect(1, 4095);
}
END_TEST

START_TEST(gaps)
{
	ck_assert(!add(1000, 100));
	ck_assert(!add(1300, 100));
	ck_assert(!add(1200, 50));
	expect(1000, 100);
	ck_assert(!add(900, 50)); /* a new start, with a gap behind */
	expect(900, 50);
	ck_assert(!add(940, 70));
	expect(900, 200);
	agentsh_stream_consume(stream, 150);
	expect(1050, 50);
	ck_assert(!add(1100, 100));
	expect(1050, 200);
	ck_assert(!add(1240, 100));
	expect(1050, 350);
	ck_assert(!add(0, 1200)); /* old: already there, or consumed */
	expect(1050, 350);
}
END_TEST

/* A repeated byte may have another value; the first one counts. */
START_TEST(first_copy_counts)
{
	static const uint8_t other[300];

	ck_assert(!add(100, 100));
	ck_assert(!add(250, 50));
	ck_assert(!agentsh_stream_add(stream, START + 50, other, 300));
	memset(bytes + 50, 0, 50);
	memset(bytes + 200, 0, 50);
	memset(bytes + 300, 0, 50);
	expect(50, 300);
}
END_TEST

START_TEST(too_far)
{
	ck_assert(!add(10000, 10));
	ck_assert_int_eq(add(10000 + 4096, 10), -ENOSPC);
	ck_assert(!add(10000 + 4095, 10)); /* one byte fits */
	ck_assert(!add(10010, 4085));
	expect(10000, 4096);
	ck_assert_int_eq(add(10000 - 4097, 10), -ENOSPC);
	ck_assert(!add(10000 - 4096, 10)); /* the other bytes no longer fit */
	expect(10000 - 4096, 10);
	ck_assert(!add(10000 - 4086, 5000));
	expect(10000 - 4096, 4096);
	agentsh_stream_consume(stream, 1);
	ck_assert(!add(0, 10));
	expect(10000 - 4095, 4095);
}
END_TEST

/* Bytes before the new start are skipped when they come. */
START_TEST(consume_ahead)
{
	ck_assert(!add(0, 100));
	agentsh_stream_consume(stream, 5000);
	expect(0, 0);
	ck_assert(!add(100, 4000));
	expect(0, 0);
	ck_assert(!add(4090, 1000));
	expect(5000, 90);
	agentsh_stream_consume(stream, 90);
	expect(0, 0);
	ck_assert(!add(5190, 10));
	agentsh_stream_consume(stream, 105);
	ck_assert(!add(5000, 90));
	expect(5195, 5);
}
END_TEST

/* Random segments of one window, until it is full; the model is an array of what was sent. */
START_TEST(random_segments)
{
	for (int round = 0; round < 200; round++) {
		bool sent[4096] = {0};
		size_t front = 0, consumed = 0;

		agentsh_stream_free(stream);
		stream = agentsh_stream_new();
		ck_assert_ptr_nonnull(stream);
		ck_assert(!add(0, 1));
		sent[0] = true;
		for (int i = 0; i < 400 && front < 4096; i++) {
			size_t at = unit_below(4096), n = 1 + unit_below(200);

			if (n > 4096 - at)
				n = 4096 - at;
			ck_assert(!add(at, n));
			memset(sent + at, true, n);
			while (front < 4096 && sent[front])
				front++;
			expect(consumed, front - consumed);
			if (!unit_below(10)) {
				size_t take = unit_below((uint32_t)(front - consumed) + 1);

				agentsh_stream_consume(stream, take);
				consumed += take;
			}
			expect(consumed, front - consumed);
		}
	}
}
END_TEST

/* ---- DNS messages -------------------------------------------------------- */

/* Writes the length of a message, and returns the offset behind the message. */
static size_t put_message(size_t at, size_t length)
{
	bytes[at] = (uint8_t)(length >> 8);
	bytes[at + 1] = (uint8_t)length;
	return at + 2 + length;
}

static void expect_message(size_t at, size_t captured, size_t length)
{
	const uint8_t *message;
	size_t c, l;

	ck_assert_int_eq(agentsh_dns_tcp_next(stream, &message, &c, &l), 1);
	ck_assert_uint_eq(c, captured);
	ck_assert_uint_eq(l, length);
	ck_assert_mem_eq(message, bytes + at + 2, captured);
}

static void expect_no_message(int ret)
{
	const uint8_t *message;
	size_t c, l;

	ck_assert_int_eq(agentsh_dns_tcp_next(stream, &message, &c, &l), ret);
}

START_TEST(messages)
{
	size_t second = put_message(0, 12), third = put_message(second, 100),
	       end = put_message(third, 4094);

	expect_no_message(0);
	ck_assert(!add(0, third));
	expect_message(0, 12, 12);
	expect_message(second, 100, 100);
	expect_no_message(0);
	for (size_t at = third; at < end; at += 7) {
		expect_no_message(0);
		ck_assert(!add(at, end - at < 7 ? end - at : 7));
	}
	expect_message(third, 4094, 4094);
	expect_no_message(0);
}
END_TEST

/* Adds up to an offset, 1,000 bytes at a time, which complete no message. */
static void add_up_to(size_t at, size_t end)
{
	for (; at < end; at += 1000) {
		expect_no_message(0);
		ck_assert(!add(at, end - at < 1000 ? end - at : 1000));
	}
}

/* The next message is found behind one that does not fit. */
START_TEST(long_message)
{
	static const size_t lengths[] = {4095, 4096, 8000, 65535};
	size_t next = put_message(0, lengths[_i]), end = put_message(next, 50);

	add_up_to(0, 4000);
	expect_no_message(0);
	ck_assert(!add(4000, 97)); /* the stream is full */
	expect_message(0, 4094, lengths[_i]);
	add_up_to(4097, next);
	expect_no_message(0);
	ck_assert(!add(next, end - next));
	expect_message(next, 50, 50);
	expect_no_message(0);
}
END_TEST

START_TEST(no_message)
{
	put_message(0, (size_t)_i);
	ck_assert(!add(0, 1));
	expect_no_message(0);
	ck_assert(!add(1, 1));
	expect_no_message(-EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tcase = unit_case(suite, "stream"), *dns = unit_case(suite, "dns");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, in_order);
	tcase_add_test(tcase, backwards);
	tcase_add_test(tcase, gaps);
	tcase_add_test(tcase, first_copy_counts);
	tcase_add_test(tcase, too_far);
	tcase_add_test(tcase, consume_ahead);
	tcase_add_test(tcase, random_segments);
	tcase_add_checked_fixture(dns, setup, teardown);
	tcase_add_test(dns, messages);
	tcase_add_loop_test(dns, long_message, 0, 4);
	tcase_add_loop_test(dns, no_message, 0, 12);
	return unit_main(suite);
}
