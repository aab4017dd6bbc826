/* SPDX-License-Identifier: Apache-2.0 */
/* The table of programs: adding one means a line here and a file in bpf/. */
#include <linux/bpf.h>

#include "internal.h"

const struct agentsh_hook agentsh_hooks[AGENTSH_PROGRAMS] = {
	{AGENTSH_EBPF_HOOK_CONNECT, AGENTSH_EBPF_CHECK_CONNECT4, BPF_CGROUP_INET4_CONNECT, "agentsh_connect4",
	 "agentsh_tag_connect4", "cgroup/connect4"},
	{AGENTSH_EBPF_HOOK_CONNECT, AGENTSH_EBPF_CHECK_CONNECT6, BPF_CGROUP_INET6_CONNECT, "agentsh_connect6",
	 "agentsh_tag_connect6", "cgroup/connect6"},
	{AGENTSH_EBPF_HOOK_UDP, AGENTSH_EBPF_CHECK_SENDMSG4, BPF_CGROUP_UDP4_SENDMSG, "agentsh_sendmsg4", "agentsh_tag_sendmsg4",
	 "cgroup/sendmsg4"},
	{AGENTSH_EBPF_HOOK_UDP, AGENTSH_EBPF_CHECK_SENDMSG6, BPF_CGROUP_UDP6_SENDMSG, "agentsh_sendmsg6", "agentsh_tag_sendmsg6",
	 "cgroup/sendmsg6"},
};

uint32_t agentsh_hooks_built(void)
{
#ifdef AGENTSH_EBPF_WITH_UDP
	return AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP;
#else
	return AGENTSH_EBPF_HOOK_CONNECT;
#endif
}
