/* SPDX-License-Identifier: Apache-2.0 */
/* The rows and JSON lines of agentsh-trace for events that say more than an address. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "unit.h"
#include "destinations.h"
#include "format_json.h"
#include "format_summary.h"
#include "format_text.h"
#include "interfaces.h"
#include "options.h"
#include "summary.h"

static char line[4096];

static struct text begin(void)
{
	return (struct text){.buf = line, .cap = sizeof(line) - 1};
}

static const char *end(const struct text *t)
{
	ck_assert(!t->cut);
	line[t->len] = '\0';
	return line;
}

static struct agentsh_ebpf_event event_to(const char *ip, uint32_t flags)
{
	struct agentsh_ebpf_event event = {
		.kind = AGENTSH_EBPF_EVENT_CONNECT,
		.family = strchr(ip, ':') ? AF_INET6 : AF_INET,
		.protocol = IPPROTO_TCP,
		.socket_type = SOCK_STREAM,
		.remote_port = 80,
		.flags = flags,
	};

	ck_assert_int_eq(inet_pton(event.family, ip, event.remote_addr), 1);
	return event;
}

/* The destination column and all behind it. */
static const char *destination(const struct agentsh_ebpf_event *event,
			       const struct interfaces *interfaces)
{
	const struct format_text_style style = {.interfaces = interfaces};
	struct text t = begin();
	const char *protocol;

	format_text_event(&t, &style, event, NULL, 0);
	protocol = strstr(end(&t), "tcp       ");
	ck_assert_ptr_nonnull(protocol);
	return protocol + strlen("tcp       ");
}

START_TEST(flags_are_notes)
{
	const struct {
		const char *ip;
		uint32_t flags;
		const char *row;
	} rows[] = {
		{"192.0.2.1", 0, "192.0.2.1:80\n"},
		{"192.0.2.1", AGENTSH_EBPF_FLAG_SOURCE_ROUTED, "192.0.2.1:80 (source-routed)\n"},
		{"127.0.0.1", AGENTSH_EBPF_FLAG_UNSPECIFIED, "127.0.0.1:80 (named 0.0.0.0)\n"},
		{"::1", AGENTSH_EBPF_FLAG_UNSPECIFIED, "[::1]:80 (named ::)\n"},
		{"::1", AGENTSH_EBPF_FLAG_UNTRACKED, "[::1]:80 (untracked)\n"},
		{"2001:db8::1", AGENTSH_EBPF_FLAG_SOURCE_ROUTED | AGENTSH_EBPF_FLAG_UNTRACKED,
		 "[2001:db8::1]:80 (source-routed, untracked)\n"},
	};

	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct agentsh_ebpf_event event = event_to(rows[i].ip, rows[i].flags);

		ck_assert_str_eq(destination(&event, NULL), rows[i].row);
	}
}
END_TEST

START_TEST(interface_without_a_name)
{
	struct agentsh_ebpf_event event = event_to("fe80::1", 0);

	event.ifindex = UINT32_MAX;
	ck_assert_str_eq(destination(&event, NULL), "[fe80::1%4294967295]:80\n");
	event = event_to("192.0.2.1", 0);
	event.ifindex = 7;
	ck_assert_str_eq(destination(&event, NULL), "192.0.2.1%7:80\n");
}
END_TEST

START_TEST(interface_with_a_name)
{
	struct agentsh_ebpf_event event = event_to("fe80::1", 0);
	struct interfaces interfaces;
	char wanted[64];

	interfaces_open(&interfaces);
	if (interfaces.fd < 0) {
		printf("left out: names of interfaces: the kernel has no SO_NETNS_COOKIE\n");
		return;
	}
	event.ifindex = if_nametoindex("lo");
	ck_assert_uint_ne(event.ifindex, 0);
	event.netns_cookie = interfaces.netns_cookie;
	ck_assert_str_eq(destination(&event, &interfaces), "[fe80::1%lo]:80\n");
	/* The same number may stand for another interface elsewhere. */
	event.netns_cookie++;
	snprintf(wanted, sizeof(wanted), "[fe80::1%%%u]:80\n", event.ifindex);
	ck_assert_str_eq(destination(&event, &interfaces), wanted);
	event.netns_cookie--;
	event.ifindex = INT32_MAX; /* no such interface */
	ck_assert_str_eq(destination(&event, &interfaces), "[fe80::1%2147483647]:80\n");
}
END_TEST

