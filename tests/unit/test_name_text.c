/* SPDX-License-Identifier: Apache-2.0 */
/* Names: from messages, from the host, and as text. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names/name_text.h"
#include "unit.h"

#define L63 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"
#define L61 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghija"

static struct agentsh_wire_name name;

/* Reads from a block of its size, so that a read past its end is reported. */
static int read_name(const void *message, size_t size, size_t at)
{
	uint8_t *copy = malloc(size ? size : 1);
	int ret;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, message, size);
	memset(&name, 0xa5, sizeof(name));
	ret = agentsh_wire_name_read(copy, size, at, &name);
	free(copy);
	return ret;
}

static const struct {
	const char *bytes;
	size_t size, at;
	int ret;
	const char *text; /* NULL: an error */
} messages[] = {
	{"", 1, 0, 1, "."},
	{"\1a", 3, 0, 3, "a"},
	{"\3wWw\2DE", 8, 0, 8, "www.de"},
	{"\1.\1\\\2\0a", 8, 0, 8, "\\..\\\\.\\000a"},
	{"\4 ~\x7f\xff", 6, 0, 6, "\\032~\\127\\255"},
	{"\6(@;$\")", 8, 0, 8, "(@;$\")"},
	{"\1[\1@\1`\1{", 9, 0, 9, "[.@.`.{"},
	/* pointers: back, to a pointer, forward, and to the root */
	{"\1a\0\1b\xc0", 7, 3, 4, "b.a"},
	{"\1a\0\xc0\0\xc0\3", 7, 5, 2, "a"},
	{"\xc0\2\1a", 5, 0, 2, "a"},
	{"\0\xc0", 3, 1, 2, "."},
	/* loops */
	{"\xc0", 2, 0, -EBADMSG, NULL},
	{"\xc0\2\xc0", 4, 0, -EBADMSG, NULL},
	{"\1a\xc0", 4, 0, -EBADMSG, NULL},
	/* other kinds of label */
	{"\x40", 2, 0, -EBADMSG, NULL},
	{"\x80", 2, 0, -EBADMSG, NULL},
	{"\x41\1a", 4, 0, -EBADMSG, NULL},
	/* the end of the message */
	{"", 0, 0, -ENODATA, NULL},
	{"\1a", 3, 3, -ENODATA, NULL},
	{"\1a", 3, 9, -ENODATA, NULL},
	{"\1a", 2, 0, -ENODATA, NULL},
	{"\1a", 1, 0, -ENODATA, NULL},
	{"\xc0", 1, 0, -ENODATA, NULL},
	{"\xc0\2", 2, 0, -ENODATA, NULL},
	{"\xff\xff", 2, 0, -ENODATA, NULL},
};

START_TEST(from_message)
{
	char text[AGENTSH_NAME_TEXT];

	ck_assert_int_eq(read_name(messages[_i].bytes, messages[_i].size, messages[_i].at),
			 messages[_i].ret);
	if (!messages[_i].text)
		return;
	ck_assert(agentsh_name_text(&name, text));
	ck_assert_str_eq(text, messages[_i].text);
}
END_TEST

/* Makes n labels of a length, and returns the size without the empty label. */
static size_t labels(uint8_t *message, size_t n, uint8_t length, char byte)
{
	for (size_t i = 0; i < n; i++) {
		message[i * (length + 1U)] = length;
		memset(message + i * (length + 1U) + 1, byte, length);
	}
	return n * (length + 1U);
}

START_TEST(longest)
{
	uint8_t message[600] = {0};
	char text[AGENTSH_NAME_TEXT];
	size_t n;

	n = labels(message, 3, 63, 'a');
	labels(message + n, 1, 61, 'b');
	ck_assert_int_eq(read_name(message, sizeof(message), 0), 255);
	ck_assert_uint_eq(name.size, 255);
	ck_assert(agentsh_name_text(&name, text));
	ck_assert_uint_eq(strlen(text), 253);
	labels(message + n, 1, 62, 'b');
	ck_assert_int_eq(read_name(message, sizeof(message), 0), -EBADMSG);

	memset(message, 0, sizeof(message));
	labels(message, 127, 1, 'a');
	ck_assert_int_eq(read_name(message, sizeof(message), 0), 255);
	ck_assert(agentsh_name_text(&name, text));
	ck_assert_uint_eq(strlen(text), 253);
	labels(message, 128, 1, 'a');
	ck_assert_int_eq(read_name(message, sizeof(message), 0), -EBADMSG);
}
END_TEST

