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
#include "rows_harness.h"
#include "summary.h"

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
		struct agentsh_ebpf_event event = rows_event(rows[i].ip, rows[i].flags);

		ck_assert_str_eq(rows_destination(&event, NULL), rows[i].row);
	}
}
END_TEST

START_TEST(interface_without_a_name)
{
	struct agentsh_ebpf_event event = rows_event("fe80::1", 0);

	event.ifindex = UINT32_MAX;
	ck_assert_str_eq(rows_destination(&event, NULL), "[fe80::1%4294967295]:80\n");
	event = rows_event("192.0.2.1", 0);
	event.ifindex = 7;
	ck_assert_str_eq(rows_destination(&event, NULL), "192.0.2.1%7:80\n");
}
END_TEST

START_TEST(interface_with_a_name)
{
	struct agentsh_ebpf_event event = rows_event("fe80::1", 0);
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
	ck_assert_str_eq(rows_destination(&event, &interfaces), "[fe80::1%lo]:80\n");
	/* The same number may stand for another interface elsewhere. */
	event.netns_cookie++;
	snprintf(wanted, sizeof(wanted), "[fe80::1%%%u]:80\n", event.ifindex);
	ck_assert_str_eq(rows_destination(&event, &interfaces), wanted);
	event.netns_cookie--;
	event.ifindex = INT32_MAX; /* no such interface */
	ck_assert_str_eq(rows_destination(&event, &interfaces), "[fe80::1%2147483647]:80\n");
}
END_TEST

START_TEST(name_of_the_process)
{
	const struct format_text_style style = {0};
	struct agentsh_ebpf_event event = rows_event("192.0.2.1", 0);
	struct text t = rows_begin();

	strcpy(event.comm, "a thread");
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  a thread         connect "));
	memcpy(event.process_comm, "0123456789abcdef", 16);
	t = rows_begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  0123456789abcdef  connect "));
}
END_TEST

START_TEST(json_members)
{
	const struct format_json_details details = {0};
	struct agentsh_ebpf_event event = rows_event("fe80::1", 0);
	struct text t = rows_begin();

	event.ifindex = 3;
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), ",\"dst_ip\":\"fe80::1\",\"dst_port\":80,"));
	ck_assert_ptr_nonnull(strstr(rows_line, ",\"ifindex\":3,\"source_routed\":false,"
						"\"unspecified\":false,\"untracked\":false,"));
	event = rows_event("fe80::1", AGENTSH_EBPF_FLAG_SOURCE_ROUTED);
	t = rows_begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), ",\"ifindex\":0,\"source_routed\":true,"
						   "\"unspecified\":false,\"untracked\":false,"));
	event.flags = AGENTSH_EBPF_FLAG_UNSPECIFIED | AGENTSH_EBPF_FLAG_UNTRACKED;
	t = rows_begin();
	format_json_event(&t, &event, 0, &details);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\"source_routed\":false,\"unspecified\":true,"
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
		.packets_denied = 12,
		.packets_would_deny = 1,
	};
	static struct summary summary;
	struct text t = rows_begin();

	format_json_detached(&t, &session, &stats, &summary, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t),
				     ",\"untracked\":5,\"packets_lost\":7,\"answers\":1,"
				     "\"answers_unasked\":2,\"answers_untrusted\":3,"
				     "\"answers_malformed\":4,\"messages_skipped\":8,"
				     "\"names_evicted\":6,\"allowed\":9,"
				     "\"denied\":10,\"would_deny\":11,"
				     "\"packets_denied\":12,\"packets_would_deny\":1}\n"));
	t = rows_begin();
	format_summary(&t, &style, &stats, &summary, 0);
	ck_assert_str_eq(
		rows_end(&t),
		"0 events, 0 destinations, 0 lost, 7 packets with names lost, "
		"8 messages with names skipped, 5 untracked, 10 denied, 12 packets denied, "
		"11 would be denied, 1 packet would be denied\n"
		"\"untracked\" is how often a socket found no room in the table of sockets; "
		"later events of such a socket may be missing\n");
	stats.untracked = stats.packets_lost = stats.messages_skipped = 0;
	stats.denied = stats.would_deny = stats.packets_denied = stats.packets_would_deny = 0;
	t = rows_begin();
	format_summary(&t, &style, &stats, &summary, 0);
	ck_assert_str_eq(rows_end(&t), "0 events, 0 destinations, 0 lost\n");
}
END_TEST