START_TEST(name_of_the_process)
{
	const struct format_text_style style = {0};
	struct agentsh_ebpf_event event = event_to("192.0.2.1", 0);
	struct text t = begin();

	strcpy(event.comm, "a thread");
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "  a thread         connect "));
	memcpy(event.process_comm, "0123456789abcdef", 16);
	t = begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "  0123456789abcdef  connect "));
}
END_TEST

START_TEST(json_members)
{
	const struct format_json_details details = {0};
	struct agentsh_ebpf_event event = event_to("fe80::1", 0);
	struct text t = begin();

	event.ifindex = 3;
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(end(&t), ",\"dst_ip\":\"fe80::1\",\"dst_port\":80,"));
	ck_assert_ptr_nonnull(strstr(line, ",\"ifindex\":3,\"source_routed\":false,"
					   "\"unspecified\":false,\"untracked\":false,"));
	event = event_to("fe80::1", AGENTSH_EBPF_FLAG_SOURCE_ROUTED);
	t = begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(end(&t), ",\"ifindex\":0,\"source_routed\":true,"
					      "\"unspecified\":false,\"untracked\":false,"));
	event.flags = AGENTSH_EBPF_FLAG_UNSPECIFIED | AGENTSH_EBPF_FLAG_UNTRACKED;
	t = begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(end(&t), "\"source_routed\":false,\"unspecified\":true,"
					      "\"untracked\":true,"));
}
END_TEST

START_TEST(statistics)
{
	const struct format_json_session session = {.cgroup_path = ""};
	const struct format_text_style style = {0};
	struct agentsh_ebpf_stats stats = {
		.untracked = 5,
		.packets_lost = 7,
		.answers = 1,
		.answers_unasked = 2,
		.answers_untrusted = 3,
		.answers_malformed = 4,
		.messages_skipped = 8,
		.names_evicted = 6,
		.allowed = 9,
		.denied = 10,
		.would_deny = 11,
	};
	static struct summary summary;
	struct text t = begin();

	format_json_detached(&t, &session, &stats, &summary, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), ",\"untracked\":5,\"packets_lost\":7,\"answers\":1,"
					      "\"answers_unasked\":2,\"answers_untrusted\":3,"
					      "\"answers_malformed\":4,\"messages_skipped\":8,"
					      "\"names_evicted\":6,\"allowed\":9,"
					      "\"denied\":10,\"would_deny\":11}\n"));
	t = begin();
	format_summary(&t, &style, &stats, &summary, 0);
	ck_assert_str_eq(
		end(&t),
		"0 events, 0 destinations, 0 lost, 7 packets with names lost, "
		"8 messages with names skipped, 5 untracked, 10 denied, 11 would be denied\n"
		"\"untracked\" is how often a socket found no room in the table of sockets; "
		"later events of such a socket may be missing\n");
	stats.untracked = stats.packets_lost = stats.messages_skipped = 0;
	stats.denied = stats.would_deny = 0;
	t = begin();
	format_summary(&t, &style, &stats, &summary, 0);
	ck_assert_str_eq(end(&t), "0 events, 0 destinations, 0 lost\n");
}
END_TEST

/* How a datagram socket's end reads, with and without counted packets. */
START_TEST(ends_of_datagram_sockets)
{
	struct format_text_style style = {.traffic = true};
	struct agentsh_ebpf_event event = event_to("192.0.2.1", 0);
	struct text t = begin();

	event.kind = AGENTSH_EBPF_EVENT_CLOSED;
	event.protocol = IPPROTO_UDP;
	event.socket_type = SOCK_DGRAM;
	event.duration_ns = 1400000;
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "  192.0.2.1:80  no traffic 1.4 ms\n"));
	style.traffic = false;
	t = begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "  192.0.2.1:80  1.4 ms\n"));
	event.packets_sent = 3;
	event.packets_received = 5;
	event.bytes_sent = 1200;
	event.bytes_received = 3400;
	event.flags = AGENTSH_EBPF_FLAG_INBOUND;
	t = begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "  192.0.2.1:80 (inbound)  3 sent, 5 received, "
					      "1.2 kB/3.4 kB 1.4 ms\n"));
}
END_TEST

