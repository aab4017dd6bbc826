/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the library sets once, before it loads the programs. */
#ifndef AGENTSH_SETTINGS_H
#define AGENTSH_SETTINGS_H

#include <linux/types.h>

#define AGENTSH_DNS_PORTS 8

/* Read-only data of the programs, which the verifier treats as constants. */
struct agentsh_settings {
	__u64 quota_bytes;	/* bytes of the ring that one session may hold */
	__u64 packets_bytes;	/* bytes in the ring above which no packet is copied */
	__u64 wakeup_watermark; /* bytes in the ring that wake the reader even while it polls */
	__u32 pidns_inode; /* PID namespace of the process that opened the tracer; 0: unknown */
	__u8 udp_no_dedup; /* report every datagram */
	__u8 comm;	   /* bpf_get_current_comm() may be called */
	__u8 task_direct;  /* bpf_get_current_task_btf() may be called */
	__u8 lifecycle;	   /* keep the state of each socket, for its later events */
	__u8 accept;	   /* report inbound connections */
	__u8 traffic;	   /* count packets, and report sockets that only packets show */
	__u8 dns;	   /* copy DNS messages */
	__u8 server_name;  /* copy the first data of connections */
	__u8 unix_sockets; /* report AF_UNIX sockets */
	__u8 rules;	   /* sessions may have rules */
	__u8 denials_only; /* report no call that is allowed */
	__u8 egress;	   /* rules may judge packets */
	/* of name servers, host order; unused elements repeat the first */
	__u16 dns_ports[AGENTSH_DNS_PORTS];
};

#endif