/* 127 labels behind one pointer each are a name; 128 pointers in a row are an attack. */
START_TEST(many_pointers)
{
	uint8_t message[4096] = {0};
	char text[AGENTSH_NAME_TEXT];

	for (size_t i = 0; i < 127; i++) {
		size_t to = i < 126 ? (i + 1) * 5 : 0;

		message[i * 5] = 1;
		message[i * 5 + 1] = 'a';
		message[i * 5 + 2] = to ? (uint8_t)(0xc0 | to >> 8) : 0;
		message[i * 5 + 3] = (uint8_t)to;
	}
	ck_assert_int_eq(read_name(message, sizeof(message), 0), 4);
	ck_assert(agentsh_name_text(&name, text));
	ck_assert_uint_eq(strlen(text), 253);
	for (size_t i = 0; i < 128; i++) {
		message[i * 2] = 0xc0;
		message[i * 2 + 1] = (uint8_t)(i * 2 + 2);
	}
	message[255] = 0xff;
	message[254] = 0xc0;
	ck_assert_int_eq(read_name(message, sizeof(message), 2), -EBADMSG);
}
END_TEST

/* A text that does not fit is cut before an escape, and does not end with a dot. */
START_TEST(text_cut)
{
	uint8_t message[300] = {0};
	char text[AGENTSH_NAME_TEXT], expected[AGENTSH_NAME_TEXT] = "";

	labels(message, 2, 63, '\0');
	ck_assert_int_eq(read_name(message, sizeof(message), 0), 129);
	ck_assert(!agentsh_name_text(&name, text));
	for (int i = 0; i < 63; i++)
		strcat(expected, "\\000");
	ck_assert_str_eq(text, expected); /* 252 bytes: neither a dot nor a fourth byte fits */
	ck_assert_uint_eq(strlen(text), 252);

	memset(message, 0, sizeof(message));
	memset(message + labels(message, 1, 63, '\0'), 'x', 3);
	message[64] = 2; /* "." "x" "x" fit exactly */
	ck_assert_int_eq(read_name(message, sizeof(message), 0), 68);
	ck_assert(agentsh_name_text(&name, text));
	ck_assert_uint_eq(strlen(text), 255);
	message[64] = 3;
	ck_assert_int_eq(read_name(message, sizeof(message), 0), 69);
	ck_assert(!agentsh_name_text(&name, text));
	ck_assert_uint_eq(strlen(text), 255);
}
END_TEST

START_TEST(equal)
{
	struct agentsh_wire_name a;

	ck_assert_int_eq(read_name("\1A\1b", 5, 0), 5);
	a = name;
	ck_assert_int_eq(read_name("\1a\1B", 5, 0), 5);
	ck_assert(agentsh_wire_name_equal(&a, &name));
	ck_assert_int_eq(read_name("\3a.b", 5, 0), 5);
	ck_assert(!agentsh_wire_name_equal(&a, &name));
	ck_assert_int_eq(read_name("\1a", 3, 0), 3);
	ck_assert(!agentsh_wire_name_equal(&a, &name));
	ck_assert(!agentsh_wire_name_equal(&name, &a));
}
END_TEST

static const struct {
	const char *name;
	const char *text; /* NULL: refused */
} hosts[] = {
	{"Example.ORG", "example.org"},
	{"example.org.", "example.org"},
	{"localhost", "localhost"},
	{"_sip._tcp.example", "_sip._tcp.example"},
	{"xn--bcher-kva.example", "xn--bcher-kva.example"},
	{"a\\.b.c", "a\\.b.c"},
	{"a\\046b.\\067", "a\\.b.c"},
	{"\\000\\032\\\\", "\\000\\032\\\\"},
	{"\\a\\.", "a\\."},
	{L63 "." L63 "." L63 "." L61, L63 "." L63 "." L63 "." L61},
	{L63 "." L63 "." L63 "." L61 ".", L63 "." L63 "." L63 "." L61},
	{L63 "." L63 "." L63 "." L61 "a", NULL},
	{L63 "." L63 "." L63 "." L61 ".a", NULL},
	{L63 "a", NULL},
	{"", NULL},
	{".", NULL},
	{"..", NULL},
	{"a..", NULL},
	{".a", NULL},
	{"a..b", NULL},
	{"a b", NULL},
	{"a\n", NULL},
	{"a\x7f", NULL},
	{"b\xc3\xbc"
	 "cher.example",
	 NULL},
	{"\\", NULL},
	{"a.\\", NULL},
	{"\\0", NULL},
	{"\\00", NULL},
	{"\\00a", NULL},
	{"\\256", NULL},
	{"\\ ", NULL},
};