START_TEST(unannounced_inbound)
{
	const struct format_text_style style = {.utf8 = true};
	struct agentsh_ebpf_event event =
		event_to("192.0.2.1", AGENTSH_EBPF_FLAG_INBOUND | AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	struct text t = begin();

	event.kind = AGENTSH_EBPF_EVENT_UNANNOUNCED;
	ck_assert_int_eq(inet_pton(AF_INET, "192.0.2.9", event.local_addr), 1);
	event.local_port = 53;
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "  -                unannounced     tcp       "
					      "192.0.2.1:80 (inbound) at 192.0.2.9:53\n"));
}
END_TEST

/* The row of a datagram socket that is only connected, dimmed until it sends. */
START_TEST(probes)
{
	const struct format_text_style style = {.colour = true, .traffic = true};
	struct agentsh_ebpf_event event = event_to("192.0.2.1", 0);
	struct format_text_progress progress = {.silent = true};
	struct text t = begin();

	event.protocol = IPPROTO_UDP;
	event.socket_type = SOCK_DGRAM;
	format_text_connection(&t, &style, &event, NULL, 0, &progress);
	ck_assert_ptr_nonnull(strstr(end(&t), "\033[2mconnect  "));
	ck_assert_ptr_nonnull(strstr(line, "\033[2m192.0.2.1:80\033[0m\n"));
	progress = (struct format_text_progress){.probe = true};
	t = begin();
	format_text_connection(&t, &style, &event, NULL, 0, &progress);
	ck_assert_ptr_nonnull(strstr(end(&t), "\033[2mprobe  "));
	ck_assert_ptr_nonnull(strstr(line, "\033[2m192.0.2.1:80\033[0m\n"));
	progress = (struct format_text_progress){0};
	t = begin();
	format_text_connection(&t, &style, &event, NULL, 0, &progress);
	ck_assert_ptr_nonnull(strstr(end(&t), "\033[36mconnect  "));
	ck_assert_ptr_nonnull(strstr(line, "\033[1m192.0.2.1:80\033[0m\n"));
}
END_TEST

START_TEST(rows_of_destinations)
{
	const uint32_t all =
		AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_TRAFFIC;
	const struct format_text_style style = {0};
	struct destination_row row = {
		.key = {.process = "\033[2J",
			.address = {192, 0, 2, 1},
			.port = 80,
			.protocol = IPPROTO_UDP,
			.family = AF_INET},
		.at = {.address = {192, 0, 2, 1}, .family = AF_INET},
		.connections = 3,
		.failed = 1,
		.bytes_sent = 1200,
	};
	const struct destination_row *rows[] = {&row};
	struct format_summary_widths widths = format_summary_widths(&style, rows, 1);
	struct text t = begin();

	durations_add(&row.durations, 2000000);
	format_summary_header(&t, &style, widths);
	format_summary_row(&t, &style, widths, &row, all);
	ck_assert_str_eq(end(&t), "PROCESS  DESTINATION       CONNECTIONS     FAILED       SENT   "
				  "RECEIVED        P50    LONGEST\n"
				  "\\x1B[2J  192.0.2.1:80/udp            3          1     1.2 kB  "
				  "      0 B     2.0 ms     2.0 ms\n");
	t = begin(); /* bytes of datagrams are unknown */
	format_summary_row(&t, &style, widths, &row, all & ~(uint32_t)AGENTSH_EBPF_HOOK_TRAFFIC);
	ck_assert_ptr_nonnull(strstr(end(&t), " 3          1          -          -     2.0 ms"));
	t = begin();
	format_json_destination(&t, &row, AGENTSH_EBPF_HOOK_CONNECT, 0, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "\"process\":\"\\u001b[2J\",\"dst_name\":null,"
					      "\"dst_ip\":\"192.0.2.1\","
					      "\"dst_port\":80,\"proto\":\"udp\",\"ifindex\":0,"
					      "\"inbound\":false,\"connections\":3,\"failed\":null,"
					      "\"bytes_sent\":null,\"bytes_received\":null,"
					      "\"p50_ns\":2000000,\"longest_ns\":2000000}\n"));
	row.key = (struct destination_key){0};
	row.at.family = 0;
	t = begin();
	format_summary_row(&t, &style, widths, &row, all);
	ck_assert_ptr_nonnull(strstr(end(&t), "-        (other destinations)"));
}
END_TEST

