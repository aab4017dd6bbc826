/* SPDX-License-Identifier: Apache-2.0 */
/* The rows and JSON lines of agentsh-trace for events that say more than an address. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "unit.h"
#include "format_json.h"
#include "format_text.h"
#include "interfaces.h"
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

	format_text_event(&t, &style, event, 0);
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

START_TEST(json_members)
{
	struct agentsh_ebpf_event event = event_to("fe80::1", 0);
	struct text t = begin();

	event.ifindex = 3;
	format_json_event(&t, &event, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), ",\"dst_ip\":\"fe80::1\",\"dst_port\":80,"));
	ck_assert_ptr_nonnull(strstr(line, ",\"ifindex\":3,\"source_routed\":false,"
					   "\"unspecified\":false,\"untracked\":false,"));
	event = event_to("fe80::1", AGENTSH_EBPF_FLAG_SOURCE_ROUTED);
	t = begin();
	format_json_event(&t, &event, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), ",\"ifindex\":0,\"source_routed\":true,"
					      "\"unspecified\":false,\"untracked\":false,"));
	event.flags = AGENTSH_EBPF_FLAG_UNSPECIFIED | AGENTSH_EBPF_FLAG_UNTRACKED;
	t = begin();
	format_json_event(&t, &event, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), "\"source_routed\":false,\"unspecified\":true,"
					      "\"untracked\":true,"));
}
END_TEST

START_TEST(statistics)
{
	const struct format_json_session session = {.cgroup_path = ""};
	const struct format_text_style style = {0};
	struct agentsh_ebpf_stats stats = {.untracked = 5};
	static struct summary summary;
	struct text t = begin();

	format_json_detached(&t, &session, &stats, &summary, 0);
	ck_assert_ptr_nonnull(strstr(end(&t), ",\"untracked\":5}\n"));
	t = begin();
	format_text_summary(&t, &style, &stats, &summary, 0);
	ck_assert_str_eq(
		end(&t),
		"0 events, 0 destinations, 0 lost, 5 untracked\n"
		"\"untracked\" is how often a socket found no room in the table of sockets; "
		"later events of such a socket may be missing\n");
	stats.untracked = 0;
	t = begin();
	format_text_summary(&t, &style, &stats, &summary, 0);
	ck_assert_str_eq(end(&t), "0 events, 0 destinations, 0 lost\n");
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

int main(void)
{
	Suite *suite = suite_create("rows");
	TCase *tcase = unit_case(suite, "rows");

	tcase_add_test(tcase, flags_are_notes);
	tcase_add_test(tcase, interface_without_a_name);
	tcase_add_test(tcase, interface_with_a_name);
	tcase_add_test(tcase, json_members);
	tcase_add_test(tcase, statistics);
	tcase_add_test(tcase, one_address_on_two_interfaces);
	return unit_main(suite);
}
