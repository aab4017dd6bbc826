/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: usual, unusual, malformed, and cut at every byte. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dns_builder.h"
#include "names/dns_message.h"
#include "unit.h"

static struct dns_builder b;
static struct agentsh_dns_message out;

/* Parses a copy in a block of its size, so that a read past its end is reported. */
static int parse_part(size_t captured, size_t length)
{
	uint8_t *copy = malloc(captured ? captured : 1);
	int ret;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, b.bytes, captured);
	memset(&out, 0xa5, sizeof(out));
	ret = agentsh_dns_parse(copy, captured, length, &out);
	free(copy);
	ck_assert(!ret || ret == -EBADMSG);
	return ret;
}

static int parse(void)
{
	return parse_part(b.size, b.size);
}

static void expect_names(const char *asked, const char *owner)
{
	ck_assert_str_eq(out.asked, asked);
	ck_assert_str_eq(out.owner, owner);
	ck_assert(!out.asked_cut && !out.owner_cut);
}

static void expect_a(uint32_t nth, uint32_t address, uint32_t ttl_s)
{
	const uint8_t bytes[16] = {(uint8_t)(address >> 24), (uint8_t)(address >> 16),
				   (uint8_t)(address >> 8), (uint8_t)address};

	ck_assert_uint_lt(nth, out.count);
	ck_assert_uint_eq(out.addresses[nth].family, AF_INET);
	ck_assert_uint_eq(out.addresses[nth].port, 0);
	ck_assert_uint_eq(out.addresses[nth].ttl_s, ttl_s);
	ck_assert_mem_eq(out.addresses[nth].addr, bytes, 16);
}

START_TEST(one_question)
{
	dns_begin(&b, 0x1234, DNS_QUERY, "wWw.Example.ORG", DNS_TYPE_AAAA);
	ck_assert(!parse());
	ck_assert_uint_eq(out.id, 0x1234);
	ck_assert_uint_eq(out.type, 28);
	ck_assert_uint_eq(out.class_, 1);
	ck_assert(!out.response && !out.truncated && !out.cut && !out.count && !out.ttl_s);
	expect_names("www.example.org", "www.example.org");
}
END_TEST

/* What EDNS adds stands behind the answers; in a question it is not looked at. */
START_TEST(edns)
{
	dns_begin(&b, 1, DNS_QUERY, "a.b", DNS_TYPE_A);
	dns_record(&b, "", DNS_TYPE_OPT, 0, "\0\12\0\10abcdefgh", 12);
	dns_count(&b, 1, 0);
	ck_assert(!parse() && !out.cut);
	dns_begin(&b, 1, DNS_ANSWER, "a.b", DNS_TYPE_A);
	dns_a(&b, "@12", 5, 0x01020304);
	dns_record(&b, "", DNS_TYPE_OPT, 0x80008000, "\xff\xff", 2);
	dns_count(&b, 1, 1);
	ck_assert(!parse() && !out.cut);
	ck_assert_uint_eq(out.count, 1);
	ck_assert_uint_eq(out.ttl_s, 5);
}
END_TEST

