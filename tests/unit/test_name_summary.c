/* SPDX-License-Identifier: Apache-2.0 */
/* Names in the summary by destination of agentsh-trace. */
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "unit.h"
#include "destinations.h"
#include "format_json.h"
#include "format_summary.h"

#define HOOKS                                                                                      \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |         \
	 AGENTSH_EBPF_HOOK_TRAFFIC)

static char line[4096];
static struct destinations destinations;
static const struct destination_row *rows[DESTINATIONS_MAX + 1];
static size_t count;

static void start(void)
{
	memset(&destinations, 0, sizeof(destinations));
	destinations.hooks = HOOKS;
	destinations.seed = 0x1234567812345678U;
}

static void finish(void)
{
	destinations_end(&destinations);
	count = destinations_sorted(&destinations, rows);
}

static struct agentsh_ebpf_event event_of(uint32_t kind, uint16_t protocol, uint64_t cookie,
					  uint16_t port)
{
	return (struct agentsh_ebpf_event){
		.kind = kind,
		.family = AF_INET,
		.protocol = protocol,
		.socket_type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM,
		.socket_cookie = cookie,
		.remote_addr = {192, 0, 2, 1},
		.remote_port = port,
		.comm = "thread",
		.process_comm = "process",
	};
}

static void check_row(size_t i, uint16_t port, uint64_t connections, uint64_t failed, uint64_t sent,
		      uint64_t received)
{
	ck_assert_uint_lt(i, count);
	ck_assert_uint_eq(rows[i]->key.port, port);
	ck_assert_uint_eq(rows[i]->connections, connections);
	ck_assert_uint_eq(rows[i]->failed, failed);
	ck_assert_uint_eq(rows[i]->bytes_sent, sent);
	ck_assert_uint_eq(rows[i]->bytes_received, received);
}

static void add_at(const char *name, uint64_t cookie, uint8_t last, uint16_t port)
{
	struct agentsh_ebpf_event event =
		event_of(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, cookie, port);

	event.remote_addr[3] = last;
	destinations_add(&destinations, &event, name);
	event.kind = AGENTSH_EBPF_EVENT_CLOSED;
	event.bytes_sent = 10;
	destinations_add(&destinations, &event, name);
}

START_TEST(names_of_destinations)
{
	const struct agentsh_ebpf_event first =
		event_of(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 443);
	static char longest[DESTINATION_NAME_MAX + 1];

	start();
	add_at("a.example", 1, 1, 443); /* two addresses of one name */
	add_at("a.example", 2, 2, 443);
	add_at("a.example", 3, 2, 443);
	add_at("a.example", 4, 1, 80);	/* another port */
	add_at("b.example", 5, 1, 443); /* another name of the same address */
	add_at("b.example", 6, 1, 443);
	add_at(NULL, 7, 1, 443);
	finish();
	ck_assert_uint_eq(count, 4);
	check_row(0, 443, 3, 0, 30, 0);
	ck_assert_str_eq(rows[0]->name, "a.example");
	ck_assert_uint_eq(rows[0]->at.family, 0);
	check_row(1, 443, 2, 0, 20, 0);
	ck_assert_str_eq(rows[1]->name, "b.example");
	ck_assert_uint_eq(rows[1]->at.family, AF_INET);
	ck_assert_uint_eq(rows[1]->at.address[3], 1);
	check_row(2, 80, 1, 0, 10, 0);
	ck_assert_str_eq(rows[2]->name, "a.example");
	check_row(3, 443, 1, 0, 10, 0);
	ck_assert_str_eq(rows[3]->name, "");

	/* The name is that of the first event, whatever the later ones have. */
	start();
	destinations_add(&destinations, &first, NULL);
	add_at("a.example", 1, 1, 443);
	memset(longest, 'x', sizeof(longest) - 1);
	add_at(longest, 2, 1, 443); /* too long: without a name */
	longest[DESTINATION_NAME_MAX - 1] = '\0';
	add_at(longest, 3, 1, 443);
	finish();
	ck_assert_uint_eq(count, 3);
	for (size_t i = 0; i < count; i++)
		if (strlen(rows[i]->name) == DESTINATION_NAME_MAX - 1)
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

	start();
	for (size_t i = 0; i < UNIT_COUNT(kinds); i++) {
		struct agentsh_ebpf_event event = event_of(kinds[i], IPPROTO_UDP, 1, 53);

		ck_assert(!destinations_named_by(&event, HOOKS));
		destinations_add(&destinations, &event, "a.example");
	}
	finish();
	ck_assert_uint_eq(count, 0);
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
