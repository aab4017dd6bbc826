/* SPDX-License-Identifier: Apache-2.0 */
/* Names in the summary by destination of agentsh-trace. */
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "destinations_harness.h"
#include "format_json.h"
#include "format_summary.h"

static char line[4096];

static void add_at(const char *name, uint64_t cookie, uint8_t last, uint16_t port)
{
	struct agentsh_ebpf_event event =
		summary_event(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, cookie, port);

	event.remote_addr[3] = last;
	destinations_add(&destinations, &event, name);
	event.kind = AGENTSH_EBPF_EVENT_CLOSED;
	event.bytes_sent = 10;
	destinations_add(&destinations, &event, name);
}

START_TEST(names_of_destinations)
{
	const struct agentsh_ebpf_event first =
		summary_event(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 443);
	static char longest[DESTINATION_NAME_MAX + 1];

	summary_begin(SUMMARY_HOOKS);
	add_at("a.example", 1, 1, 443); /* two addresses of one name */
	add_at("a.example", 2, 2, 443);
	add_at("a.example", 3, 2, 443);
	add_at("a.example", 4, 1, 80);	/* another port */
	add_at("b.example", 5, 1, 443); /* another name of the same address */
	add_at("b.example", 6, 1, 443);
	add_at(NULL, 7, 1, 443);
	summary_end();
	ck_assert_uint_eq(summary_count, 4);
	summary_check_row(0, 443, 3, 0, 30, 0);
	ck_assert_str_eq(summary_rows[0]->name, "a.example");
	ck_assert_uint_eq(summary_rows[0]->at.family, 0);
	summary_check_row(1, 443, 2, 0, 20, 0);
	ck_assert_str_eq(summary_rows[1]->name, "b.example");
	ck_assert_uint_eq(summary_rows[1]->at.family, AF_INET);
	ck_assert_uint_eq(summary_rows[1]->at.address[3], 1);
	summary_check_row(2, 80, 1, 0, 10, 0);
	ck_assert_str_eq(summary_rows[2]->name, "a.example");
	summary_check_row(3, 443, 1, 0, 10, 0);
	ck_assert_str_eq(summary_rows[3]->name, "");

	/* The name is that of the first event, whatever the later ones have. */
	summary_begin(SUMMARY_HOOKS);
	destinations_add(&destinations, &first, NULL);
	add_at("a.example", 1, 1, 443);
	memset(longest, 'x', sizeof(longest) - 1);
	add_at(longest, 2, 1, 443); /* too long: without a name */
	longest[DESTINATION_NAME_MAX - 1] = '\0';
	add_at(longest, 3, 1, 443);
	summary_end();
	ck_assert_uint_eq(summary_count, 3);
	for (size_t i = 0; i < summary_count; i++)
		if (strlen(summary_rows[i]->name) == DESTINATION_NAME_MAX - 1)
			return;
	ck_abort_msg("no row has the longest name");
}
END_TEST

/* Events about names and AF_UNIX sockets are of no destination. */
START_TEST(events_about_names)
{
	static const uint32_t kinds[] = {
		AGENTSH_EBPF_EVENT_DNS_QUERY, AGENTSH_EBPF_EVENT_DNS_ANSWER,
		AGENTSH_EBPF_EVENT_SERVER_NAME, AGENTSH_EBPF_EVENT_UNIX_CONNECT};

	summary_begin(SUMMARY_HOOKS);
	for (size_t i = 0; i < UNIT_COUNT(kinds); i++) {
		struct agentsh_ebpf_event event = summary_event(kinds[i], IPPROTO_UDP, 1, 53);

		ck_assert(!destinations_named_by(&event, SUMMARY_HOOKS));
		destinations_add(&destinations, &event, "a.example");
	}
	summary_end();
	ck_assert_uint_eq(summary_count, 0);
}
END_TEST

START_TEST(summary_of_names)
{
	const struct format_text_style style = {0};
	struct destination_row row = {
		.key = {.process = "curl",
			.port = 443,
			.protocol = IPPROTO_TCP,
			.family = DESTINATION_NAMED},
		.name = "api.example.org",
		.at = {.address = {192, 0, 2, 7}, .family = AF_INET},
		.connections = 3,
	};
	const struct destination_row *all[] = {&row};
	struct format_summary_widths widths = format_summary_widths(&style, all, 1);
	struct text t = {.buf = line, .cap = sizeof(line) - 1};

	format_summary_row(&t, &style, widths, &row, AGENTSH_EBPF_HOOK_CONNECT);
	line[t.len] = '\0';
	ck_assert_ptr_nonnull(strstr(line, "curl     api.example.org:443/tcp            3 "));
	t.len = 0;
	format_json_destination(&t, &row, AGENTSH_EBPF_HOOK_CONNECT, 0, 0);
	line[t.len] = '\0';
	ck_assert_ptr_nonnull(strstr(line, "\"dst_name\":\"api.example.org\",\"dst_ip\":"
					   "\"192.0.2.7\",\"dst_port\":443,\"proto\":\"tcp\","));
	row.at.family = 0; /* several addresses */
	t.len = 0;
	format_json_destination(&t, &row, AGENTSH_EBPF_HOOK_CONNECT, 0, 0);
	line[t.len] = '\0';
	ck_assert_ptr_nonnull(strstr(line, "\"dst_name\":\"api.example.org\",\"dst_ip\":null,"
					   "\"dst_port\":443,"));
	/* The longest name takes part in the width of the column. */
	memset(row.name, 1, sizeof(row.name) - 1);
	widths = format_summary_widths(&style, all, 1);
	ck_assert_uint_eq(widths.destination, 4 * (sizeof(row.name) - 1) + strlen(":443/tcp"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_summary");
	TCase *tcase = unit_case(suite, "name_summary");

	tcase_add_test(tcase, names_of_destinations);
	tcase_add_test(tcase, events_about_names);
	tcase_add_test(tcase, summary_of_names);
	return unit_main(suite);
}
