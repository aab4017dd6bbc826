/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of sockets whose calls the rules do not judge. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel.h"
#include "rules_packets_cases.h"

#define PORT 81
#define OTHER AGENTSH_EBPF_RULE_OTHER_PROTOCOLS
#define PROTOCOL_DCCP 33
#define PROTOCOL_L2TP 115
#define V4 "127.7.7.7"
#define V6 "::1"
#define ICMP_TYPE 1 /* the payload begins with an echo request, and not with ports */
#define NO_ERROR 2  /* the kernel does not tell the process that a packet was dropped */

static struct far_sockets *const far = &packets_far;

static const struct kind {
	const char *name;
	int domain, type, protocol;
	const char *to;
	uint8_t rule_protocol;
	uint16_t port;		   /* as rules and events have it */
	const char *protocol_name; /* in /proc/net/protocols; NULL: in every kernel */
	int flags;
} kinds[] = {
	{"raw icmp", AF_INET, SOCK_RAW, IPPROTO_ICMP, V4, OTHER, 0, NULL, ICMP_TYPE},
	{"raw udp", AF_INET, SOCK_RAW, IPPROTO_UDP, V4, IPPROTO_UDP, PORT, NULL, 0},
	{"raw tcp", AF_INET, SOCK_RAW, IPPROTO_TCP, V4, IPPROTO_TCP, PORT, NULL, 0},
	{"raw udplite", AF_INET, SOCK_RAW, IPPROTO_UDPLITE, V4, IPPROTO_UDP, PORT, NULL, 0},
	{"raw gre", AF_INET, SOCK_RAW, IPPROTO_GRE, V4, OTHER, 0, NULL, 0},
	{"raw ipip", AF_INET, SOCK_RAW, IPPROTO_IPIP, V4, OTHER, 0, NULL, 0},
	{"raw sctp", AF_INET, SOCK_RAW, IPPROTO_SCTP, V4, OTHER, PORT, NULL, 0},
	{"raw icmp6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, V6, OTHER, 0, NULL, ICMP_TYPE},
	{"raw udp6", AF_INET6, SOCK_RAW, IPPROTO_UDP, V6, IPPROTO_UDP, PORT, NULL, 0},
	{"raw tcp6", AF_INET6, SOCK_RAW, IPPROTO_TCP, V6, IPPROTO_TCP, PORT, NULL, 0},
	{"raw esp6", AF_INET6, SOCK_RAW, IPPROTO_ESP, V6, OTHER, 0, NULL, 0},
	{"raw dccp6", AF_INET6, SOCK_RAW, PROTOCOL_DCCP, V6, OTHER, PORT, NULL, 0},
	{"ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, V4, OTHER, 0, NULL, ICMP_TYPE},
	{"ping6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, V6, OTHER, 0, NULL, ICMP_TYPE | NO_ERROR},
	{"udplite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, V4, IPPROTO_UDP, PORT, "UDP-Lite", 0},
	{"udplite6", AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE, V6, IPPROTO_UDP, PORT, "UDPLITEv6", 0},
	{"sctp", AF_INET, SOCK_STREAM, IPPROTO_SCTP, V4, OTHER, PORT, "SCTP", 0},
	{"sctp6", AF_INET6, SOCK_STREAM, IPPROTO_SCTP, V6, OTHER, PORT, "SCTPv6", 0},
	{"dccp", AF_INET, SOCK_DCCP, PROTOCOL_DCCP, V4, OTHER, PORT, "DCCP", 0},
	{"l2tp", AF_INET, SOCK_DGRAM, PROTOCOL_L2TP, V4, OTHER, 0, "L2TP/IP", 0},
};

static const struct verdict_case {
	const char *name;
	uint16_t action; /* of a rule for exactly the destination; 0: no rule */
	uint32_t default_action, flags, verdict;
} cases[] = {
	{"allowed by a rule", ALLOW, DENY, 0, AGENTSH_EBPF_VERDICT_ALLOWED},
	{"denied by a rule", DENY, ALLOW, 0, AGENTSH_EBPF_VERDICT_DENIED},
	{"allowed by default", 0, ALLOW, 0, AGENTSH_EBPF_VERDICT_ALLOWED},
	{"denied by default", 0, DENY, 0, AGENTSH_EBPF_VERDICT_DENIED},
	{"would be denied", DENY, ALLOW, AUDIT, AGENTSH_EBPF_VERDICT_WOULD_DENY},
};

/* A rule for the destination of the kind, between rules for its neighbours that say the opposite.
 */
static void set_rules(const struct kind *kind, const struct connection_address *at,
		      const struct verdict_case *c)
{
	bool allowed = c->verdict == AGENTSH_EBPF_VERDICT_ALLOWED;
	struct agentsh_ebpf_rule list[3];
	size_t count = 0;

	for (uint32_t i = 0; i < 3; i++) {
		struct agentsh_ebpf_rule *rule = &list[count];
		int last;

		if (i == 1 && !c->action)
			continue;
		*rule = packets_rule_for(at,
					 i == 1	   ? c->action
					 : allowed ? DENY
						   : ALLOW,
					 kind->rule_protocol);
		last = rule->family == AF_INET ? 3 : 15;
		rule->rule_id = PACKETS_RULE + i;
		if (kind->rule_protocol == OTHER)
			rule->first_port = 0;
		if (i == 0)
			rule->addr[last] ^= 2;
		if (i == 2 && kind->rule_protocol != OTHER)
			rule->first_port++;
		else if (i == 2)
			rule->protocol = IPPROTO_TCP;
		count++;
	}
	rules_set(packets_session,
		  rules_create(packets_tracer, list, count, c->default_action, EGRESS | c->flags));
}

static bool is_datagram(const struct kind *kind)
{
	return kind->type == SOCK_DGRAM || kind->type == SOCK_RAW;
}

/* UDP-Lite connects first, because the rules judge the call that names the destination. */
static int go(const struct kind *kind, const struct connection_address *at)
{
	uint8_t payload[40] = {0, 0, 0, PORT, 0, 40, 0, 0, 0, 0, 0, 0, 0x50};
	struct connection_address to = *at;
	int error;

	if (kind->flags & ICMP_TYPE)
		memcpy(payload, (uint8_t[]){kind->domain == AF_INET ? 8 : 128, 0, 0, 0}, 4);
	if (kind->type == SOCK_RAW || kind->protocol == PROTOCOL_L2TP)
		to.sa.v4.sin_port = 0; /* the same place in both */
	if (!is_datagram(kind))
		return far_connect(far, 0, &to);
	if (kind->protocol != IPPROTO_UDPLITE || kind->type == SOCK_RAW)
		return far_send_to(far, 0, payload, sizeof(payload), &to, 0);
	error = far_connect(far, 0, &to);
	return error ? error : far_send(far, 0, payload, sizeof(payload));
}

static void expect_event(const struct kind *kind, const struct connection_address *at,
			 const struct verdict_case *c, uint64_t cookie)
{
	size_t count;
	const struct agentsh_ebpf_event *e = packets_event(at, &count);
	bool allowed = c->verdict == AGENTSH_EBPF_VERDICT_ALLOWED;

	LIVE_CHECK(count == !allowed && packets_events() == count, "%s, %s: %zu events", kind->name,
		   c->name, count);
	if (!count)
		return;
	LIVE_CHECK(e->verdict == c->verdict && e->rule_id == (c->action ? PACKETS_RULE + 1 : 0) &&
			   e->session_id == PACKETS_SESSION && e->socket_type == kind->type &&
			   e->protocol == kind->protocol && e->socket_cookie == cookie &&
			   e->flags == AGENTSH_EBPF_FLAG_UNATTRIBUTED,
		   "%s, %s: verdict %u, rule %u, type %u, protocol %u, flags %u", kind->name,
		   c->name, e->verdict, e->rule_id, e->socket_type, e->protocol, e->flags);
}

static void try(const struct kind *kind, const struct verdict_case *c)
{
	const struct connection_address at = connection_address(kind->to, kind->port);
	bool denied = c->verdict == AGENTSH_EBPF_VERDICT_DENIED;
	uint64_t cookie;
	uint32_t left;
	int error;

	set_rules(kind, &at, c);
	packets_mark();
	LIVE_CHECK(!far_socket(far, 0, kind->domain, kind->type, kind->protocol), "%s: socket",
		   kind->name);
	cookie = far_cookie(far, 0);
	far_left(far, &at);
	error = go(kind, &at);
	left = far_left(far, &at);
	LIVE_CHECK((left == 0) == denied, "%s, %s: %u packets have left (%s)", kind->name, c->name,
		   left, strerror(error));
	if (is_datagram(kind))
		LIVE_CHECK(error == (denied && !(kind->flags & NO_ERROR) ? EPERM : 0), "%s, %s: %s",
			   kind->name, c->name, strerror(error));
	LIVE_CHECK((packets_denied() > 0) == denied, "%s, %s: counter", kind->name, c->name);
	LIVE_CHECK((packets_would_deny() > 0) == (c->verdict == AGENTSH_EBPF_VERDICT_WOULD_DENY),
		   "%s, %s: counter", kind->name, c->name);
	expect_event(kind, &at, c, cookie);
	far_close(far, 0);
}

START_TEST(each_kind)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(kinds); i++) {
		int error = far_socket(far, 0, kinds[i].domain, kinds[i].type, kinds[i].protocol);

		if (error) {
			LIVE_CHECK(kinds[i].protocol_name && !kernel_lists(kinds[i].protocol_name),
				   "%s: %s", kinds[i].name, strerror(error));
			printf("not tried: this kernel has no %s\n", kinds[i].name);
			continue;
		}
		far_close(far, 0);
		for (size_t j = 0; j < LIVE_COUNT(cases); j++)
			try(&kinds[i], &cases[j]);
	}
	packets_end();
}
END_TEST

void packets_kind_tests(TCase *tc)
{
	tcase_add_loop_test(tc, each_kind, 0, LIVE_COUNT(packets_missing));
}