START_TEST(host)
{
	char text[AGENTSH_NAME_TEXT], again[AGENTSH_NAME_TEXT];

	strcpy(text, "unchanged");
	ck_assert_int_eq(agentsh_name_from_host(hosts[_i].name, text),
			 hosts[_i].text ? 0 : -EINVAL);
	ck_assert_str_eq(text, hosts[_i].text ? hosts[_i].text : "unchanged");
	if (!hosts[_i].text)
		return;
	ck_assert(!agentsh_name_from_host(text, again));
	ck_assert_str_eq(again, text);
}
END_TEST

/* A text that is too long with its escapes is refused, although the name is valid. */
START_TEST(host_does_not_fit)
{
	char in[400] = "", text[AGENTSH_NAME_TEXT];

	for (int i = 0; i < 63; i++)
		strcat(in, "\\001");
	strcat(in, ".ab");
	ck_assert(!agentsh_name_from_host(in, text));
	strcat(in, "c");
	ck_assert_int_eq(agentsh_name_from_host(in, text), -EINVAL);
}
END_TEST

static const struct {
	const char *name;
	const char *text; /* NULL: refused */
} packets[] = {
	{"Example.ORG.", "example.org"},
	{"a b\\c", "a\\032b\\\\c"},
	{"b\xc3\xbc.example", "b\\195\\188.example"},
	{"a..b", "a..b"},
	{".a", ".a"},
	{"a..", "a."},
	{"1.2.3.4.example", "1.2.3.4.example"},
	{"0xg", "0xg"},
	{"a:b", "a:b"},
	{"", NULL},
	{".", NULL},
	{"127.0.0.1", NULL},
	{"127.0.0.1.", NULL},
	{"2130706433", NULL},
	{"0x7f.1", NULL},
	{"0x7F000001", NULL},
	{"0x", NULL},
	{"a.0XfF", NULL},
	{"::1", NULL},
	{"2001:db8::", NULL},
	{"2001:DB8:0:0:0:0:0:a", NULL},
	{"::ffff:1.2.3.4", NULL},
	{"[::1]", NULL},
};

START_TEST(packet)
{
	char text[AGENTSH_NAME_TEXT];
	size_t size = strlen(packets[_i].name);
	uint8_t *copy = malloc(size ? size : 1);
	bool cut = true;
	int ret;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, packets[_i].name, size);
	ret = agentsh_name_from_packet(copy, size, text, &cut);
	free(copy);
	ck_assert_msg(ret == (packets[_i].text ? 0 : -EINVAL), "%s", packets[_i].name);
	if (ret)
		return;
	ck_assert_str_eq(text, packets[_i].text);
	ck_assert(!cut);
}
END_TEST

START_TEST(packet_cut)
{
	uint8_t bytes[1000];
	char text[AGENTSH_NAME_TEXT];
	bool cut;

	memset(bytes, 'A', sizeof(bytes));
	ck_assert(!agentsh_name_from_packet(bytes, 255, text, &cut));
	ck_assert(!cut);
	ck_assert_uint_eq(strlen(text), 255);
	ck_assert(!agentsh_name_from_packet(bytes, 256, text, &cut));
	ck_assert(cut);
	ck_assert_uint_eq(strlen(text), 255);
	bytes[252] = 0;
	ck_assert(!agentsh_name_from_packet(bytes, 253, text, &cut));
	ck_assert(cut);
	ck_assert_uint_eq(strlen(text), 252);
	memset(bytes, '.', sizeof(bytes));
	ck_assert(!agentsh_name_from_packet(bytes, sizeof(bytes), text, &cut));
	ck_assert(cut);
	ck_assert_uint_eq(strlen(text), 255);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_text");
	TCase *tcase = unit_case(suite, "name_text");

	tcase_add_loop_test(tcase, from_message, 0, UNIT_COUNT(messages));
	tcase_add_test(tcase, longest);
	tcase_add_test(tcase, many_pointers);
	tcase_add_test(tcase, text_cut);
	tcase_add_test(tcase, equal);
	tcase_add_loop_test(tcase, host, 0, UNIT_COUNT(hosts));
	tcase_add_test(tcase, host_does_not_fit);
	tcase_add_loop_test(tcase, packet, 0, UNIT_COUNT(packets));
	tcase_add_test(tcase, packet_cut);
	return unit_main(suite);
}
