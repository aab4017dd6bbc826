/* SPDX-License-Identifier: Apache-2.0 */
/* The table of programs. A new program needs an entry here and a file in bpf/. */
#include "base/programs.h"

#include <linux/bpf.h>

#include <agentsh/ebpf.h>

/* enum bpf_attach_type of kernel 6.7, which older headers lack */
#define CGROUP_UNIX_CONNECT 49
#define CGROUP_UNIX_SENDMSG 50

#define CONNECT AGENTSH_EBPF_HOOK_CONNECT
#define UDP AGENTSH_EBPF_HOOK_UDP
#define LIFECYCLE AGENTSH_EBPF_HOOK_LIFECYCLE
#define ACCEPT AGENTSH_EBPF_HOOK_ACCEPT
#define TRAFFIC AGENTSH_EBPF_HOOK_TRAFFIC
#define DNS AGENTSH_EBPF_HOOK_DNS
#define SERVER_NAME AGENTSH_EBPF_HOOK_SERVER_NAME
#define UNIX AGENTSH_EBPF_HOOK_UNIX
#define RULES AGENTSH_EBPF_HOOK_RULES
#define SOCK_CREATE AGENTSH_EBPF_HOOK_SOCK_CREATE
#define EGRESS AGENTSH_EBPF_HOOK_EGRESS
/* the hooks that need the table of sockets */
#define STATES (LIFECYCLE | TRAFFIC | DNS | SERVER_NAME)
/* the hooks that need the programs of calls */
#define JUDGING (RULES | SOCK_CREATE | EGRESS)

const struct agentsh_program_desc agentsh_program_descs[AGENTSH_PROGRAM_COUNT] = {
	{CONNECT, CONNECT | STATES | JUDGING, AGENTSH_EBPF_CHECK_CONNECT4, BPF_CGROUP_INET4_CONNECT,
	 "agentsh_connect4", "agentsh_state_connect4", "cgroup/connect4"},
	{CONNECT, CONNECT | STATES | JUDGING, AGENTSH_EBPF_CHECK_CONNECT6, BPF_CGROUP_INET6_CONNECT,
	 "agentsh_connect6", "agentsh_state_connect6", "cgroup/connect6"},
	{UDP, UDP | JUDGING, AGENTSH_EBPF_CHECK_SENDMSG4, BPF_CGROUP_UDP4_SENDMSG,
	 "agentsh_sendmsg4", "agentsh_state_sendmsg4", "cgroup/sendmsg4"},
	{UDP, UDP | JUDGING, AGENTSH_EBPF_CHECK_SENDMSG6, BPF_CGROUP_UDP6_SENDMSG,
	 "agentsh_sendmsg6", "agentsh_state_sendmsg6", "cgroup/sendmsg6"},
	{LIFECYCLE | ACCEPT | EGRESS, STATES | ACCEPT | EGRESS, AGENTSH_EBPF_CHECK_SOCK_OPS,
	 BPF_CGROUP_SOCK_OPS, "agentsh_sockops", "agentsh_state_sockops", "sock_ops"},
	/* kernel 5.9; takes sockets out of the table of sockets */
	{LIFECYCLE | ACCEPT, STATES | ACCEPT, AGENTSH_EBPF_CHECK_SOCK_RELEASE,
	 BPF_CGROUP_INET_SOCK_RELEASE, "agentsh_release", "agentsh_state_release",
	 "cgroup/sock_release"},
	{ACCEPT, ACCEPT, AGENTSH_EBPF_CHECK_BIND4, BPF_CGROUP_INET4_BIND, "agentsh_bind4",
	 "agentsh_state_bind4", "cgroup/bind4"},
	{ACCEPT, ACCEPT, AGENTSH_EBPF_CHECK_BIND6, BPF_CGROUP_INET6_BIND, "agentsh_bind6",
	 "agentsh_state_bind6", "cgroup/bind6"},
	{TRAFFIC | DNS, TRAFFIC | DNS, AGENTSH_EBPF_CHECK_INET_INGRESS, BPF_CGROUP_INET_INGRESS,
	 "agentsh_ingress", "agentsh_state_ingress", "cgroup_skb/ingress"},
	{TRAFFIC | DNS | SERVER_NAME | EGRESS, TRAFFIC | DNS | SERVER_NAME | EGRESS,
	 AGENTSH_EBPF_CHECK_INET_EGRESS, BPF_CGROUP_INET_EGRESS, "agentsh_egress",
	 "agentsh_state_egress", "cgroup_skb/egress"},
	{UNIX, UNIX, AGENTSH_EBPF_CHECK_CONNECT_UNIX, CGROUP_UNIX_CONNECT, "agentsh_connect_unix",
	 "agentsh_state_connect_unix", "cgroup/connect_unix"},
	{UNIX, UNIX, AGENTSH_EBPF_CHECK_SENDMSG_UNIX, CGROUP_UNIX_SENDMSG, "agentsh_sendmsg_unix",
	 "agentsh_state_sendmsg_unix", "cgroup/sendmsg_unix"},
	{SOCK_CREATE, SOCK_CREATE, AGENTSH_EBPF_CHECK_SOCK_CREATE, BPF_CGROUP_INET_SOCK_CREATE,
	 "agentsh_sock_create", "agentsh_state_sock_create", "cgroup/sock_create"},
};

uint32_t agentsh_ebpf_hooks_built(void)
{
#ifdef AGENTSH_EBPF_WITH_UDP
	return CONNECT | UDP | ACCEPT | STATES | UNIX | JUDGING;
#else
	return CONNECT | ACCEPT | STATES | UNIX;
#endif
}
