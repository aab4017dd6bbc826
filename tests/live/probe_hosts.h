/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that really lack something, and what the probe must say there. */
#ifndef PROBE_HOSTS_H
#define PROBE_HOSTS_H

#include "host_limits.h"
#include "live.h"

#define CHECK(name) AGENTSH_EBPF_CHECK_##name
#define OK AGENTSH_EBPF_STATUS_AVAILABLE
#define MISSING AGENTSH_EBPF_STATUS_MISSING
#define FORBIDDEN AGENTSH_EBPF_STATUS_FORBIDDEN
#define DEFAULT (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP)
#define JUDGING (AGENTSH_EBPF_HOOK_RULES | AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS)
#define ALL                                                                                        \
	(DEFAULT | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT |                        \
	 AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME |       \
	 AGENTSH_EBPF_HOOK_UNIX | JUDGING)
#define WITHOUT_UDP (ALL & ~(uint32_t)(AGENTSH_EBPF_HOOK_UDP | JUDGING))
#define WITHOUT_CONNECT (AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_UNIX)

enum {
	LOAD_ONLY = 1,
	FD_FROM_ELSEWHERE = 2, /* not usable, but a cgroup descriptor from elsewhere works */
	ATTACH_FAILS = 4,      /* although open works */
	USERNS = 8,
	BEFORE_5_11 = 16, /* from 5.11 on nothing is missing */
	OR_MORE = 32,	  /* further hooks may work */
	SYS_ADMIN_ONLY =
		64 /* the kernel may demand CAP_NET_ADMIN for reading the programs in effect */
};

struct probe_host {
	const char *name;
	int (*before)(void);
	uint64_t caps;
	uint32_t check, status; /* one check, and the status expected of it */
	int error;
	uint32_t hooks;	   /* without UNIX on a kernel that lacks it */
	const char *words; /* in the reason; "": usable */
	int flags;
};

extern const struct probe_host probe_hosts[];
extern const size_t probe_host_count;

/* The host's cgroup is a child of parent. */
extern struct live_cgroup probe_parent, probe_cgroup, probe_sibling;

/* For a host that gets /dev/null instead of BTF. */
int probe_devnull_over_btf(void);

#endif
