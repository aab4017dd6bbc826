/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths to the network a tracer sees. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "base/files.h"
#include "base/result.h"
#include "base/system.h"
#include "probe/enforced.h"
#include "tracer/options.h"
#include "tracer/tracer.h"

enum rule {
	UNSEEN,
	BY_CONNECT, /* needs AGENTSH_EBPF_HOOK_CONNECT */
	BY_UDP,	    /* needs AGENTSH_EBPF_HOOK_UDP, or AGENTSH_EBPF_HOOK_TRAFFIC */
	BY_SENDMSG, /* needs AGENTSH_EBPF_HOOK_UDP: the kernel sends for the process */
	BY_PING,    /* needs the connect hook, and a kernel that runs it for ping sockets */
	BY_LIFECYCLE,
	BY_ACCEPT, /* or AGENTSH_EBPF_HOOK_TRAFFIC */
	BY_TRAFFIC,
	BY_DNS,
	BY_SERVER_NAME,
	BY_UNIX,
	IMPLIED, /* an earlier connect() was reported; seen with AGENTSH_EBPF_HOOK_TRAFFIC */
	BY_ANY	 /* seen like other sockets of its kind */
};

#define BY_PACKET "UNANNOUNCED with the hook TRAFFIC, at the first packet; otherwise no event"
#define NO_PROGRAM "the kernel runs no program of the session for it"
#define DROP_NET_RAW "; drop CAP_NET_RAW to close this path"
#define SOCKET_FILTER "; a seccomp filter on socket() closes this path"

