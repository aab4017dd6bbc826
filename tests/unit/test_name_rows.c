/* SPDX-License-Identifier: Apache-2.0 */
/* How agentsh-trace shows names, DNS messages and AF_UNIX sockets: rows and JSON lines. */
#include <arpa/inet.h>
#include <string.h>

#include "name_event.h"

/* The row ends with this text, without and with addresses. */
static void check_row(const char *narrow, const char *wide)
{
	static const char before[] = "  connect         tcp       ";
	struct format_text_style style = {0};
	const char *row = strstr(row_of(&style, &names), before);

	ck_assert_ptr_nonnull(row);
	ck_assert_str_eq(row + strlen(before), narrow);
	style.addresses = true;
	row = strstr(row_of(&style, &names), before);
	ck_assert_ptr_nonnull(row);
	ck_assert_str_eq(row + strlen(before), wide);
}

START_TEST(destinations_with_a_name)
{
	begin(AGENTSH_EBPF_EVENT_CONNECT);
	check_row("api.example.org:443\n", "api.example.org:443 192.0.2.7\n");
	names.name.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	names.name.others = 1;
	check_row("api.example.org:443 (or 1 other)\n",
		  "api.example.org:443 192.0.2.7 (or 1 other)\n");
	names.name.others = 2;
	names.name.flags |= AGENTSH_EBPF_NAME_FLAG_EXPIRED;
	event.flags = AGENTSH_EBPF_FLAG_UNTRACKED;
	check_row("api.example.org:443 (or 2 others) (untracked)\n",
		  "api.example.org:443 192.0.2.7 (or 2 others, expired) (untracked)\n");
	names.named = false;
	check_row("192.0.2.7:443 (untracked)\n", "192.0.2.7:443 (untracked)\n");
}
END_TEST

/* The address of a peer that connects was not asked for. */
START_TEST(inbound_connections_have_no_name)
{
	const struct format_text_style style = {.addresses = true};

	begin(AGENTSH_EBPF_EVENT_ACCEPTED);
	event.flags = AGENTSH_EBPF_FLAG_INBOUND;
	strcpy(names.name.server_name, "b.example");
	ck_assert_ptr_nonnull(strstr(row_of(&style, &names), "  192.0.2.7:443 at 0.0.0.0:0\n"));
}
END_TEST

START_TEST(server_names)
{
	begin(AGENTSH_EBPF_EVENT_CONNECT);
	names.name.server_name_source = AGENTSH_EBPF_NAME_TLS;
	strcpy(names.name.server_name, "api.example.org");
	check_row("api.example.org:443\n", "api.example.org:443 192.0.2.7\n");
	strcpy(names.name.server_name, "edge.example.net"); /* the end of the chain */
	check_row("api.example.org:443\n", "api.example.org:443 192.0.2.7\n");
	strcpy(names.name.server_name, "other.example");
	check_row("api.example.org:443 (TLS: other.example)\n",
		  "api.example.org:443 192.0.2.7 (TLS: other.example)\n");
	names.name.flags = AGENTSH_EBPF_NAME_FLAG_OUTER | AGENTSH_EBPF_NAME_FLAG_SHARED;
	names.name.others = 3;
	check_row("api.example.org:443 (or 3 others, TLS: other.example or encrypted)\n",
		  "api.example.org:443 192.0.2.7 (or 3 others, TLS: other.example or encrypted)\n");
	/* Without a look-up, the process may send any name to any address. */
	names.name.flags = 0;
	names.name.source = AGENTSH_EBPF_NAME_NONE;
	*names.name.asked = *names.name.owner = '\0';
	names.name.server_name_source = AGENTSH_EBPF_NAME_HTTP;
	check_row("192.0.2.7:443 (HTTP: other.example)\n", "192.0.2.7:443 (HTTP: other.example)\n");
	strcpy(names.name.server_name, "192.0.2.7");
	check_row("192.0.2.7:443\n", "192.0.2.7:443\n");
	event.family = AF_INET6;
	ck_assert_int_eq(inet_pton(AF_INET6, "2001:db8::7", event.remote_addr), 1);
	strcpy(names.name.server_name, "[2001:db8::7]");
	check_row("[2001:db8::7]:443\n", "[2001:db8::7]:443\n");
	strcpy(names.name.server_name, "[2001:db8::7");
	check_row("[2001:db8::7]:443\n", "[2001:db8::7]:443\n");
}
END_TEST