START_TEST(one_address_on_two_interfaces)
{
	struct agentsh_ebpf_event event = event_to("fe80::1", 0);
	static struct summary summary;

	for (int i = 0; i < 4; i++) {
		event.ifindex = 1 + i % 2;
		summary_add_destination(&summary, &event);
	}
	ck_assert_uint_eq(summary.destinations, 2);
}
END_TEST

/* Without rules the members are missing, as before there were rules. */
START_TEST(verdict_in_json)
{
	const struct format_json_details details = {0};
	struct agentsh_ebpf_event event = event_to("192.0.2.1", 0);
	struct text t = begin();

	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_null(strstr(end(&t), "verdict"));
	ck_assert_ptr_null(strstr(line, "rule_id"));
	event.verdict = AGENTSH_EBPF_VERDICT_ALLOWED; /* no rule matched */
	t = begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(end(&t), ",\"verdict\":\"allowed\",\"rule_id\":0}\n"));
	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	event.rule_id = UINT32_MAX;
	t = begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(end(&t), ",\"verdict\":\"denied\",\"rule_id\":4294967295}\n"));
}
END_TEST

START_TEST(verdict_in_a_row)
{
	const struct format_text_style coloured = {.colour = true, .traffic = true};
	const struct format_text_progress connected = {.connected = true, .connected_ns = 2000000};
	struct agentsh_ebpf_event event = event_to("192.0.2.1", 0);
	struct text t = begin();

	event.verdict = AGENTSH_EBPF_VERDICT_ALLOWED;
	event.rule_id = 2;
	ck_assert_str_eq(destination(&event, NULL), "192.0.2.1:80\n");
	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	ck_assert_str_eq(destination(&event, NULL), "192.0.2.1:80  denied: rule 2\n");
	format_text_event(&t, &coloured, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "\033[31mconnect  "));
	ck_assert_ptr_nonnull(strstr(line, "\033[31m192.0.2.1:80\033[0m  "
					   "\033[31mdenied: rule 2\033[0m\n"));
	event.rule_id = 0;
	ck_assert_str_eq(destination(&event, NULL), "192.0.2.1:80  denied: --default=deny\n");
	event.verdict = AGENTSH_EBPF_VERDICT_WOULD_DENY;
	ck_assert_str_eq(destination(&event, NULL), "192.0.2.1:80 (would deny: --default=deny)\n");
	t = begin(); /* the attempt goes on */
	format_text_connection(&t, &coloured, &event, NULL, 0, &connected);
	ck_assert_ptr_nonnull(strstr(end(&t), "\033[36mconnect  "));
	ck_assert_ptr_nonnull(strstr(line, "\033[33m (would deny: --default=deny)\033[0m\033[2m -> "
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
	struct agentsh_ebpf_event event = event_to("2001:db8::1", 0);
	struct text t = begin();

	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	event.rule_id = 2;
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "  denied: --deny [2001:db8::/32]:80/tcp\n"));
	event.rule_id = 3;
	t = begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "  denied: rule 3\n"));
}
END_TEST

START_TEST(denied_connections_are_counted_as_failed)
{
	struct agentsh_ebpf_event event = event_to("192.0.2.1", 0);
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

int main(void)
{
	Suite *suite = suite_create("rows");
	TCase *tcase = unit_case(suite, "rows");

	tcase_add_test(tcase, flags_are_notes);
	tcase_add_test(tcase, interface_without_a_name);
	tcase_add_test(tcase, interface_with_a_name);
	tcase_add_test(tcase, name_of_the_process);
	tcase_add_test(tcase, json_members);
	tcase_add_test(tcase, statistics);
	tcase_add_test(tcase, ends_of_datagram_sockets);
	tcase_add_test(tcase, unannounced_inbound);
	tcase_add_test(tcase, probes);
	tcase_add_test(tcase, rows_of_destinations);
	tcase_add_test(tcase, one_address_on_two_interfaces);
	tcase_add_test(tcase, verdict_in_json);
	tcase_add_test(tcase, verdict_in_a_row);
	tcase_add_test(tcase, rule_in_a_row);
	tcase_add_test(tcase, denied_connections_are_counted_as_failed);
	return unit_main(suite);
}