static const struct {
	const char *name;
	enum rule rule;
	const char *note;
} table[] = {
	[AGENTSH_EBPF_COVERAGE_TCP_CONNECT] = {"tcp_connect", BY_CONNECT,
					       "one CONNECT per attempt"},
	[AGENTSH_EBPF_COVERAGE_TCP_FASTOPEN] = {"tcp_fastopen", BY_CONNECT,
						"CONNECT, also if sendto() opens the connection"},
	[AGENTSH_EBPF_COVERAGE_MPTCP_CONNECT] =
		{"mptcp_connect", BY_CONNECT,
		 "one CONNECT per subflow; a further subflow names the process of the MPTCP socket "
		 "if the program can find it, else it is UNATTRIBUTED"},
	[AGENTSH_EBPF_COVERAGE_UDP_CONNECT] = {"udp_connect", BY_CONNECT, "CONNECT"},
	[AGENTSH_EBPF_COVERAGE_UDP_SEND] =
		{"udp_send", BY_UDP,
		 "one UDP_SEND per socket and destination, or one per datagram; without the hook "
		 "UDP, "
		 "but with TRAFFIC, UNANNOUNCED at the first datagram of the socket"},
	[AGENTSH_EBPF_COVERAGE_UDP_SEND_CONNECTED] =
		{"udp_send_connected", IMPLIED,
		 "FIRST_DATA with the hook TRAFFIC, else no event; the connect() of the socket was "
		 "reported"},
	[AGENTSH_EBPF_COVERAGE_UDPLITE_CONNECT] = {"udplite_connect", BY_TRAFFIC, BY_PACKET},
	[AGENTSH_EBPF_COVERAGE_UDPLITE_SEND] = {"udplite_send", BY_UDP, "like udp_send"},
	[AGENTSH_EBPF_COVERAGE_PING_CONNECT] =
		{"ping_connect", BY_PING,
		 "CONNECT since kernel 6.1; before that UNANNOUNCED with the hook TRAFFIC"},
	[AGENTSH_EBPF_COVERAGE_PING_SEND] = {"ping_send", BY_TRAFFIC, BY_PACKET},
	[AGENTSH_EBPF_COVERAGE_SCTP] = {"sctp", BY_TRAFFIC, BY_PACKET SOCKET_FILTER},
	[AGENTSH_EBPF_COVERAGE_RAW] = {"raw", BY_TRAFFIC, BY_PACKET DROP_NET_RAW},
	[AGENTSH_EBPF_COVERAGE_PACKET] = {"packet", UNSEEN, NO_PROGRAM DROP_NET_RAW},
	[AGENTSH_EBPF_COVERAGE_IO_URING_CONNECT] =
		{"io_uring_connect", BY_CONNECT,
		 "like connect(); pid may be a worker thread of io_uring"},
	[AGENTSH_EBPF_COVERAGE_IO_URING_SEND] =
		{"io_uring_send", BY_UDP, "like sendmsg(); pid may be a worker thread of io_uring"},
	[AGENTSH_EBPF_COVERAGE_UNIX] = {"unix", BY_UNIX,
					"UNIX_CONNECT with the hook UNIX; otherwise no event; keep "
					"sockets of proxies out of reach"},
	[AGENTSH_EBPF_COVERAGE_VSOCK] = {"vsock", UNSEEN, NO_PROGRAM SOCKET_FILTER},
	[AGENTSH_EBPF_COVERAGE_EARLIER_SOCKET] =
		{"earlier_socket", UNSEEN,
		 "a socket belongs to the cgroup in which it was created"},
	[AGENTSH_EBPF_COVERAGE_PASSED_SOCKET] =
		{"passed_socket", UNSEEN, "a socket belongs to the cgroup in which it was created"},
	[AGENTSH_EBPF_COVERAGE_LEFT_SOCKET] = {"left_socket", BY_ANY,
					       "like other sockets of its type: a socket belongs "
					       "to the cgroup in which it was created"},
	[AGENTSH_EBPF_COVERAGE_TCP_OUTCOME] =
		{"tcp_outcome", BY_LIFECYCLE,
		 "CONNECTED, CONNECT_FAILED and CLOSED, with the hook LIFECYCLE"},
	[AGENTSH_EBPF_COVERAGE_DATAGRAM_CLOSE] = {"datagram_close", BY_LIFECYCLE,
						  "CLOSED, with the hook LIFECYCLE"},
	[AGENTSH_EBPF_COVERAGE_TCP_ACCEPT] = {"tcp_accept", BY_ACCEPT,
					      "ACCEPTED with the hook ACCEPT; without it, but "
					      "with TRAFFIC, UNANNOUNCED"},
	[AGENTSH_EBPF_COVERAGE_DCCP] = {"dccp", BY_TRAFFIC, BY_PACKET SOCKET_FILTER},
	[AGENTSH_EBPF_COVERAGE_L2TP_IP] = {"l2tp_ip", BY_TRAFFIC, BY_PACKET SOCKET_FILTER},
	[AGENTSH_EBPF_COVERAGE_SMC_CONNECT] =
		{"smc_connect", BY_CONNECT,
		 "CONNECT of the TCP socket that the kernel makes for it, with protocol TCP"},
	[AGENTSH_EBPF_COVERAGE_RDS] =
		{"rds", UNSEEN,
		 "a thread of the kernel connects outside the session" SOCKET_FILTER},
	[AGENTSH_EBPF_COVERAGE_XDP] = {"xdp", UNSEEN, NO_PROGRAM DROP_NET_RAW},
	[AGENTSH_EBPF_COVERAGE_RXRPC] = {"rxrpc", BY_SENDMSG,
					 "UDP_SEND of the UDP socket that the kernel makes, which "
					 "processes may share; it may "
					 "name a thread of the kernel" SOCKET_FILTER},
	[AGENTSH_EBPF_COVERAGE_OTHER_FAMILY] = {"other_family", UNSEEN, NO_PROGRAM SOCKET_FILTER},
	[AGENTSH_EBPF_COVERAGE_EARLIER_CONNECTION] =
		{"earlier_connection", BY_TRAFFIC,
		 "UNANNOUNCED with the hook TRAFFIC, at the next packet; otherwise no event"},
	[AGENTSH_EBPF_COVERAGE_DNS_UDP] = {"dns_udp", BY_DNS,
					   "names of events, with the hook DNS; ports other than "
					   "53 are in dns_ports"},
	[AGENTSH_EBPF_COVERAGE_DNS_TCP] = {"dns_tcp", BY_DNS, "like dns_udp"},
	[AGENTSH_EBPF_COVERAGE_DNS_TLS] =
		{"dns_tls", UNSEEN,
		 "the questions are encrypted; block port 853 so that processes use plain DNS"},
	[AGENTSH_EBPF_COVERAGE_DNS_HTTPS] =
		{"dns_https", UNSEEN,
		 "the questions are encrypted; the name of the DNS server is seen like "
		 "tls_server_name"},
	[AGENTSH_EBPF_COVERAGE_LOCAL_RESOLVER] =
		{"local_resolver", UNSEEN,
		 "the questions leave the session through an AF_UNIX socket; keep the socket out "
		 "of reach so that processes use plain DNS"},
	[AGENTSH_EBPF_COVERAGE_HOSTS_FILE] =
		{"hosts_file", UNSEEN,
		 "no packet has these names; the host can give them with "
		 "agentsh_ebpf_session_name_seed()"},
	[AGENTSH_EBPF_COVERAGE_EARLIER_ANSWER] =
		{"earlier_answer", UNSEEN,
		 "a process may keep an answer for as long as it likes; the host can give names "
		 "with agentsh_ebpf_session_name_seed()"},
	[AGENTSH_EBPF_COVERAGE_TLS_SERVER_NAME] =
		{"tls_server_name", BY_SERVER_NAME,
		 "SERVER_NAME, with the hook SERVER_NAME, if the connect() was reported; the "
		 "process may write any name"},
	[AGENTSH_EBPF_COVERAGE_TLS_ENCRYPTED_NAME] =
		{"tls_encrypted_name", UNSEEN,
		 "the name is encrypted; SERVER_NAME has the public name, and the flag OUTER"},
	[AGENTSH_EBPF_COVERAGE_HTTP_HOST] =
		{"http_host", BY_SERVER_NAME,
		 "SERVER_NAME, with the hook SERVER_NAME, of the first request of a connection"},
	[AGENTSH_EBPF_COVERAGE_QUIC_SERVER_NAME] =
		{"quic_server_name", UNSEEN,
		 "the first packet is encrypted with a key that anybody can compute, but the "
		 "library does not decrypt it; block UDP port 443 so that processes use TLS over "
		 "TCP"},
};

