/* SPDX-License-Identifier: Apache-2.0 */
/* The first data of connections: ClientHellos, HTTP requests, and neither. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hello_builder.h"
#include "names/first_data.h"
#include "unit.h"

static struct agentsh_server_name out;

/* Parses a copy in a block of its size, so that a read past its end is reported. */
static int parse(const void *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	int ret;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, data, size);
	memset(&out, 0xa5, sizeof(out));
	ret = agentsh_first_data_parse(copy, size, &out);
	free(copy);
	ck_assert_ptr_nonnull(memchr(out.name, 0, sizeof(out.name)));
	ck_assert_ptr_nonnull(memchr(out.alpn, 0, sizeof(out.alpn)));
	return ret;
}

static void expect(uint32_t source, const char *name, const char *alpn)
{
	ck_assert_uint_eq(out.source, source);
	ck_assert_str_eq(out.name, name);
	ck_assert_str_eq(out.alpn, alpn);
}

/* ---- TLS ------------------------------------------------------------------- */

START_TEST(hello)
{
	struct hello h;

	hello_begin(&h);
	hello_sni(&h, "WWW.Example.ORG");
	hello_alpn(&h, "\2h2\10http/1.1");
	hello_end(&h, _i ? (size_t)_i : 16384);
	ck_assert_int_eq(parse(h.bytes, h.size), 1);
	ck_assert(!out.cut && !out.outer);
	expect(AGENTSH_EBPF_NAME_TLS, "www.example.org", "h2,http/1.1");
	/* before its end, the ClientHello may still turn out to be malformed */
	for (size_t n = 0; n < h.size; n++)
		ck_assert_msg(parse(h.bytes, n) == 0, "%zu bytes", n);
	ck_assert_uint_eq(out.source, AGENTSH_EBPF_NAME_TLS);
	/* what stands behind it is not looked at: early data, for example */
	memset(h.bytes + h.size, 0x17, 100);
	ck_assert_int_eq(parse(h.bytes, h.size + 100), 1);
}
END_TEST

START_TEST(hello_size)
{
	static const size_t sizes[] = {517, 1554, 4096};
	struct hello h;

	for (int last = 0; last < 2; last++) {
		hello_begin(&h);
		if (!last)
			hello_sni(&h, "a.example");
		hello_pad(&h, sizes[_i] - (last ? 18 : 0));
		if (last)
			hello_sni(&h, "a.example");
		hello_end(&h, 16384);
		ck_assert_uint_eq(h.size, sizes[_i]);
		ck_assert_int_eq(parse(h.bytes, h.size), 1);
		expect(AGENTSH_EBPF_NAME_TLS, "a.example", "");
		ck_assert(!out.cut);
	}
}
END_TEST

/* Of a ClientHello that is too long, the name counts if it stands early enough. */
START_TEST(hello_too_long)
{
	struct hello h;

	hello_begin(&h);
	hello_sni(&h, "a.example");
	hello_pad(&h, 6000);
	hello_end(&h, 16384);
	ck_assert_int_eq(parse(h.bytes, 4095), 0);
	ck_assert_int_eq(parse(h.bytes, 4096), 1);
	ck_assert(out.cut);
	expect(AGENTSH_EBPF_NAME_TLS, "a.example", "");
	ck_assert_int_eq(parse(h.bytes, h.size), 1);
	ck_assert(out.cut);

	hello_begin(&h);
	hello_pad(&h, 6000);
	hello_sni(&h, "a.example");
	hello_end(&h, 16384);
	ck_assert_int_eq(parse(h.bytes, 4095), 0);
	ck_assert_int_eq(parse(h.bytes, 4096), -EBADMSG);
}
END_TEST

START_TEST(encrypted_hello)
{
	struct hello h;

	hello_begin(&h);
	hello_sni(&h, "public.example");
	hello_extension(&h, 0xfe0d, "\0\0\1\0\1x\0\0\0\0", 10);
	hello_end(&h, 16384);
	ck_assert_int_eq(parse(h.bytes, h.size), 1);
	ck_assert(out.outer);
	expect(AGENTSH_EBPF_NAME_TLS, "public.example", "");
}
END_TEST