/* The library escapes domain names; a terminal must be safe even if it did not. */
START_TEST(hostile_texts)
{
	const struct format_text_style style = {.utf8 = true};

	begin(AGENTSH_EBPF_EVENT_CONNECT);
	strcpy(names.name.asked, "a\\.b\\000.\033[2J\n\xe2\x80\xae\xff");
	check_row("a\\.b\\000.\\x1B[2J\\x0A\\xE2\\x80\\xAE\\xFF:443\n",
		  "a\\.b\\000.\\x1B[2J\\x0A\\xE2\\x80\\xAE\\xFF:443 192.0.2.7\n");
	ck_assert_ptr_null(strchr(row_of(&style, &names), '\033'));
	ck_assert_ptr_nonnull(
		strstr(json_of(&names), "\"dst_name\":\"a\\\\.b\\\\000.\\u001b[2J\\u000a"));
	begin(AGENTSH_EBPF_EVENT_SERVER_NAME);
	names.name.server_name_source = AGENTSH_EBPF_NAME_TLS;
	memset(names.name.server_name, 1, sizeof(names.name.server_name) - 1);
	memset(names.name.alpn, 0xff, sizeof(names.name.alpn) - 1);
	memset(names.name.asked, 0x9b, sizeof(names.name.asked) - 1);
	for (const char *c = row_of(&style, &names); *c != '\n'; c++)
		ck_assert(*c >= ' ' && *c < 0x7f);
	ck_assert_uint_lt(strlen(line), 3072); /* LIVE_TABLE_EVENT_MAX / 6 */
	begin(AGENTSH_EBPF_EVENT_UNIX_CONNECT);
	event.family = AF_UNIX;
	strcpy(names.name.asked, "/run/\\092\033[2J");
	ck_assert_ptr_nonnull(strstr(row_of(&style, &names), "  unix      /run/\\092\\x1B[2J\n"));
}
END_TEST

START_TEST(server_name_events)
{
	const struct format_text_style style = {.addresses = true};

	begin(AGENTSH_EBPF_EVENT_SERVER_NAME);
	names.name.server_name_source = AGENTSH_EBPF_NAME_TLS;
	strcpy(names.name.server_name, "other.example");
	strcpy(names.name.alpn, "h2,http/1.1");
	ck_assert_ptr_nonnull(strstr(row_of(&style, &names),
				     "  server_name     tcp       api.example.org:443 192.0.2.7"
				     "  TLS: other.example, h2,http/1.1\n"));
	ck_assert_ptr_nonnull(strstr(row_of(&style, NULL), "  192.0.2.7:443\n"));
}
END_TEST

/* What follows the columns before the destination. */
static void check_dns(const char *wanted)
{
	static const char before[] = "  udp       ";
	const struct format_text_style style = {0};
	const char *row = strstr(row_of(&style, &names), before);

	ck_assert_ptr_nonnull(row);
	ck_assert_str_eq(row + strlen(before), wanted);
}

START_TEST(dns_rows)
{
	const struct format_text_style plain = {0}, colours = {.colour = true};

	begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 1, 0, 2);
	check_dns("api.example.org A at 192.0.2.53:53  192.0.2.1, 192.0.2.2 2.1 ms\n");
	begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 1, 0, 40);
	check_dns("api.example.org A at 192.0.2.53:53  192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4 "
		  "and 36 more 2.1 ms\n");
	begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 28, 0, 0);
	check_dns("api.example.org AAAA at 192.0.2.53:53  no addresses 2.1 ms\n");
	names.dns.flags = AGENTSH_EBPF_DNS_FLAG_TRUNCATED | AGENTSH_EBPF_DNS_FLAG_UNTRUSTED;
	check_dns("api.example.org AAAA at 192.0.2.53:53 (untrusted)  truncated 2.1 ms\n");
	begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 65, 0, 0);
	check_dns("api.example.org HTTPS at 192.0.2.53:53  answered 2.1 ms\n");
	begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 1234, 3841, 0);
	check_dns("api.example.org TYPE1234 at 192.0.2.53:53  RCODE3841 2.1 ms\n");
	begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 1, 3, 0);
	ck_assert_ptr_nonnull(
		strstr(row_of(&colours, &names), "  \033[31mNXDOMAIN\033[0m 2.1 ms\n"));
	begin_dns(AGENTSH_EBPF_EVENT_DNS_QUERY, 16, 0, 0);
	check_dns("api.example.org TXT at 192.0.2.53:53  no answer\n");
	ck_assert_ptr_nonnull(strstr(row_of(&colours, &names), "\033[31mdns_query"));
	ck_assert_ptr_nonnull(strstr(row_of(&plain, NULL), "  - at 192.0.2.53:53  no answer\n"));
}
END_TEST

START_TEST(unix_rows)
{
	const struct format_text_style style = {.addresses = true};

	begin(AGENTSH_EBPF_EVENT_UNIX_CONNECT);
	event.family = AF_UNIX;
	strcpy(names.name.asked, "@abstract");
	ck_assert_ptr_nonnull(
		strstr(row_of(&style, &names), "  unix_connect    unix      @abstract\n"));
	ck_assert_ptr_nonnull(
		strstr(json_of(&names), ",\"dst_path\":\"@abstract\",\"session_lost\""));
	ck_assert_ptr_nonnull(strstr(line, ",\"family\":\"unix\","));
	ck_assert_ptr_nonnull(strstr(row_of(&style, NULL), "  unix      -\n"));
	ck_assert_ptr_nonnull(strstr(json_of(NULL), ",\"dst_path\":null,"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_rows");
	TCase *tcase = unit_case(suite, "name_rows");

	tcase_add_test(tcase, destinations_with_a_name);
	tcase_add_test(tcase, inbound_connections_have_no_name);
	tcase_add_test(tcase, server_names);
	tcase_add_test(tcase, hostile_texts);
	tcase_add_test(tcase, server_name_events);
	tcase_add_test(tcase, dns_rows);
	tcase_add_test(tcase, unix_rows);
	return unit_main(suite);
}
