/* SPDX-License-Identifier: Apache-2.0 */
/* Names for logs: one per constant, and "unknown" for every other number. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

struct named {
	uint32_t number;
	const char *name;
};

static const struct named kinds[] = {
	{AGENTSH_EBPF_EVENT_CONNECT, "connect"},
	{AGENTSH_EBPF_EVENT_UDP_SEND, "udp_send"},
	{AGENTSH_EBPF_EVENT_CONNECTED, "connected"},
	{AGENTSH_EBPF_EVENT_CONNECT_FAILED, "connect_failed"},
	{AGENTSH_EBPF_EVENT_CLOSED, "closed"},
	{AGENTSH_EBPF_EVENT_ACCEPTED, "accepted"},
	{AGENTSH_EBPF_EVENT_SESSION_BLIND, "session_blind"},
	{AGENTSH_EBPF_EVENT_FIRST_DATA, "first_data"},
	{AGENTSH_EBPF_EVENT_PROGRESS, "progress"},
	{AGENTSH_EBPF_EVENT_UNANNOUNCED, "unannounced"},
	{AGENTSH_EBPF_EVENT_DNS_QUERY, "dns_query"},
	{AGENTSH_EBPF_EVENT_DNS_ANSWER, "dns_answer"},
	{AGENTSH_EBPF_EVENT_SERVER_NAME, "server_name"},
	{AGENTSH_EBPF_EVENT_UNIX_CONNECT, "unix_connect"},
	{AGENTSH_EBPF_EVENT_SOCKET_DENIED, "socket_denied"},
	{AGENTSH_EBPF_EVENT_PACKET_DENIED, "packet_denied"},
};

static const struct named protocols[] = {
	{IPPROTO_ICMP, "icmp"},	      {IPPROTO_TCP, "tcp"},
	{IPPROTO_UDP, "udp"},	      {IPPROTO_DCCP, "dccp"},
	{IPPROTO_ICMPV6, "icmpv6"},   {IPPROTO_SCTP, "sctp"},
	{IPPROTO_UDPLITE, "udplite"}, {262, "mptcp"},
};

static const struct named hooks[] = {
	{AGENTSH_EBPF_HOOK_CONNECT, "connect"},
	{AGENTSH_EBPF_HOOK_UDP, "udp"},
	{AGENTSH_EBPF_HOOK_LIFECYCLE, "lifecycle"},
	{AGENTSH_EBPF_HOOK_ACCEPT, "accept"},
	{AGENTSH_EBPF_HOOK_TRAFFIC, "traffic"},
	{AGENTSH_EBPF_HOOK_DNS, "dns"},
	{AGENTSH_EBPF_HOOK_SERVER_NAME, "server_name"},
	{AGENTSH_EBPF_HOOK_UNIX, "unix"},
	{AGENTSH_EBPF_HOOK_RULES, "rules"},
	{AGENTSH_EBPF_HOOK_SOCK_CREATE, "sock_create"},
	{AGENTSH_EBPF_HOOK_EGRESS, "egress"},
};

static const struct named steps[] = {
	{AGENTSH_EBPF_STEP_NONE, "none"},
	{AGENTSH_EBPF_STEP_OPTIONS, "options"},
	{AGENTSH_EBPF_STEP_MEMORY, "memory"},
	{AGENTSH_EBPF_STEP_OBJECT_OPEN, "object_open"},
	{AGENTSH_EBPF_STEP_OBJECT_LOAD, "object_load"},
	{AGENTSH_EBPF_STEP_RING_MAP, "ring_map"},
	{AGENTSH_EBPF_STEP_COUNTERS_MAP, "counters_map"},
	{AGENTSH_EBPF_STEP_EVENT_FD, "event_fd"},
	{AGENTSH_EBPF_STEP_CGROUP, "cgroup"},
	{AGENTSH_EBPF_STEP_SESSION_SLOT, "session_slot"},
	{AGENTSH_EBPF_STEP_LINK, "link"},
	{AGENTSH_EBPF_STEP_STORAGE, "storage"},
	{AGENTSH_EBPF_STEP_RULES, "rules"},
};

static const struct named verdicts[] = {
	{AGENTSH_EBPF_VERDICT_NONE, "none"},
	{AGENTSH_EBPF_VERDICT_ALLOWED, "allowed"},
	{AGENTSH_EBPF_VERDICT_DENIED, "denied"},
	{AGENTSH_EBPF_VERDICT_WOULD_DENY, "would_deny"},
};

static const char *protocol_name(uint32_t number)
{
	return agentsh_ebpf_protocol_name((uint16_t)number);
}

static void expect_names(const char *(*name_of)(uint32_t), const struct named *named, size_t count)
{
	for (uint32_t i = 0; i <= UINT16_MAX; i++) {
		const char *want = "unknown", *got = name_of(i);

		for (size_t k = 0; k < count; k++)
			if (named[k].number == i)
				want = named[k].name;
		ck_assert_msg(got && !strcmp(got, want), "%u is \"%s\", not \"%s\"", i,
			      got ? got : "(NULL)", want);
		ck_assert_ptr_eq(got, name_of(i)); /* static storage */
	}
}

START_TEST(all_16_bits)
{
	expect_names(agentsh_ebpf_kind_name, kinds, UNIT_COUNT(kinds));
	expect_names(protocol_name, protocols, UNIT_COUNT(protocols));
	expect_names(agentsh_ebpf_hook_name, hooks, UNIT_COUNT(hooks));
	expect_names(agentsh_ebpf_step_name, steps, UNIT_COUNT(steps));
	expect_names(agentsh_ebpf_verdict_name, verdicts, UNIT_COUNT(verdicts));
}
END_TEST

/* No number is truncated to fewer bits. */
START_TEST(beyond_16_bits)
{
	static const uint32_t high[] = {0x10000,    0x10001,	0x10002,   0x1000001,
					0x80000001, 0x7fffffff, UINT32_MAX};

	for (size_t i = 0; i < UNIT_COUNT(high); i++) {
		ck_assert_str_eq(agentsh_ebpf_kind_name(high[i]), "unknown");
		ck_assert_str_eq(agentsh_ebpf_hook_name(high[i]), "unknown");
		ck_assert_str_eq(agentsh_ebpf_step_name(high[i]), "unknown");
		ck_assert_str_eq(agentsh_ebpf_verdict_name(high[i]), "unknown");
	}
}
END_TEST

START_TEST(version)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", AGENTSH_EBPF_VERSION_MAJOR,
		 AGENTSH_EBPF_VERSION_MINOR, AGENTSH_EBPF_VERSION_PATCH);
	ck_assert_str_eq(agentsh_ebpf_version(), text);
	ck_assert_ptr_eq(agentsh_ebpf_version(), agentsh_ebpf_version());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *tcase = unit_case(suite, "names");

	tcase_add_test(tcase, all_16_bits);
	tcase_add_test(tcase, beyond_16_bits);
	tcase_add_test(tcase, version);
	return unit_main(suite);
}
