/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/enforced.h"

#include <agentsh/ebpf.h>

#define PATH(name) (1ULL << AGENTSH_EBPF_COVERAGE_##name)

/*
 * Judged by the programs of calls. A socket that has left the cgroup still runs them, and a send
 * without a destination goes to what connect() was allowed to reach.
 */
#define BY_CALL                                                                                    \
	(PATH(TCP_CONNECT) | PATH(TCP_FASTOPEN) | PATH(MPTCP_CONNECT) | PATH(UDP_CONNECT) |        \
	 PATH(UDP_SEND) | PATH(UDP_SEND_CONNECTED) | PATH(UDPLITE_SEND) | PATH(IO_URING_CONNECT) | \
	 PATH(IO_URING_SEND) | PATH(SMC_CONNECT) | PATH(LEFT_SOCKET))

/* IPv4 and IPv6 sockets of other kinds: refused when they are made, or judged by their packets. */
#define OTHER_KINDS                                                                                \
	(PATH(UDPLITE_CONNECT) | PATH(UDPLITE_SEND) | PATH(PING_CONNECT) | PATH(PING_SEND) |       \
	 PATH(SCTP) | PATH(RAW) | PATH(DCCP) | PATH(L2TP_IP))

uint64_t agentsh_enforced(uint32_t hooks, uint32_t rules_flags, bool ping_hooked)
{
	uint64_t enforced = BY_CALL;

	if (!(hooks & AGENTSH_EBPF_HOOK_RULES) || rules_flags & AGENTSH_EBPF_RULES_AUDIT)
		return 0;
	if (ping_hooked)
		enforced |= PATH(PING_CONNECT);
	if (hooks & AGENTSH_EBPF_HOOK_SOCK_CREATE &&
	    rules_flags & AGENTSH_EBPF_RULES_STRICT_SOCKETS)
		enforced |= OTHER_KINDS;
	if (hooks & AGENTSH_EBPF_HOOK_EGRESS && rules_flags & AGENTSH_EBPF_RULES_EGRESS)
		enforced |= OTHER_KINDS | PATH(EARLIER_CONNECTION);
	return enforced;
}
