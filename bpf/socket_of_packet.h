/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The socket of a packet, and a record that says whose packet it is. */
#ifndef AGENTSH_SOCKET_OF_PACKET_H
#define AGENTSH_SOCKET_OF_PACKET_H

#include "packet.h"
#include "sock_state.h"

static __always_inline int is_socket_of(struct bpf_sock *sk, __u32 type, __u32 protocol)
{
#ifdef AGENTSH_TASK
	if (HAS_RDONLY_CAST) {
		struct sock *kernel_sk = READABLE(sk, struct sock);

		return kernel_sk->sk_protocol == protocol && kernel_sk->sk_type == type;
	}
#endif
	sk = bpf_sk_fullsock(sk);
	return sk && sk->protocol == protocol && sk->type == type;
}

/* A raw socket may have the protocol TCP, too, but it has no connection, and no counters. */
static __always_inline int is_tcp_socket(struct bpf_sock *sk)
{
	return is_socket_of(sk, SOCK_STREAM, PROTOCOL_TCP);
}

/* A raw socket may have the protocol UDP, too, and gets copies of other sockets' packets. */
static __always_inline int is_udp_socket(struct bpf_sock *sk)
{
	return is_socket_of(sk, SOCK_DGRAM, PROTOCOL_UDP);
}

#ifdef AGENTSH_TASK
/* The context of the program is really a struct sk_buff. */
static __always_inline struct sock *kernel_socket_of(struct __sk_buff *skb)
{
	return BPF_CORE_READ((struct sk_buff *)skb, sk);
}

static __always_inline __u64 netns_cookie_of_socket(struct sock *sk)
{
	if (bpf_core_field_exists(struct net, net_cookie) &&
	    bpf_core_field_exists(possible_net_t, net))
		return BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
	return 0;
}
#endif

static __always_inline __u32 mapped_flag(struct bpf_sock *sk, const struct packet *p)
{
	return sk->family == AF_INET6 && p->family == AF_INET ? AGENTSH_FLAG_V4_MAPPED : 0;
}

/* Everything but the addresses of a socket without a state. */
static __always_inline void fields_of_skb(struct fields *f, const struct packet *p,
					  struct __sk_buff *skb, struct bpf_sock *sk)
{
	f->timestamp_ns = bpf_ktime_get_boot_ns();
	f->socket_cookie = cookie_of(skb, sk);
	f->netns_cookie = p->netns_cookie;
	f->flags = AGENTSH_FLAG_UNATTRIBUTED;
	f->protocol = sk->protocol;
	f->socket_type = sk->type;
	f->ifindex = sk->bound_dev_if;
	f->flags |= mapped_flag(sk, p);
	if (p->inbound)
		f->flags |= AGENTSH_FLAG_INBOUND;
}

/*
 * Fills a record whose ends are those of the packet, and whose owner is that of the socket. Returns
 * 0 if the packet has no socket.
 */
static __always_inline int record_of_packet(struct agentsh_record *rec, struct __sk_buff *skb,
					    struct packet *p,
					    const struct agentsh_session_state *session, __u8 kind)
{
	struct bpf_sock *sk = skb->sk;
	struct agentsh_sock_key key;
	struct sock_state *sock;
	struct fields f;

	if (!sk)
		return 0;
	key = sock_key(cookie_of(skb, sk), session);
	sock = sock_state_find(&key);
	if (sock) {
		rec->task = sock->rec.task;
		fields_of_state(&f, sock);
		/* the others are about the call that made the state */
		f.flags &= AGENTSH_FLAG_UNATTRIBUTED | AGENTSH_FLAG_INBOUND;
		f.flags |= mapped_flag(sk, p);
	} else {
		__builtin_memset(&rec->task, 0, sizeof(rec->task));
		sk = bpf_sk_fullsock(sk);
		if (!sk)
			return 0;
#ifdef AGENTSH_TASK
		p->netns_cookie = netns_cookie_of_socket(kernel_socket_of(skb));
#endif
		/* anybody can send to a socket that is not connected */
		p->inbound = !p->sent && !p->tcp && !sk->dst_port;
		fields_of_skb(&f, p, skb, sk);
	}
	set_packet_ports(&f, p, skb);
	record_fill(rec, &f, session, kind);
	set_packet_addresses(rec, p, skb);
	return 1;
}

#endif
