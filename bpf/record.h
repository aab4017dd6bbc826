/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs and the library share: the ring's record, a
 * session's tag, a slot of counters, and the settings that are fixed at load.
 * Both sides are built together, so this may change freely; a change raises
 * AGENTSH_RECORD_VERSION. Every byte of a record is a named field: the ring's
 * memory is not cleared, so a hole would leak kernel memory.
 */
#ifndef AGENTSH_RECORD_H
#define AGENTSH_RECORD_H

#include <linux/types.h>

#define AGENTSH_RECORD_VERSION 2

/* The kernel puts this header in front of each record (BPF_RINGBUF_HDR_SZ). */
#define AGENTSH_RECORD_HEADER 8

#define AGENTSH_COMM_LEN 16
#define AGENTSH_ADDR_LEN 16

/* The calling task; what a later event of its socket is to say too. */
struct agentsh_who {
	__u32 pid;
	__u32 tgid;
	__u32 ppid;
	__u32 ns_pid;
	__u32 ns_tgid;
	__u32 uid;
	__u32 gid;
	__u32 zero;
	__u64 cgroup_id;
	__u64 process_start_ns;
	char comm[AGENTSH_COMM_LEN];
};

/*
 * Numbers as in struct agentsh_ebpf_event: addresses in network order, IPv4 in
 * the first four bytes and the rest zero; ports in host order.
 */
struct agentsh_record {
	__u8 version;
	__u8 kind;
	__u16 flags;
	__u32 slot;
	__u32 serial;
	__u16 family;
	__u16 protocol;
	__u16 socket_type;
	__u16 local_port;
	__u16 remote_port;
	__u16 zero;
	__u64 timestamp_ns;
	__u64 session_id;
	__u64 session_lost;
	__u64 socket_cookie;
	__u64 netns_cookie;
	struct agentsh_who who;
	__u32 local_addr[AGENTSH_ADDR_LEN / 4];
	__u32 remote_addr[AGENTSH_ADDR_LEN / 4];
};

/* A record that also says what became of a connection. */
struct agentsh_record_outcome {
	struct agentsh_record base;
	__s32 error;
	__u32 rtt_us;
	__u64 duration_ns;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u32 retransmits;
	__u32 datagrams;
};

_Static_assert(sizeof(struct agentsh_who) == 64, "who has no holes");
_Static_assert(sizeof(struct agentsh_record) == 160, "record has no holes");
_Static_assert(sizeof(struct agentsh_record_outcome) == 200, "outcome record has no holes");

/* What the ring holds for one record: header and payload, in steps of 8. */
#define AGENTSH_ROOM(size) (((__u64)(size) + AGENTSH_RECORD_HEADER + 7) & ~7ULL)
#define AGENTSH_RECORD_ROOM(type) AGENTSH_ROOM(sizeof(type))

/*
 * The value of a link's cgroup storage. The kernel replaces the whole value at
 * once, so a program sees all of it or none; serial 0 means "not attached yet".
 */
struct agentsh_tag {
	__u64 session_id;
	__u64 lost_base;
	__u32 slot;
	__u32 serial;
};

/*
 * One session's counters in the memory-mapped array. They only ever rise, also
 * across sessions that use the slot one after another. Each side writes a cache
 * line of its own.
 */
struct agentsh_slot {
	/* written by the programs */
	__u64 lost;
	__u64 lost_share;
	__u64 deduplicated;
	__u64 produced;
	__u64 pad_kernel[4];
	/* written by the library */
	__u64 consumed;
	__u64 delivered;
	__u32 serial; /* of the session that has the slot; 0: none */
	__u32 seen_serial; /* of the session of the last record taken */
	__u64 seen_lost;   /* the most that any record of it said */
	__u64 pad_user[4];
};

_Static_assert(sizeof(struct agentsh_slot) == 128, "two cache lines");

/* One for the tracer, in a memory-mapped array. */
struct agentsh_control {
	/* written by the library */
	__u32 quiet; /* the reader looks by itself: no wake-up for each record */
	__u32 pad_user[15];
	/* set by the programs, cleared by the library */
	__u32 rung; /* the reader was woken because of the mark and has not looked yet */
	__u32 pad_kernel[15];
};

/* Constants of the loaded programs: the verifier sees them as such. */
struct agentsh_settings {
	__u64 share_bytes; /* what one session may hold of the ring */
	__u64 mark_bytes;  /* a ring that holds this much wakes its reader in any case */
	__u32 pidns_inode; /* PID namespace of the opener; 0: not known */
	__u8 udp_every;	   /* report every datagram */
	__u8 comm;	   /* the helper for comm may be called */
	__u8 task_direct;  /* bpf_get_current_task_btf may be called */
	__u8 lifecycle;	   /* keep the flow of each socket: what becomes of it is asked for */
	__u8 accept;	   /* report inbound connections */
	__u8 zero[7];
};

#endif
