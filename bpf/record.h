/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The record in the ring buffer, which the kernel programs write and the library reads.
 * Both sides are built together, so the layout may change freely; a change raises
 * AGENTSH_RECORD_VERSION. Every byte of a record is a named member that the programs set: the
 * record is copied from their stack, so a hole would leak kernel memory.
 */
#ifndef AGENTSH_RECORD_H
#define AGENTSH_RECORD_H

#include <linux/types.h>

#define AGENTSH_RECORD_VERSION 6

/* Bytes of the header that the kernel puts in front of each record (BPF_RINGBUF_HDR_SZ). */
#define AGENTSH_RECORD_HEADER 8

#define AGENTSH_COMM_LEN 16
#define AGENTSH_ADDR_LEN 16

/*
 * The calling task. A copy is kept with the socket, so that later events of that socket
 * can name it.
 */
struct agentsh_task {
	__u32 pid;
	__u32 tgid;
	__u32 uid;
	__u32 gid;
	__u32 ppid;
	__u32 ns_pid;
	__u32 ns_tgid;
	__u32 container_pid;
	__u32 container_tgid;
	__u32 exe_device; /* the kernel's dev_t: major << 20 | minor */
	__u64 exe_inode;
	__u64 cgroup_id;
	__u64 process_start_ns;
	char comm[AGENTSH_COMM_LEN];
	char process_comm[AGENTSH_COMM_LEN];
};

struct agentsh_record_head {
	__u8 version;
	__u8 kind;
	__u16 flags;
	__u32 generation;
	__u16 slot; /* max_sessions is at most 65536 */
	__u16 family;
	__u16 protocol;
	__u16 socket_type;
	__u16 local_port;
	__u16 remote_port;
	__u32 ifindex;
};

/*
 * As in struct agentsh_ebpf_event, addresses are in network order, IPv4 in the first four
 * bytes with the rest zero, and ports are in host order.
 */
struct agentsh_record {
	struct agentsh_record_head head;
	__u64 timestamp_ns;
	__u64 session_id;
	__u64 session_lost;
	__u64 socket_cookie;
	__u64 netns_cookie;
	struct agentsh_task task;
	__u32 local_addr[AGENTSH_ADDR_LEN / 4];
	__u32 remote_addr[AGENTSH_ADDR_LEN / 4];
};

/* A record of a call, if the tracer has rules. */
struct agentsh_record_judged {
	struct agentsh_record base;
	__u32 verdict;
	__u32 rule_id;
};

/* A record with the outcome of a connection. */
struct agentsh_record_outcome {
	struct agentsh_record base;
	__s32 error;
	__u32 rtt_us;
	__u64 duration_ns;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u32 retransmits;
	__u32 zero;
	__u32 packets_sent;
	__u32 packets_received;
};

/* What one packet record holds of a packet, at most; powers of two, for the verifier. */
#define AGENTSH_PACKET_SMALL 512
#define AGENTSH_PACKET_LARGE 4096

/*
 * A packet, whose data is behind this struct: AGENTSH_PACKET_SMALL or AGENTSH_PACKET_LARGE
 * bytes. The kind is DNS_QUERY (sent to a name server), DNS_ANSWER (received from a name
 * server) or SERVER_NAME (sent first over a connection). The remote end is that of the packet.
 * The task is that of the socket's state; without a state it is zero, and the record has the
 * flag UNATTRIBUTED. Such a record also has the flag INBOUND if the packet came to a UDP socket
 * that is not connected: anybody can send to it, and nothing tells that it has asked.
 */
struct agentsh_record_packet {
	struct agentsh_record base;
	__u32 length;	/* bytes of the UDP or TCP payload */
	__u32 captured; /* of which the record has so many; behind them is old ring memory */
	__u32 sequence; /* TCP: of the first byte; UDP: 0 */
	/*
	 * UDP: size of each of several datagrams in one packet (UDP_GRO), else 0. TCP: 1 in the
	 * first record of what the connection sends or receives, whether it found room or not.
	 */
	__u32 segment;
};

#define AGENTSH_UNIX_PATH 112

/* A call on an AF_UNIX socket. */
struct agentsh_record_unix {
	struct agentsh_record base;
	__u32 path_len; /* of sun_path, unix(7); the first byte of an abstract name is 0 */
	__u32 zero;
	char path[AGENTSH_UNIX_PATH]; /* bytes behind path_len are zero */
};

_Static_assert(sizeof(struct agentsh_record_packet) == 208, "packet record has no holes");
_Static_assert(sizeof(struct agentsh_record_unix) == 312, "record of a path has no holes");
_Static_assert(sizeof(struct agentsh_task) == 96, "task has no holes");
_Static_assert(sizeof(struct agentsh_record) == 192, "record has no holes");
_Static_assert(sizeof(struct agentsh_record_judged) == 200, "judged record has no holes");
_Static_assert(sizeof(struct agentsh_record_outcome) == 240, "outcome record has no holes");

/* Bytes that one record takes in the ring: header and payload, rounded up to 8. */
#define AGENTSH_RING_BYTES(size) (((__u64)(size) + AGENTSH_RECORD_HEADER + 7) & ~7ULL)
#define AGENTSH_RECORD_RING_BYTES(type) AGENTSH_RING_BYTES(sizeof(type))

#endif