#define ROWS (sizeof(table) / sizeof(table[0]))

/*
 * Whether the kernel has this function, according to its BTF: a hook's name says more than
 * a version, because distributions backport hooks. Returns 0, 1, or -1 if BTF is not
 * readable.
 */
static int kernel_has(const char *function)
{
	size_t len = 0;
	char *btf = agentsh_read_all(AGENTSH_BTF_PATH, &len);
	int found = btf ? memmem(btf, len, function, strlen(function) + 1) != NULL : -1;

	free(btf);
	return found;
}

static bool ping_hooked(void)
{
	int found = kernel_has("ping_pre_connect");

	return found < 0 ? agentsh_kernel_version(NULL, 0) >= AGENTSH_KERNEL(6, 1) : found;
}

static bool is_seen(const struct agentsh_ebpf_tracer *t, enum rule rule)
{
	switch (rule) {
	case BY_CONNECT:
		return t->programs.hooks & AGENTSH_EBPF_HOOK_CONNECT;
	case BY_UDP:
		return t->programs.hooks & (AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_TRAFFIC);
	case BY_SENDMSG:
		return t->programs.hooks & AGENTSH_EBPF_HOOK_UDP;
	case BY_PING:
		return t->programs.hooks & AGENTSH_EBPF_HOOK_TRAFFIC ||
		       (t->programs.hooks & AGENTSH_EBPF_HOOK_CONNECT && ping_hooked());
	case BY_ANY:
		return t->programs.hooks & (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP);
	case BY_LIFECYCLE:
		return t->programs.hooks & AGENTSH_EBPF_HOOK_LIFECYCLE;
	case BY_ACCEPT:
		return t->programs.hooks & (AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC);
	case BY_DNS:
		return t->programs.hooks & AGENTSH_EBPF_HOOK_DNS;
	case BY_SERVER_NAME:
		return t->programs.hooks & AGENTSH_EBPF_HOOK_SERVER_NAME;
	case BY_UNIX:
		return t->programs.hooks & AGENTSH_EBPF_HOOK_UNIX;
	case BY_TRAFFIC:
	case IMPLIED:
		return t->programs.hooks & AGENTSH_EBPF_HOOK_TRAFFIC;
	default:
		return false;
	}
}

int agentsh_ebpf_coverage(const struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_coverage *out)
{
	struct agentsh_ebpf_coverage c = {.count = ROWS};

	if (!t || !out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	if (t->ring.synthetic)
		return -EOPNOTSUPP;
	if (out->size >= offsetof(struct agentsh_ebpf_coverage, reserved))
		c.rules_flags = out->rules_flags;
	if (c.rules_flags & ~AGENTSH_RULES_FLAGS)
		return -EINVAL;
	if (t->programs.hooks & AGENTSH_EBPF_HOOK_RULES)
		c.enforced = agentsh_enforced(t->programs.hooks, c.rules_flags, ping_hooked());
	for (size_t i = 0; i < ROWS; i++) {
		if (is_seen(t, table[i].rule))
			c.seen |= 1ULL << i;
		else if (table[i].rule == IMPLIED && t->programs.hooks & AGENTSH_EBPF_HOOK_CONNECT)
			c.implied |= 1ULL << i;
		else
			c.unseen |= 1ULL << i;
	}
	agentsh_copy_result(out, &c, sizeof(c));
	return 0;
}

const char *agentsh_ebpf_coverage_name(uint32_t coverage)
{
	return coverage < ROWS ? table[coverage].name : "unknown";
}

const char *agentsh_ebpf_coverage_note(uint32_t coverage)
{
	return coverage < ROWS ? table[coverage].note : "";
}