START_TEST(alpn)
{
	static const struct {
		const char *list, *text;
		bool cut;
	} lists[] = {
		{"\2H2", "H2", false},
		{"\5a,b\\.\1 ", "a\\044b\\092.,\\032", false},
		{"\2\xa\xa\2h2", "\\010\\010,h2", false},
		{"\77aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
		{"\75aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\2h2\1x",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
		{"\100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\2h2", "",
		 true},
	};
	struct hello h;

	hello_begin(&h);
	hello_alpn(&h, lists[_i].list);
	hello_sni(&h, "a.example");
	hello_end(&h, 16384);
	ck_assert_int_eq(parse(h.bytes, h.size), 1);
	expect(AGENTSH_EBPF_NAME_TLS, "a.example", lists[_i].text);
	ck_assert_int_eq(out.cut, lists[_i].cut);
}
END_TEST

static const struct {
	uint16_t type;
	const char *body;
	uint16_t size;
} bad_extensions[] = {
	{0, "", 0},
	{0, "\0\0", 2},
	{0, "\0\4\0\0\1", 5},
	{0, "\0\3\0\0\0", 5},
	{0, "\0\4\1\0\1a", 6},		  /* no host_name */
	{0, "\0\14\0\0\11127.0.0.1", 14}, /* an address */
	{0, "\0\6\0\0\3::1", 8},
	{1, "", 0},	     /* no server_name */
	{16, "\0\3\2h2", 5}, /* ALPN alone */
	{0xfe0d, "", 0},     /* ECH alone */
};

START_TEST(no_server_name)
{
	struct hello h;

	hello_begin(&h);
	hello_extension(&h, bad_extensions[_i].type, bad_extensions[_i].body,
			bad_extensions[_i].size);
	hello_end(&h, 16384);
	ck_assert_int_eq(parse(h.bytes, h.size), -EBADMSG);
}
END_TEST

START_TEST(malformed_hello)
{
	struct hello h;

	hello_begin(&h);
	hello_sni(&h, "a.example");
	switch (_i) {
	case 0:
		hello_sni(&h, "b.example");
		break;
	case 1:
		hello_extension(&h, 16, "\0\3\3h2", 5);
		break;
	case 2:
		hello_extension(&h, 16, "\0\1\0", 3);
		break;
	case 3:
		hello_alpn(&h, "\2h2");
		hello_alpn(&h, "\2h2");
		break;
	}
	hello_end(&h, 16384);
	if (_i == 4)
		h.bytes[5] = 2; /* ServerHello */
	if (_i == 5)
		h.bytes[1] = 2; /* a version of SSL */
	if (_i == 6)
		h.bytes[3] = h.bytes[4] = 0; /* an empty record */
	if (_i == 7)
		h.bytes[3] = 0x41; /* a record that is too long */
	if (_i == 8)
		h.bytes[8]--; /* the extensions end behind the message */
	if (_i == 9)
		h.bytes[43] = 255; /* so does the session id */
	if (_i == 10)
		h.bytes[8]++; /* the message ends behind the extensions */
	ck_assert_int_eq(parse(h.bytes, h.size), -EBADMSG);
}
END_TEST

/* Records of another type may only stand behind the ClientHello. */
START_TEST(other_record_between)
{
	struct hello h;

	hello_begin(&h);
	hello_sni(&h, "a.example");
	hello_end(&h, 20);
	ck_assert_uint_eq(h.bytes[25], 22);
	h.bytes[25] = 21;
	ck_assert_int_eq(parse(h.bytes, h.size), -EBADMSG);
}
END_TEST

START_TEST(random_hellos)
{
	struct hello h;

	for (int i = 0; i < 50000; i++) {
		hello_begin(&h);
		hello_sni(&h, "a.example");
		hello_alpn(&h, "\2h2\10http/1.1");
		hello_end(&h, 1 + unit_below(200));
		for (uint32_t n = unit_below(6); n; n--)
			h.bytes[unit_below((uint32_t)h.size)] = (uint8_t)unit_random();
		parse(h.bytes, unit_below((uint32_t)h.size + 1));
	}
}
END_TEST

/* ---- HTTP ------------------------------------------------------------------ */

#define GET "GET / HTTP/1.1\r\n"

static const struct {
	const char *data;
	int ret;
	const char *name;
} requests[] = {
	{GET "Host: Example.ORG\r\n\r\n", 1, "example.org"},
	{GET "Accept: */*\r\nhOST:\t example.org:8080 \t\r\n", 1, "example.org"},
	{"POST /x?y=http://z/ HTTP/1.0\nHOST:a.example.\n\nbody", 1, "a.example"},
	{"\r\n\n" GET "Host:a.example\r\n", 1, "a.example"},
	{"OPTIONS * HTTP/1.1\r\nHost: a.example:\r\n", 1, "a.example"},
	{"VERSION-CONTROL /a HTTP/1.1\r\nHost: a.example\r\n", 1, "a.example"},
	{GET "Host: a b\r\n", 1, "a\\032b"},
	{GET "Host: a.example\r\nHost: A.example\r\n\r\n", 1, "a.example"},
	{GET "Host: a.example\r\nX: y\r\nHost: b.example\r\n\r\n", -EBADMSG, NULL},
	{GET "Host: a.example\r\nHost: a.example:80\r\n\r\n", -EBADMSG, NULL},
	{GET "Host: a.example\r\n\r\nHost: b.example\r\n", 1, "a.example"},
	{GET "Host: a.example", 0, NULL},
	{GET "Hos", 0, NULL},
	{GET, 0, NULL},
	{"GET / HT", 0, NULL},
	{"GET", 0, NULL},
	{"", 0, NULL},
	{"\r\n", 0, NULL},
	{GET "\r\n", -EBADMSG, NULL},
	{GET "X-Host: a.example\r\nHost : a.example\r\nHosts: a.example\r\n\r\n", -EBADMSG, NULL},
	{GET "X: y\r\n Host: a.example\r\n\r\n", -EBADMSG, NULL},
	{GET "Host:\r\n\r\n", -EBADMSG, NULL},
	{GET "Host: :80\r\n\r\n", -EBADMSG, NULL},
	{GET "Host: 127.0.0.1:80\r\n", -EBADMSG, NULL},
	{GET "Host: [::1]:80\r\n", -EBADMSG, NULL},
	{GET "Host: [::1]\r\n", -EBADMSG, NULL},
	{GET "Host: fe80::1\r\n", -EBADMSG, NULL},
	{GET "Host: a.example:x\r\n", -EBADMSG, NULL},
	{"GET http://a.example/ HTTP/1.1\r\n", 1, "a.example"},
	{"GET http://a.example:81 HTTP/1.1\r\nHost: b.example\r\n\r\n", 1, "a.example"},
	{"GET HTTP://user:secret@A.example:81?q HTTP/1.1\r\n", 1, "a.example"},
	{"GET http://x@y@a.example#f HTTP/1.1\r\n", 1, "a.example"},
	{"GET ftp+x://a.example/@b HTTP/1.1\r\n", 1, "a.example"},
	{"GET http://10.0.0.1/ HTTP/1.1\r\nHost: b.example\r\n\r\n", -EBADMSG, NULL},
	{"GET http:/// HTTP/1.1\r\nHost: b.example\r\n\r\n", -EBADMSG, NULL},
	{"GET a/b://c HTTP/1.1\r\nHost: b.example\r\n", 1, "b.example"},
	{"CONNECT A.example:443 HTTP/1.1\r\n", 1, "a.example"},
	{"CONNECT a.example HTTP/1.1\r\nHost: b.example\r\n\r\n\x16\3\1", 1, "a.example"},
	{"CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: b.example\r\n\r\n", -EBADMSG, NULL},
	{"CONNECT [::1]:443 HTTP/1.1\r\n", -EBADMSG, NULL},
	{"connect a.example:443 HTTP/1.1\r\nHost: b.example\r\n", 1, "b.example"},
	/* no requests */
	{"HTTP/1.1 200 OK\r\nHost: a.example\r\n\r\n", -EBADMSG, NULL},
	{"HTTP/", -EBADMSG, NULL},
	{"GET / HTTP/2.0\r\nHost: a.example\r\n", -EBADMSG, NULL},
	{"GET / HTTP/1.x\r\nHost: a.example\r\n", -EBADMSG, NULL},
	{"GET / HTTP/1.10\r\nHost: a.example\r\n", -EBADMSG, NULL},
	{"GET  HTTP/1.1\r\nHost: a.example\r\n", -EBADMSG, NULL},
	{"GET HTTP/1.1\r\nHost: a.example\r\n", -EBADMSG, NULL},
	{"GET /\r\n", -EBADMSG, NULL},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", -EBADMSG, NULL},
	{"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", -EBADMSG, NULL},
	{"EHLO a.example\r\n", -EBADMSG, NULL},
	{" GET / HTTP/1.1\r\n", -EBADMSG, NULL},
	{"METHODMETHODMETHODMETHODMETHODMETHOD", -EBADMSG, NULL},
	{"\5\1", -EBADMSG, NULL},
	{"\x80", -EBADMSG, NULL},
};

START_TEST(request)
{
	size_t size = strlen(requests[_i].data);

	ck_assert_msg(parse(requests[_i].data, size) == requests[_i].ret, "%s", requests[_i].data);
	ck_assert(!out.cut && !out.outer);
	if (requests[_i].ret == 1)
		expect(AGENTSH_EBPF_NAME_HTTP, requests[_i].name, "");
	else
		ck_assert_uint_eq(out.source, 0);
	/* a part of a request never gives another name */
	for (size_t n = 0; n < size; n++)
		if (parse(requests[_i].data, n) == 1 && requests[_i].ret == 1)
			ck_assert_str_eq(out.name, requests[_i].name);
}
END_TEST

/* The header is looked at up to 4,096 bytes. */
START_TEST(long_header)
{
	char data[5000];
	size_t before = 4096 - strlen("\r\nHost: a.example\r\n") + (size_t)_i;

	memset(data, 'x', sizeof(data));
	memcpy(data, GET "X: ", strlen(GET "X: "));
	memcpy(data + before, "\r\nHost: a.example\r\n", strlen("\r\nHost: a.example\r\n"));
	ck_assert_int_eq(parse(data, 4095), 0);
	ck_assert_int_eq(parse(data, 4096), _i ? -EBADMSG : 1);
	ck_assert_int_eq(parse(data, 4097), _i ? -EBADMSG : 1);
}
END_TEST

START_TEST(long_host)
{
	char data[1000];
	int n = snprintf(data, sizeof(data), GET "Host: %0*d.a\r\n", 253 + _i, 0);

	ck_assert_int_eq(parse(data, (size_t)n), 1);
	ck_assert_uint_eq(strlen(out.name), 255);
	ck_assert_int_eq(out.cut, _i);
}
END_TEST

START_TEST(zero_byte)
{
	static const char host[] = GET "Host: a\0b.example\r\n", method[] = "G\0T / HTTP/1.1\r\n";
	static const char two[] = GET "Host: a\0b.example\r\nHost: a\0c.example\r\n";

	ck_assert_int_eq(parse(host, sizeof(host) - 1), 1);
	expect(AGENTSH_EBPF_NAME_HTTP, "a\\000b.example", "");
	ck_assert_int_eq(parse(method, sizeof(method) - 1), -EBADMSG);
	ck_assert_int_eq(parse(two, sizeof(two) - 1), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("first_data");
	TCase *tls = unit_case(suite, "tls"), *http = unit_case(suite, "http");

	tcase_add_loop_test(tls, hello, 0, 60);
	tcase_add_loop_test(tls, hello_size, 0, 3);
	tcase_add_test(tls, hello_too_long);
	tcase_add_test(tls, encrypted_hello);
	tcase_add_loop_test(tls, alpn, 0, 6);
	tcase_add_loop_test(tls, no_server_name, 0, UNIT_COUNT(bad_extensions));
	tcase_add_loop_test(tls, malformed_hello, 0, 11);
	tcase_add_test(tls, other_record_between);
	tcase_add_test(tls, random_hellos);
	tcase_add_loop_test(http, request, 0, UNIT_COUNT(requests));
	tcase_add_loop_test(http, long_header, 0, 2);
	tcase_add_loop_test(http, long_host, 0, 2);
	tcase_add_test(http, zero_byte);
	return unit_main(suite);
}
