/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the library sets once, before it loads the programs. */
#ifndef AGENTSH_SETTINGS_H
#define AGENTSH_SETTINGS_H

#include <linux/types.h>

/* Constants of the loaded programs: the verifier sees them as such. */
struct agentsh_settings {
	__u64 quota_bytes;	/* what one session may hold of the ring */
	__u64 wakeup_watermark; /* a ring that holds this much wakes its reader in any case */
	__u32 pidns_inode;	/* PID namespace of the opener; 0: not known */
	__u8 udp_no_dedup;	/* report every datagram */
	__u8 comm;		/* the helper for comm may be called */
	__u8 task_direct;	/* bpf_get_current_task_btf may be called */
	__u8 lifecycle;		/* keep the flow of each socket: what becomes of it is asked for */
	__u8 accept;		/* report inbound connections */
	__u8 zero[7];
};

#endif
