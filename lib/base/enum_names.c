/* SPDX-License-Identifier: Apache-2.0 */
/* The public names of constants, and the library's version. */
#include <netinet/in.h>

#include <agentsh/ebpf.h>

#include "base/protocols.h"

#define UNKNOWN "unknown"

#define STRING(x) #x
#define VERSION(major, minor, patch) STRING(major) "." STRING(minor) "." STRING(patch)

const char *agentsh_ebpf_version(void)
{
	return VERSION(AGENTSH_EBPF_VERSION_MAJOR, AGENTSH_EBPF_VERSION_MINOR,
		       AGENTSH_EBPF_VERSION_PATCH);
}

const char *agentsh_ebpf_kind_name(uint32_t kind)
{
	switch (kind) {
	case AGENTSH_EBPF_EVENT_CONNECT:
		return "connect";
	case AGENTSH_EBPF_EVENT_UDP_SEND:
		return "udp_send";
	case AGENTSH_EBPF_EVENT_CONNECTED:
		return "connected";
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		return "connect_failed";
	case AGENTSH_EBPF_EVENT_CLOSED:
		return "closed";
	case AGENTSH_EBPF_EVENT_ACCEPTED:
		return "accepted";
	case AGENTSH_EBPF_EVENT_SESSION_BLIND:
		return "session_blind";
	case AGENTSH_EBPF_EVENT_FIRST_DATA:
		return "first_data";
	case AGENTSH_EBPF_EVENT_PROGRESS:
		return "progress";
	case AGENTSH_EBPF_EVENT_UNANNOUNCED:
		return "unannounced";
	case AGENTSH_EBPF_EVENT_DNS_QUERY:
		return "dns_query";
	case AGENTSH_EBPF_EVENT_DNS_ANSWER:
		return "dns_answer";
	case AGENTSH_EBPF_EVENT_SERVER_NAME:
		return "server_name";
	case AGENTSH_EBPF_EVENT_UNIX_CONNECT:
		return "unix_connect";
	case AGENTSH_EBPF_EVENT_SOCKET_DENIED:
		return "socket_denied";
	case AGENTSH_EBPF_EVENT_PACKET_DENIED:
		return "packet_denied";
	default:
		return UNKNOWN;
	}
}

const char *agentsh_ebpf_protocol_name(uint16_t protocol)
{
	switch (protocol) {
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_DCCP:
		return "dccp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	case IPPROTO_SCTP:
		return "sctp";
	case PROTOCOL_UDPLITE:
		return "udplite";
	case PROTOCOL_MPTCP:
		return "mptcp";
	default:
		return UNKNOWN;
	}
}

const char *agentsh_ebpf_hook_name(uint32_t hook)
{
	switch (hook) {
	case AGENTSH_EBPF_HOOK_CONNECT:
		return "connect";
	case AGENTSH_EBPF_HOOK_UDP:
		return "udp";
	case AGENTSH_EBPF_HOOK_LIFECYCLE:
		return "lifecycle";
	case AGENTSH_EBPF_HOOK_ACCEPT:
		return "accept";
	case AGENTSH_EBPF_HOOK_TRAFFIC:
		return "traffic";
	case AGENTSH_EBPF_HOOK_DNS:
		return "dns";
	case AGENTSH_EBPF_HOOK_SERVER_NAME:
		return "server_name";
	case AGENTSH_EBPF_HOOK_UNIX:
		return "unix";
	case AGENTSH_EBPF_HOOK_RULES:
		return "rules";
	case AGENTSH_EBPF_HOOK_SOCK_CREATE:
		return "sock_create";
	case AGENTSH_EBPF_HOOK_EGRESS:
		return "egress";
	default:
		return UNKNOWN;
	}
}

const char *agentsh_ebpf_verdict_name(uint32_t verdict)
{
	static const char *const names[] = {
		[AGENTSH_EBPF_VERDICT_NONE] = "none",
		[AGENTSH_EBPF_VERDICT_ALLOWED] = "allowed",
		[AGENTSH_EBPF_VERDICT_DENIED] = "denied",
		[AGENTSH_EBPF_VERDICT_WOULD_DENY] = "would_deny",
	};

	return verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : UNKNOWN;
}

const char *agentsh_ebpf_step_name(uint32_t step)
{
	static const char *const names[] = {
		[AGENTSH_EBPF_STEP_NONE] = "none",
		[AGENTSH_EBPF_STEP_OPTIONS] = "options",
		[AGENTSH_EBPF_STEP_MEMORY] = "memory",
		[AGENTSH_EBPF_STEP_OBJECT_OPEN] = "object_open",
		[AGENTSH_EBPF_STEP_OBJECT_LOAD] = "object_load",
		[AGENTSH_EBPF_STEP_RING_MAP] = "ring_map",
		[AGENTSH_EBPF_STEP_COUNTERS_MAP] = "counters_map",
		[AGENTSH_EBPF_STEP_EVENT_FD] = "event_fd",
		[AGENTSH_EBPF_STEP_CGROUP] = "cgroup",
		[AGENTSH_EBPF_STEP_SESSION_SLOT] = "session_slot",
		[AGENTSH_EBPF_STEP_LINK] = "link",
		[AGENTSH_EBPF_STEP_STORAGE] = "storage",
		[AGENTSH_EBPF_STEP_RULES] = "rules",
	};

	return step < sizeof(names) / sizeof(names[0]) ? names[step] : UNKNOWN;
}

const char *agentsh_ebpf_name_source_name(uint32_t source)
{
	static const char *const names[] = {
		[AGENTSH_EBPF_NAME_NONE] = "none",	 [AGENTSH_EBPF_NAME_DNS] = "dns",
		[AGENTSH_EBPF_NAME_DNS_TCP] = "dns_tcp", [AGENTSH_EBPF_NAME_TLS] = "tls",
		[AGENTSH_EBPF_NAME_HTTP] = "http",	 [AGENTSH_EBPF_NAME_SEED] = "seed",
		[AGENTSH_EBPF_NAME_UNIX] = "unix",
	};

	return source < sizeof(names) / sizeof(names[0]) ? names[source] : UNKNOWN;
}
