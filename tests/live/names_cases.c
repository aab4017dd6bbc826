/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "names_cases.h"

const struct names_case names_cases[] = {
	{"A", "a.test", NAMES_A, .address = "127.0.1.1", .answers = 1,
	 .want = {.asked = "a.test", .ttl_s = 300}},
	{"AAAA", "a.test", NAMES_AAAA, .address = "fd53::1", .answers = 1,
	 .want = {.asked = "a.test", .ttl_s = 301}},
	{"CNAME", "c1.test", NAMES_A, .address = "127.0.1.2", .answers = 1,
	 .want = {.asked = "c1.test", .owner = "c3.cdn.test", .ttl_s = 60}},
	{"CNAME, AAAA", "c1.test", NAMES_AAAA, .address = "fd53::2", .answers = 1,
	 .want = {.asked = "c1.test", .owner = "c3.cdn.test", .ttl_s = 60}},
	{"50 addresses, the first", "fifty.test", NAMES_A, .address = "127.0.2.1", .answers = 1,
	 .want = {.asked = "fifty.test", .ttl_s = 120}},
	{"50 addresses, the 32nd", "fifty.test", NAMES_A, .address = "127.0.2.32", .answers = 1,
	 .want = {.asked = "fifty.test", .ttl_s = 120}},
	{"50 addresses, behind the limit of 32", "fifty.test", NAMES_A, .address = "127.0.2.50",
	 .answers = 1},
	{"truncated, then TCP", "big.test", NAMES_A, .then_tcp = true, .address = "127.0.1.3",
	 .answers = 2,
	 .want = {.asked = "big.test", .ttl_s = 30, .source = AGENTSH_EBPF_NAME_DNS_TCP}},
	{"EDNS, 3 KiB", "large.test", NAMES_A, .edns = 4096, .address = "127.0.1.4", .answers = 1,
	 .want = {.asked = "large.test", .ttl_s = 31}},
	{"0x20", "MiXeD.tEsT", NAMES_A, .address = "127.0.1.5", .answers = 1,
	 .want = {.asked = "mixed.test", .ttl_s = 32}},
	{"the answer repeats the question in another case", "LoWeR.Test", NAMES_A,
	 .address = "127.0.1.23", .answers = 1, .want = {.asked = "lower.test", .ttl_s = 37}},
	{"owner in upper case", "upper.test", NAMES_A, .address = "127.0.1.6", .answers = 1,
	 .want = {.asked = "upper.test", .ttl_s = 33}},
	{"TTL 0", "zero.test", NAMES_A, .address = "127.0.1.7", .answers = 1,
	 .want = {.asked = "zero.test", .ttl_s = 0, .flags = AGENTSH_EBPF_NAME_FLAG_EXPIRED}},
	{"a compression loop", "loop.test", NAMES_A, .address = "127.0.1.8", .malformed = 1},
	{"cut in a record", "cut.test", NAMES_A, .address = "127.0.1.9", .malformed = 1},
	{"a label of 63 bytes", LABEL63 ".test", NAMES_A, .address = "127.0.1.10", .answers = 1,
	 .want = {.asked = LABEL63 ".test", .ttl_s = 34}},
	{"a name of 255 bytes", NAME255, NAMES_A, .address = "127.0.1.11", .answers = 1,
	 .want = {.asked = NAME255, .ttl_s = 34}},
	{"a dot in a label", "do\\.t.test", NAMES_A, .address = "127.0.1.12", .answers = 1,
	 .want = {.asked = "do\\.t.test", .ttl_s = 34}},
	{"a NUL byte in a label", "nu\\000l.test", NAMES_A, .address = "127.0.1.13", .answers = 1,
	 .want = {.asked = "nu\\000l.test", .ttl_s = 34}},
	{"a newline and a byte of UTF-8 in a label", "n\\010\\195.test", NAMES_A,
	 .address = "127.0.1.14", .answers = 1, .want = {.asked = "n\\010\\195.test", .ttl_s = 34}},
	{"Punycode", "xn--bcher-kva.test", NAMES_A, .address = "127.0.1.15", .answers = 1,
	 .want = {.asked = "xn--bcher-kva.test", .ttl_s = 34}},
	{"NXDOMAIN", "none.test", NAMES_A, .address = "127.0.1.16", .answers = 1},
	{"SERVFAIL", "fail.test", NAMES_A, .address = "127.0.1.17", .answers = 1},
	{"an address in the additional section only", "additional.test", NAMES_A,
	 .address = "127.0.1.18", .answers = 1},
	{"a late duplicate", "twice.test", NAMES_A, .address = "127.0.1.19", .answers = 1,
	 .unasked = 1, .want = {.asked = "twice.test", .ttl_s = 35}},
	{"IP options", "options.test", NAMES_A, .address = "127.0.1.20", .answers = 1,
	 .want = {.asked = "options.test", .ttl_s = 36}},
	{"a record of another name", "stray.test", NAMES_A, .address = "127.0.1.21", .answers = 1},
	{"a loop of CNAME records", "circle.test", NAMES_A, .address = "127.0.1.22", .answers = 1},
};
const size_t names_cases_count = LIVE_COUNT(names_cases);

