/* SPDX-License-Identifier: Apache-2.0 */
/* The values of --allow and --deny of agentsh-trace. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "rules_text.h"
#include "unit.h"

static struct agentsh_ebpf_rule rule;
static char host[RULES_TEXT_HOST_MAX];

/* "192.0.2.0/24 80-90 6", or "example.org 0-0 17" for a host */
static const char *parsed(const char *text)
{
	static char line[512];
	char ip[INET6_ADDRSTRLEN] = "";

	if (!rules_text_parse(text, &rule, host))
		return "malformed";
	ck_assert_uint_eq(rule.rule_id, 0);
	ck_assert_uint_eq(rule.action, 0);
	if (rule.family) {
		ck_assert_str_eq(host, "");
		ck_assert_uint_eq(rule.flags, 0);
		ck_assert_ptr_nonnull(inet_ntop(rule.family, rule.addr, ip, sizeof(ip)));
		snprintf(line, sizeof(line), "%s/%u %u-%u %u", ip, rule.prefix_len, rule.first_port,
			 rule.last_port, rule.protocol);
	} else {
		ck_assert_uint_eq(rule.flags, AGENTSH_EBPF_RULE_LISTED);
		ck_assert_uint_eq(rule.prefix_len, 0);
		snprintf(line, sizeof(line), "%s %u-%u %u", host, rule.first_port, rule.last_port,
			 rule.protocol);
	}
	return line;
}

START_TEST(prefixes)
{
	ck_assert_str_eq(parsed("192.0.2.1"), "192.0.2.1/32 0-0 0");
	ck_assert_str_eq(parsed("192.0.2.0/24"), "192.0.2.0/24 0-0 0");
	ck_assert_str_eq(parsed("0.0.0.0/0"), "0.0.0.0/0 0-0 0");
	ck_assert_str_eq(parsed("192.0.2.1:443"), "192.0.2.1/32 443-443 0");
	ck_assert_str_eq(parsed("192.0.2.0/24:1-65535/tcp"), "192.0.2.0/24 1-65535 6");
	ck_assert_str_eq(parsed("192.0.2.0/24/udp"), "192.0.2.0/24 0-0 17");
	ck_assert_str_eq(parsed("2001:db8::1"), "2001:db8::1/128 0-0 0");
	ck_assert_str_eq(parsed("::/0/tcp"), "::/0 0-0 6");
	ck_assert_str_eq(parsed("2001:db8::/32"), "2001:db8::/32 0-0 0");
	ck_assert_str_eq(parsed("[2001:db8::/32]"), "2001:db8::/32 0-0 0");
	ck_assert_str_eq(parsed("[::1]:80-90/udp"), "::1/128 80-90 17");
	ck_assert_str_eq(parsed("[::1]/tcp"), "::1/128 0-0 6");
	ck_assert_str_eq(parsed("::ffff:192.0.2.1"), "::ffff:192.0.2.1/128 0-0 0");
}
END_TEST

START_TEST(hosts)
{
	static char longest[300] = "";

	ck_assert_str_eq(parsed("example.org"), "example.org 0-0 0");
	ck_assert_str_eq(parsed("API.Example.ORG.:443/tcp"), "api.example.org 443-443 6");
	ck_assert_str_eq(parsed("localhost/udp"), "localhost 0-0 17");
	ck_assert_str_eq(parsed("_dns.xn--bcher-kva.example:8000-8099"),
			 "_dns.xn--bcher-kva.example 8000-8099 0");
	ck_assert_str_eq(parsed("1.example"), "1.example 0-0 0");
	ck_assert_str_eq(parsed("tcp"), "tcp 0-0 0");
	for (int i = 0; i < 126; i++)
		strcat(longest, "a.");
	strcat(longest, "a");
	ck_assert_uint_eq(strlen(longest), 253);
	ck_assert(rules_text_parse(longest, &rule, host));
	ck_assert_str_eq(host, longest);
	strcat(longest, ".");
	ck_assert(rules_text_parse(longest, &rule, host));
	strcpy(longest + 253, "a");
	ck_assert(!rules_text_parse(longest, &rule, host));
}
END_TEST

START_TEST(malformed)
{
	static const char *const texts[] = {
		"",
		":",
		":80",
		"/",
		"/tcp",
		"/24",
		".",
		"..",
		"a..b",
		".a",
		"-a",
		"a-.b",
		"a b",
		"a\n",
		"\xc3\xbc.example",
		"example.org/24",
		"example.org/sctp",
		"example.org/TCP",
		"example.org/tcp/udp",
		"example.org:",
		"example.org:0",
		"example.org:65536",
		"example.org:80-",
		"example.org:-80",
		"example.org:90-80",
		"example.org:80-90-100",
		"example.org:+80",
		"example.org:80 ",
		"example.org:99999999999999999999",
		"example.org:http",
		"192.0.2.1/33",
		"192.0.2.1/",
		"192.0.2.1/-1",
		"192.0.2.1/24x",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.1.",
		"3221225985",
		"0x7f000001",
		"127.0x1",
		"192.0.2.0:80/24",
		"2001:db8::1/129",
		"2001:db8::g",
		"fe80::1%eth0",
		"[192.0.2.1]:80",
		"[example.org]:80",
		"[::1",
		"[::1]80",
		"[::1]:",
		"[::1]:80:90",
		"[::1]/64",
		"[]",
		"[",
		"*",
	};

	for (size_t i = 0; i < UNIT_COUNT(texts); i++)
		ck_assert_msg(!strcmp(parsed(texts[i]), "malformed"), "'%s' is accepted: %s",
			      texts[i], parsed(texts[i]));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules_text");
	TCase *tcase = unit_case(suite, "rules_text");

	tcase_add_test(tcase, prefixes);
	tcase_add_test(tcase, hosts);
	tcase_add_test(tcase, malformed);
	return unit_main(suite);
}
