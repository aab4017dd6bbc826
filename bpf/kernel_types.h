/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that the programs read, reduced to the members that they read. libbpf
 * moves each access to the member's offset in the running kernel's BTF (CO-RE), so the
 * order of the members does not matter, and no vmlinux.h of the build machine is needed.
 */
#ifndef AGENTSH_KERNEL_TYPES_H
#define AGENTSH_KERNEL_TYPES_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
};

struct mm_struct {
	struct file *exe_file;
};

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct cred {
	kuid_t uid;
	kgid_t gid;
};

struct task_struct {
	unsigned int flags;
	const struct cred *cred;
	struct mm_struct *mm;
	__u32 pid;
	__u32 tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime; /* since kernel 5.5 (cf25e24db61c) */
	char comm[16];
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct net {
	__u64 net_cookie; /* since kernel 5.12 (3d368ab87cf6) */
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__u16 skc_num; /* local port, host order */
	unsigned char skc_state;
	unsigned short skc_family;
	possible_net_t skc_net;
	unsigned long skc_flags;
	atomic64_t skc_cookie;
};

struct socket;

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket; /* NULL: accept() has not returned it, or close() has begun */
	__u16 sk_type;		  /* no bit-field since kernel 5.6 (bf9765145b85) */
	__u16 sk_protocol;	  /* since kernel 5.6 (bf9765145b85) */
	__u8 sk_shutdown;
	__u8 sk_kern_sock : 1;
	int sk_err;
	int sk_err_soft;
};

struct sk_buff {
	struct sock *sk;
};

struct ip_options {
	__u32 faddr;	   /* first hop of a source route */
	unsigned char srr; /* offset of the source route; 0: there is none */
};

struct ip_options_rcu {
	struct ip_options opt;
};

struct ipv6_rt_hdr {
	__u8 type;
	__u8 segments_left;
};

struct ipv6_txoptions {
	struct ipv6_rt_hdr *srcrt;
};

struct in6_pktinfo {
	int ipi6_ifindex;
};

struct ipv6_pinfo {
	struct ipv6_txoptions *opt;
	struct in6_pktinfo sticky_pktinfo;
	int mcast_oif;
};

struct inet_sock {
	struct sock sk;
	struct ipv6_pinfo *pinet6;
	struct ip_options_rcu *inet_opt;
	int mc_index;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	void *icsk_ulp_data;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 write_seq;
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 srtt_us;
	__u32 total_retrans;
	__u64 bytes_acked;
	__u64 bytes_received;
	__u64 bytes_sent;    /* since kernel 4.19 (ba113c3aa79a) */
	__u64 bytes_retrans; /* since kernel 4.19 (fb31c9b9f6c8) */
	_Bool is_mptcp;	     /* with CONFIG_MPTCP */
};

struct mptcp_sock {
	struct sock *first; /* the first subflow */
};

struct mptcp_subflow_context {
	struct sock *conn; /* the MPTCP socket */
};

/* What the context of a sock_addr program really is. */
struct bpf_sock_addr_kern {
	struct sock *sk;
	void *uaddr;	/* struct sockaddr */
	__u32 uaddrlen; /* since kernel 6.7 (fefba7d1ae19) */
};

#pragma clang attribute pop

/*
 * SOCK_DONE of enum sock_flags (include/net/sock.h): the peer's FIN was received. The enum
 * is internal to the kernel, and nothing promises its values. If the value is wrong,
 * tests/live/test_connection_closed.c fails in each of its cases in which the client sends
 * the first FIN, such as "client first".
 */
#define SOCK_DONE_BIT 1

/* In the same kernel as bpf_rdonly_cast(); a name after ___ is not part of the kernel's name. */
enum bpf_func_id___since_6_2 { BPF_FUNC_cgrp_storage_get___since_6_2 = 210 };

#endif