/* How a datagram socket's end reads, with and without counted packets. */
START_TEST(ends_of_datagram_sockets)
{
	struct format_text_style style = {.traffic = true};
	struct agentsh_ebpf_event event = rows_event("192.0.2.1", 0);
	struct text t = rows_begin();

	event.kind = AGENTSH_EBPF_EVENT_CLOSED;
	event.protocol = IPPROTO_UDP;
	event.socket_type = SOCK_DGRAM;
	event.duration_ns = 1400000;
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  192.0.2.1:80  no traffic 1.4 ms\n"));
	style.traffic = false;
	t = rows_begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  192.0.2.1:80  1.4 ms\n"));
	event.packets_sent = 3;
	event.packets_received = 5;
	event.bytes_sent = 1200;
	event.bytes_received = 3400;
	event.flags = AGENTSH_EBPF_FLAG_INBOUND;
	t = rows_begin();
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  192.0.2.1:80 (inbound)  3 sent, 5 received, "
						   "1.2 kB/3.4 kB 1.4 ms\n"));
}
END_TEST

START_TEST(unannounced_inbound)
{
	const struct format_text_style style = {.utf8 = true};
	struct agentsh_ebpf_event event =
		rows_event("192.0.2.1", AGENTSH_EBPF_FLAG_INBOUND | AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	struct text t = rows_begin();

	event.kind = AGENTSH_EBPF_EVENT_UNANNOUNCED;
	ck_assert_int_eq(inet_pton(AF_INET, "192.0.2.9", event.local_addr), 1);
	event.local_port = 53;
	format_text_event(&t, &style, &event, NULL, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "  -                unannounced     tcp       "
						   "192.0.2.1:80 (inbound) at 192.0.2.9:53\n"));
}
END_TEST

/* The row of a datagram socket that is only connected, dimmed until it sends. */
START_TEST(probes)
{
	const struct format_text_style style = {.colour = true, .traffic = true};
	struct agentsh_ebpf_event event = rows_event("192.0.2.1", 0);
	struct format_text_progress progress = {.silent = true};
	struct text t = rows_begin();

	event.protocol = IPPROTO_UDP;
	event.socket_type = SOCK_DGRAM;
	format_text_connection(&t, &style, &event, NULL, 0, &progress);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\033[2mconnect  "));
	ck_assert_ptr_nonnull(strstr(rows_line, "\033[2m192.0.2.1:80\033[0m\n"));
	progress = (struct format_text_progress){.probe = true};
	t = rows_begin();
	format_text_connection(&t, &style, &event, NULL, 0, &progress);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\033[2mprobe  "));
	ck_assert_ptr_nonnull(strstr(rows_line, "\033[2m192.0.2.1:80\033[0m\n"));
	progress = (struct format_text_progress){0};
	t = rows_begin();
	format_text_connection(&t, &style, &event, NULL, 0, &progress);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "\033[36mconnect  "));
	ck_assert_ptr_nonnull(strstr(rows_line, "\033[1m192.0.2.1:80\033[0m\n"));
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
	struct text t = rows_begin();

	durations_add(&row.durations, 2000000);
	format_summary_header(&t, &style, widths);
	format_summary_row(&t, &style, widths, &row, all);
	ck_assert_str_eq(rows_end(&t),
			 "PROCESS  DESTINATION       CONNECTIONS     FAILED       SENT   "
			 "RECEIVED        P50    LONGEST\n"
			 "\\x1B[2J  192.0.2.1:80/udp            3          1     1.2 kB  "
			 "      0 B     2.0 ms     2.0 ms\n");
	t = rows_begin(); /* bytes of datagrams are unknown */
	format_summary_row(&t, &style, widths, &row, all & ~(uint32_t)AGENTSH_EBPF_HOOK_TRAFFIC);
	ck_assert_ptr_nonnull(
		strstr(rows_end(&t), " 3          1          -          -     2.0 ms"));
	t = rows_begin();
	format_json_destination(&t, &row, AGENTSH_EBPF_HOOK_CONNECT, 0, 0);
	ck_assert_ptr_nonnull(strstr(rows_end(&t),
				     "\"process\":\"\\u001b[2J\",\"dst_name\":null,"
				     "\"dst_ip\":\"192.0.2.1\","
				     "\"dst_port\":80,\"proto\":\"udp\",\"ifindex\":0,"
				     "\"inbound\":false,\"connections\":3,\"failed\":null,"
				     "\"bytes_sent\":null,\"bytes_received\":null,"
				     "\"p50_ns\":2000000,\"longest_ns\":2000000}\n"));
	row.key = (struct destination_key){0};
	row.at.family = 0;
	t = rows_begin();
	format_summary_row(&t, &style, widths, &row, all);
	ck_assert_ptr_nonnull(strstr(rows_end(&t), "-        (other destinations)"));
}
END_TEST

START_TEST(one_address_on_two_interfaces)
{
	struct agentsh_ebpf_event event = rows_event("fe80::1", 0);
	static struct summary summary;

	for (int i = 0; i < 4; i++) {
		event.ifindex = 1 + i % 2;
		summary_add_destination(&summary, &event);
	}
	ck_assert_uint_eq(summary.destinations, 2);
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
	return unit_main(suite);
}
