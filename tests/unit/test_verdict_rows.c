/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict of rules in the rows, the JSON lines and the summary of agentsh-trace. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "unit.h"
#include "format_json.h"
#include "format_text.h"
#include "names.h"
#include "options.h"
#include "rows_harness.h"
#include "summary.h"

/* Without rules the members are missing, as before there were rules. */
START_TEST(verdict_in_json)
{
	const struct format_json_details details = {0};
	struct agentsh_ebpf_event event = rows_event("192.0.2.1", 0);
	struct text t = rows_begin();

	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_null(strstr(rows_end(&t), "verdict"));
	ck_assert_ptr_null(strstr(rows_line, "rule_id"));
	event.verdict = AGENTSH_EBPF_VERDICT_ALLOWED; /* no rule matched */
	t = rows_begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), ",\"verdict\":\"allowed\",\"rule_id\":0}\n"));
	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	event.rule_id = UINT32_MAX;
	t = rows_begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(
		strstr(rows_end(&t), ",\"verdict\":\"denied\",\"rule_id\":4294967295}\n"));
}
END_TEST

START_TEST(verdict_in_a_row)
{
	const struct format_text_style coloured = {.colour = true, .traffic = true};
	const struct format_text_progress connected = {.connected = true, .connected_ns = 2000000};
	struct agentsh_ebpf_event event = rows_event("192.0.2.1", 0);
	struct text t = rows_begin();

	event.verdict = AGENTSH_EBPF_VERDICT_ALLOWED;
	event.rule_id = 2;
	ck_assert_str_eq(rows_destination(&event, NULL), "192.0.2.1:80\n");
	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	ck_assert_str_eq(rows_destination(&event, NULL), "192.0.2.1:80  denied: rule 2\n");
	format_text_event(&t, &coloured, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\033[31mconnect  "));
	ck_assert_ptr_nonnull(strstr(rows_line, "\033[31m192.0.2.1:80\033[0m  "
						"\033[31mdenied: rule 2\033[0m\n"));
	event.rule_id = 0;
	ck_assert_str_eq(rows_destination(&event, NULL), "192.0.2.1:80  denied: --default=deny\n");
	event.verdict = AGENTSH_EBPF_VERDICT_WOULD_DENY;
	ck_assert_str_eq(rows_destination(&event, NULL),
			 "192.0.2.1:80 (would deny: --default=deny)\n");
	t = rows_begin(); /* the attempt goes on */
	format_text_connection(&t, &coloured, &event, NULL, 0, &connected);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\033[36mconnect  "));
	ck_assert_ptr_nonnull(strstr(rows_line,
				     "\033[33m (would deny: --default=deny)\033[0m\033[2m -> "
				     "\033[0m2.0 ms\n"));
}
END_TEST

START_TEST(rule_in_a_row)
{
	static const struct options_rule rules[] = {
		{.option = "--allow", .text = "192.0.2.0/24"},
		{.option = "--deny", .text = "[2001:db8::/32]:80/tcp"},
	};
	const struct format_text_style style = {.rules = rules, .rules_given = UNIT_COUNT(rules)};
	struct agentsh_ebpf_event event = rows_event("2001:db8::1", 0);
	struct text t = rows_begin();

	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	event.rule_id = 2;
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  denied: --deny [2001:db8::/32]:80/tcp\n"));
	event.rule_id = 3;
	t = rows_begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  denied: rule 3\n"));
}
END_TEST

START_TEST(denied_connections_are_counted_as_failed)
{
	struct agentsh_ebpf_event event = rows_event("192.0.2.1", 0);
	static struct summary summary;

	summary_add(&summary, &event, true);
	ck_assert_uint_eq(summary.failed, 0);
	event.verdict = AGENTSH_EBPF_VERDICT_WOULD_DENY;
	summary_add(&summary, &event, true);
	ck_assert_uint_eq(summary.failed, 0);
	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	summary_add(&summary, &event, true);
	ck_assert_uint_eq(summary.failed, 1);
	ck_assert_uint_eq(summary_open(&summary), 0);
	event.protocol = IPPROTO_UDP; /* not a connection */
	event.socket_type = SOCK_DGRAM;
	summary_add(&summary, &event, true);
	ck_assert_uint_eq(summary.failed, 1);
}
END_TEST

/* A socket that is not made has no addresses, and the option denies it, not a rule. */
START_TEST(denied_sockets)
{
	const struct format_text_style coloured = {.colour = true};
	const struct format_text_style style = {0};
	struct names names = {0};
	const struct format_json_details details = {.names = &names};
	struct agentsh_ebpf_event event = rows_event("192.0.2.1", 0);
	struct text t = rows_begin();

	event.kind = AGENTSH_EBPF_EVENT_SOCKET_DENIED;
	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	event.protocol = IPPROTO_ICMP;
	event.socket_type = SOCK_RAW;
	memset(event.remote_addr, 0, sizeof(event.remote_addr));
	event.remote_port = 0;
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  socket_denied   icmp      raw socket of IPv4"
						   "  denied: --strict-sockets\n"));
	t = rows_begin();
	format_text_event(&t, &coloured, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\033[31msocket_denied "));
	ck_assert_ptr_nonnull(strstr(rows_line, "\033[31mraw socket of IPv4\033[0m"));
	t = rows_begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "{\"type\":\"net_socket_denied\","));
	ck_assert_ptr_nonnull(strstr(rows_line, "\"family\":\"ipv4\",\"v4_mapped\":false,"
						"\"proto\":\"icmp\",\"protocol\":1,"
						"\"socket_type\":\"raw\",\"dst_ip\":\"\","));
	ck_assert_ptr_nonnull(strstr(rows_line, ",\"verdict\":\"denied\",\"rule_id\":0}\n"));
	ck_assert_ptr_null(strstr(rows_line, "dst_name"));
	event.verdict = AGENTSH_EBPF_VERDICT_WOULD_DENY;
	event.family = AF_INET6;
	t = rows_begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(
		strstr(rows_end(&t), "  raw socket of IPv6 (would deny: --strict-sockets)\n"));
}
END_TEST

START_TEST(denied_packets)
{
	const struct format_text_style coloured = {.colour = true, .default_allows = true};
	const struct format_text_style style = {.default_allows = true};
	const struct format_json_details details = {0};
	struct agentsh_ebpf_event event = rows_event("192.0.2.1", AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	struct text t = rows_begin();

	event.kind = AGENTSH_EBPF_EVENT_PACKET_DENIED;
	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	event.rule_id = 2;
	ck_assert_str_eq(rows_destination(&event, NULL), "192.0.2.1:80  denied: rule 2\n");
	format_text_event(&t, &coloured, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\033[31mpacket_denied "));
	ck_assert_ptr_nonnull(strstr(rows_line, "\033[31m192.0.2.1:80\033[0m"));
	t = rows_begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "{\"type\":\"net_packet_denied\","));
	ck_assert_ptr_nonnull(strstr(rows_line, ",\"verdict\":\"denied\",\"rule_id\":2}\n"));
	event.rule_id = 0;
	ck_assert_str_eq(rows_destination(&event, NULL), "192.0.2.1:80  denied: --default=deny\n");
	t = rows_begin(); /* no rule matches, and the packet cannot be judged */
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  denied: --egress\n"));
	event.verdict = AGENTSH_EBPF_VERDICT_WOULD_DENY;
	t = rows_begin();
	format_text_event(&t, &coloured, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\033[33mpacket_denied "));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rows with verdicts");
	TCase *tcase = unit_case(suite, "verdicts");

	tcase_add_test(tcase, verdict_in_json);
	tcase_add_test(tcase, verdict_in_a_row);
	tcase_add_test(tcase, rule_in_a_row);
	tcase_add_test(tcase, denied_connections_are_counted_as_failed);
	tcase_add_test(tcase, denied_sockets);
	tcase_add_test(tcase, denied_packets);
	return unit_main(suite);
}