/* Names that need more than one A record with the TTL that the table expects. */
static bool special(const struct names_query *q, struct names_message *m)
{
	char text[64];

	if (!strcmp(q->name, "c1.test")) {
		names_cname(m, NULL, 300, "c2.test");
		names_cname(m, "c2.test", 200, "c3.cdn.test");
		names_address(m, "c3.cdn.test", 60, q->type == NAMES_A ? "127.0.1.2" : "fd53::2");
	} else if (!strcmp(q->name, "fifty.test")) {
		for (int i = 1; i <= 50; i++) {
			snprintf(text, sizeof(text), "127.0.2.%d", i);
			names_address(m, NULL, 120, text);
		}
	} else if (!strcmp(q->name, "big.test") && !q->tcp) {
		names_set_flags(m, NAMES_TC);
	} else if (!strcmp(q->name, "large.test")) {
		static const char filler[250] = {(char)249};

		for (int i = 0; i < 12; i++)
			names_record(m, NULL, NAMES_TXT, 31, filler, sizeof(filler));
		names_address(m, NULL, 31, "127.0.1.4");
	} else if (!strcmp(q->name, "loop.test")) {
		uint16_t at = (uint16_t)(0xc000 | m->size);

		names_put16(m, at); /* a name that points to itself */
		names_put(m, "\0\1\0\1\0\0\0\1\0\4\x7f\0\1\10", 14);
		m->data[7] = 1;
	} else if (!strcmp(q->name, "cut.test")) {
		names_address(m, NULL, 31, "127.0.1.9");
		m->size -= 2;
	} else if (!strcmp(q->name, "additional.test")) {
		names_address(m, NULL, 31, "127.0.1.18");
		m->data[7] = 0;
		m->data[11] = 1;
	} else if (!strcmp(q->name, "stray.test")) {
		names_address(m, "other.test", 31, "127.0.1.21");
	} else if (!strcmp(q->name, "circle.test")) {
		names_cname(m, NULL, 31, "circle2.test");
		names_cname(m, "circle2.test", 31, "circle.test");
	} else {
		return false;
	}
	return true;
}

void names_cases_zone(const struct names_query *q, struct names_answer *answer)
{
	struct names_message *m = &answer->message;
	const struct names_case *c;

	names_reply(m, q,
		    !strcmp(q->name, "none.test")   ? NAMES_NXDOMAIN
		    : !strcmp(q->name, "fail.test") ? NAMES_SERVFAIL
						    : NAMES_NOERROR);
	if (m->data[3] & 15 || special(q, m))
		return;
	for (size_t i = 13; !strcmp(q->name, "LoWeR.Test") && i < m->size - 4; i++)
		m->data[i] |= m->data[i] > 63 ? 0x20 : 0;
	answer->copies = strcmp(q->name, "twice.test") ? 1 : 2;
	answer->options = !strcmp(q->name, "options.test");
	for (size_t i = 0; i < names_cases_count; i++) {
		c = &names_cases[i];
		if (c->type == q->type && !strcmp(c->name, q->name)) {
			names_address(m, strcmp(q->name, "upper.test") ? NULL : "UPPER.Test",
				      c->want.ttl_s, c->address);
			return;
		}
	}
	answer->message.size = 0;
}