START_TEST(addresses)
{
	dns_begin(&b, 7, DNS_ANSWER, "Example.Org", DNS_TYPE_A);
	dns_a(&b, "@12", 300, 0xc0000201);
	dns_a(&b, "eXAMPLE.oRG", 200, 0xc0000202);
	dns_aaaa(&b, "@12", 400, 9);
	ck_assert(!parse());
	ck_assert(out.response && !out.rcode && !out.cut);
	expect_names("example.org", "example.org");
	ck_assert_uint_eq(out.count, 3);
	expect_a(0, 0xc0000201, 300);
	expect_a(1, 0xc0000202, 200);
	ck_assert_uint_eq(out.addresses[2].family, AF_INET6);
	ck_assert_mem_eq(out.addresses[2].addr, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\11", 16);
	ck_assert_uint_eq(out.ttl_s, 200);
}
END_TEST

/* The chain may stand in any order, and mixes case. Records of other names do not count. */
START_TEST(chain)
{
	static const char *const names[] = {"one.test", "TWO.test", "three.example",
					    "four.example"};
	static const uint8_t orders[][5] = {
		{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 3, 1, 4}, {3, 4, 1, 2, 0}};

	dns_begin(&b, 7, DNS_ANSWER, "ONE.test", DNS_TYPE_A);
	for (int i = 0; i < 5; i++) {
		uint8_t n = orders[_i][i];

		if (n < 3)
			dns_cname(&b, names[n], 100 - n, names[n + 1]);
		else if (n == 3)
			dns_a(&b, "FOUR.example", 500, 0x0a000001);
		else
			dns_a(&b, "two.test", 1, 0x0a000002);
	}
	ck_assert(!parse());
	expect_names("one.test", "four.example");
	ck_assert_uint_eq(out.count, 1);
	expect_a(0, 0x0a000001, 500);
	ck_assert_uint_eq(out.ttl_s, 98);
}
END_TEST

/* A DNAME is followed by the CNAME that the name server made from it, RFC 6672. */
START_TEST(dname)
{
	dns_begin(&b, 7, DNS_ANSWER, "a.old.test", DNS_TYPE_A);
	dns_record(&b, "old.test", 39, 10, "\3new\4test", 10);
	dns_cname(&b, "@12", 0, "a.new.test");
	dns_a(&b, "a.new.test", 60, 0x0a000001);
	ck_assert(!parse());
	expect_names("a.old.test", "a.new.test");
	ck_assert_uint_eq(out.count, 1);
	ck_assert_uint_eq(out.ttl_s, 0);
}
END_TEST

START_TEST(chain_that_loops)
{
	dns_begin(&b, 7, DNS_ANSWER, "a.test", DNS_TYPE_A);
	dns_cname(&b, "a.test", 9, "b.test");
	dns_cname(&b, "b.test", 8, "a.test");
	dns_cname(&b, "a.test", 7, "a.test");
	ck_assert(!parse());
	ck_assert_uint_eq(out.count, 0);
	ck_assert_str_eq(out.owner, "a.test");
	ck_assert_uint_eq(out.ttl_s, 7);
}
END_TEST

START_TEST(other_records)
{
	dns_begin(&b, 7, DNS_ANSWER, "a.test", DNS_TYPE_A);
	dns_record(&b, "@12", DNS_TYPE_A, 1, "123", 3);
	dns_record(&b, "@12", DNS_TYPE_A, 1, "1234567890123456", 16);
	dns_record(&b, "@12", DNS_TYPE_AAAA, 1, "1234", 4);
	dns_record(&b, "@12", 46, 1, "signature", 9);
	dns_record(&b, "@12", DNS_TYPE_A, 1, "", 0);
	b.bytes[dns_a(&b, "@12", 1, 1) + 5] = 3; /* class CHAOS */
	b.bytes[dns_cname(&b, "@12", 1, "b.test") + 5] = 4;
	ck_assert(!parse());
	ck_assert_uint_eq(out.count, 0);
	ck_assert_str_eq(out.owner, "a.test");
}
END_TEST

START_TEST(response_codes)
{
	dns_begin(&b, 7, (uint16_t)(DNS_ANSWER | _i), "no.test", DNS_TYPE_A);
	ck_assert(!parse());
	ck_assert_uint_eq(out.rcode, _i);
	ck_assert_uint_eq(out.count, 0);
	expect_names("no.test", "no.test");
}
END_TEST

START_TEST(times_to_live)
{
	static const uint32_t ttls[][2] = {
		{0, 0}, {INT32_MAX, INT32_MAX}, {0x80000000, 0}, {UINT32_MAX, 0}};

	dns_begin(&b, 7, DNS_ANSWER, "a.test", DNS_TYPE_A);
	dns_a(&b, "@12", INT32_MAX, 1);
	dns_a(&b, "@12", ttls[_i][0], 2);
	ck_assert(!parse());
	ck_assert_uint_eq(out.ttl_s, ttls[_i][1]);
	expect_a(1, 2, ttls[_i][1]);
}
END_TEST

/* 33 records, of which 32 are looked at. */
START_TEST(many_records)
{
	dns_begin(&b, 7, DNS_ANSWER, "a.test", DNS_TYPE_A);
	for (uint32_t i = 0; i < 32; i++)
		dns_a(&b, "@12", 60, i);
	ck_assert(!parse());
	ck_assert(!out.cut);
	ck_assert_uint_eq(out.count, 32);
	dns_a(&b, "@12", 1, 32);
	ck_assert(!parse());
	ck_assert(out.cut);
	ck_assert_uint_eq(out.count, 32);
	ck_assert_uint_eq(out.ttl_s, 60);
	expect_a(31, 31, 60);
}
END_TEST

/* Cut at every byte: the records that are whole count. */
START_TEST(cut)
{
	size_t asked_end, first, second;

	dns_begin(&b, 7, (uint16_t)(DNS_ANSWER | (_i ? DNS_TRUNCATED : 0)), "a.test", DNS_TYPE_A);
	asked_end = b.size;
	first = dns_cname(&b, "@12", 60, "b.test");
	second = dns_a(&b, "b.test", 50, 1);
	dns_a(&b, "b.test", 50, 2);
	ck_assert_uint_eq(first, asked_end);
	for (size_t n = 0; n < b.size; n++) {
		int ret = parse_part(n, _i ? n : b.size);

		ck_assert_int_eq(ret, n < asked_end ? -EBADMSG : 0);
		if (ret)
			continue;
		ck_assert(out.cut);
		ck_assert_int_eq(out.truncated, _i);
		expect_names("a.test", n < second ? "a.test" : "b.test");
		ck_assert_uint_eq(out.count, n >= second + (b.size - second) / 2);
		if (!_i) /* the same message, but not known to go on */
			ck_assert_int_eq(parse_part(n, n), -EBADMSG);
	}
	ck_assert(!parse());
	ck_assert(!out.cut);
	ck_assert_uint_eq(out.count, 2);
	/* more than there is cannot have been captured */
	ck_assert_int_eq(parse_part(b.size, second), _i ? 0 : -EBADMSG);
}
END_TEST

/* A name whose pointer leads behind what was captured ends the chain. */
START_TEST(cut_target)
{
	size_t end;

	dns_begin(&b, 7, DNS_ANSWER, "a.test", DNS_TYPE_A);
	dns_cname(&b, "@12", 60, "@512");
	end = dns_a(&b, "@12", 50, 1);
	b.size = 512;
	dns_put_name(&b, "b.test");
	ck_assert(!parse_part(end, b.size));
	expect_names("a.test", "a.test");
	ck_assert(out.cut);
	dns_count(&b, 1, 1);
	ck_assert(!parse());
	expect_names("a.test", "b.test");
}
END_TEST

static const struct {
	const char *what;
	uint16_t flags, questions, answers;
} headers[] = {
	{"no question", DNS_ANSWER, 0, 0},
	{"two questions", DNS_ANSWER, 2, 0},
	{"inverse query", DNS_QUERY | 0x0800, 1, 0},
	{"update", 0x2800, 1, 0},
	{"answers that are not there", DNS_ANSWER, 1, 1},
	{"65,535 answers that are not there", DNS_ANSWER, 1, 65535},
};

START_TEST(malformed_header)
{
	dns_begin(&b, 7, headers[_i].flags, "a.test", DNS_TYPE_A);
	dns_count(&b, headers[_i].questions, headers[_i].answers);
	ck_assert_msg(parse() == -EBADMSG, "%s", headers[_i].what);
}
END_TEST

/* The data of CNAME is one name, no more and no less. */
START_TEST(malformed_data)
{
	static const char *const data[] = {"",		"\1",	"\1b",	 "\1b\0x",  "\xc0",
					   "\xc0\x0cx", "\x40", "\x80x", "\xff\xff"};
	static const uint16_t lengths[] = {0, 1, 2, 4, 1, 3, 1, 2, 2};

	dns_begin(&b, 7, DNS_ANSWER, "a.test", DNS_TYPE_A);
	dns_record(&b, "@12", DNS_TYPE_CNAME, 1, data[_i], lengths[_i]);
	ck_assert_int_eq(parse(), -EBADMSG);
}
END_TEST

START_TEST(random_bytes)
{
	for (int i = 0; i < 20000; i++) {
		dns_begin(&b, 7, DNS_ANSWER, "a.test", DNS_TYPE_A);
		dns_cname(&b, "@12", 60, "b.test");
		dns_aaaa(&b, "b.test", 50, 1);
		dns_a(&b, "@32", 50, 2);
		for (uint32_t n = unit_below(8); n; n--)
			b.bytes[unit_below((uint32_t)b.size)] = (uint8_t)unit_random();
		if (parse())
			continue;
		ck_assert_ptr_nonnull(memchr(out.asked, 0, sizeof(out.asked)));
		ck_assert_ptr_nonnull(memchr(out.owner, 0, sizeof(out.owner)));
		ck_assert_uint_le(out.count, 2);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dns_message");
	TCase *tcase = unit_case(suite, "dns_message");

	tcase_add_test(tcase, one_question);
	tcase_add_test(tcase, edns);
	tcase_add_test(tcase, addresses);
	tcase_add_loop_test(tcase, chain, 0, 4);
	tcase_add_test(tcase, dname);
	tcase_add_test(tcase, chain_that_loops);
	tcase_add_test(tcase, other_records);
	tcase_add_loop_test(tcase, response_codes, 0, 16);
	tcase_add_loop_test(tcase, times_to_live, 0, 4);
	tcase_add_test(tcase, many_records);
	tcase_add_loop_test(tcase, cut, 0, 2);
	tcase_add_test(tcase, cut_target);
	tcase_add_loop_test(tcase, malformed_header, 0, UNIT_COUNT(headers));
	tcase_add_loop_test(tcase, malformed_data, 0, 9);
	tcase_add_test(tcase, random_bytes);
	return unit_main(suite);
}
