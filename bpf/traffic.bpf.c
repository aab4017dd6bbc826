/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packets of a session's sockets: counts them for every socket but TCP, whose own
 * counters are better, and reports the sockets that no other hook has shown. The current
 * task is not the sender: the kernel also sends in softirq, and receives there.
 */
#include "packet.h"
#include "released.h"
#include "sock_state.h"
#include "tcp_seen.h"

AGENTSH_STATE_MAP(agentsh_state_ingress);
AGENTSH_STATE_MAP(agentsh_state_egress);

#define SHUTDOWN_BOTH 3 /* SHUTDOWN_MASK, include/net/sock.h */

/* A raw socket may have the protocol TCP, too, but it has no connection, and no counters. */
static __always_inline int is_tcp_socket(struct bpf_sock *sk)
{
#ifdef AGENTSH_TASK
	if (HAS_RDONLY_CAST) {
		struct sock *kernel_sk = READABLE(sk, struct sock);

		return kernel_sk->sk_protocol == PROTOCOL_TCP && kernel_sk->sk_type == SOCK_STREAM;
	}
#endif
	sk = bpf_sk_fullsock(sk);
	return sk && sk->protocol == PROTOCOL_TCP && sk->type == SOCK_STREAM;
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

/*
 * Whether the peer opened a connection whose beginning was not seen. Then the bytes that were
 * acknowledged, or wait for it, are the data that the socket has sent; otherwise they include
 * a SYN. The kernel has added this packet to bytes_sent already, but not to snd_nxt.
 */
static __always_inline int is_inbound_connection(struct __sk_buff *skb, const struct packet *p,
						 struct tcp_sock *tcp, int fin)
{
	__u64 data = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
	__u32 waiting = BPF_CORE_READ(tcp, snd_nxt) - BPF_CORE_READ(tcp, snd_una);

	return BPF_CORE_READ(tcp, bytes_acked) + waiting + tcp_payload(p, skb) == data + fin;
}
#endif

/* The side that sent the first FIN: it, or its acknowledgement, is a packet, too. */
static __always_inline __u8 first_closer(__u32 state)
{
	if (state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2)
		return BPF_TCP_FIN_WAIT1;
	if (state == BPF_TCP_CLOSE_WAIT || state == BPF_TCP_LAST_ACK)
		return BPF_TCP_CLOSE_WAIT;
	return 0;
}

/*
 * Looks at the socket of a packet, which has no state. Returns whether to report it: a TCP
 * socket only if the process still uses its connection, because the kernel sends the last
 * packets of a connection after it was reported as closed. No process uses a connection that
 * accept() has not returned; if it never does, no program sees the end.
 */
static __noinline int socket_read(struct __sk_buff *skb, struct packet *p)
{
	struct bpf_sock *sk = skb->sk;
	__u32 state = sk ? sk->state : BPF_TCP_CLOSE;
	int open = state == BPF_TCP_ESTABLISHED || state == BPF_TCP_CLOSE_WAIT;

	p->closer = first_closer(state);
#ifdef AGENTSH_TASK
	int fin = state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2;
	struct sock *kernel_sk = kernel_socket_of(skb);

	/* made by the kernel for itself; no close() would take its state out of the table */
	if (BPF_CORE_READ_BITFIELD_PROBED(kernel_sk, sk_kern_sock))
		return 0;
	if (p->tcp && !BPF_CORE_READ(kernel_sk, sk_socket))
		return 0;
	p->netns_cookie = netns_cookie_of_socket(kernel_sk);
	p->kernel_socket = (__u64)kernel_sk;
	if (p->tcp && fin)
		open = BPF_CORE_READ(kernel_sk, sk_shutdown) != SHUTDOWN_BOTH;
	if (p->tcp && open)
		p->inbound = is_inbound_connection(skb, p, (struct tcp_sock *)kernel_sk, fin);
#endif
	return !p->tcp || open;
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
	if (sk->family == AF_INET6 && p->family == AF_INET)
		f->flags |= AGENTSH_FLAG_V4_MAPPED;
	if (p->inbound)
		f->flags |= AGENTSH_FLAG_INBOUND;
}

/* Reports a socket without a state, whose first packet this is, and adds the state. */
static __noinline int report_unannounced(struct __sk_buff *skb, const struct packet *p,
					 const struct agentsh_session_state *session,
					 struct agentsh_slot *slot)
{
	struct bpf_sock *sk = skb->sk;
	struct agentsh_sock_key key;
	struct sock_state new;
	struct fields f;

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	if (!sk || is_released(sk))
		return 0;
	__builtin_memset(&new.rec.task, 0, sizeof(new.rec.task));
	fields_of_skb(&f, p, skb, sk);
	set_packet_ports(&f, p, skb);
	record_fill(&new.rec, &f, session, AGENTSH_KIND_UNANNOUNCED);
	set_packet_addresses(&new.rec, p, skb);
	sock_state_clear(&new, PHASE_PACKET, p->closer, p->sent);
	if (p->tcp)
		new.kernel_socket = p->kernel_socket;
	key = sock_key(new.rec.socket_cookie, session);
	if (sock_state_insert(session, slot, &key, &new))
		return 0;
	/* once more, because close() on another CPU may have missed the state */
	if (is_released(sk) && sock_state_forget(slot, &key))
		return 0;
	ringbuf_write(slot, session, &new.rec, sizeof(new.rec));
	return 0;
}

/* Reports the first packet that a socket has sent since it was reported. */
static __noinline int report_first_data(struct __sk_buff *skb, const struct packet *p,
					const struct agentsh_session_state *session,
					struct agentsh_slot *slot, struct sock_state *sock)
{
	struct agentsh_record rec;
	struct fields f;

	if (!sock) /* for the verifier */
		return 0;
	sock->sent = 1;
	rec.task = sock->rec.task;
	fields_of_state(&f, sock);
	set_packet_ports(&f, p, skb);
	record_fill(&rec, &f, session, AGENTSH_KIND_FIRST_DATA);
	set_packet_addresses(&rec, p, skb);
	sock->rec.head.local_port = rec.head.local_port;
	__builtin_memcpy(sock->rec.local_addr, rec.local_addr, sizeof(rec.local_addr));
	ringbuf_write(slot, session, &rec, sizeof(rec));
	return 0;
}

static __always_inline void count(struct sock_state *sock, struct __sk_buff *skb,
				  const struct packet *p, int sent)
{
	__u32 payload = packet_payload(p, skb), packets = packet_count(skb, payload);

	if (sent) {
		__sync_fetch_and_add(&sock->packets_sent, packets);
		__sync_fetch_and_add(&sock->bytes_sent, payload);
	} else {
		__sync_fetch_and_add(&sock->packets_received, packets);
		__sync_fetch_and_add(&sock->bytes_received, payload);
	}
}

/*
 * Only sent packets of TCP are looked at: a connection that only receives sends
 * acknowledgements.
 */
static __always_inline void packet(struct __sk_buff *skb, void *states, int sent)
{
	struct packet p = {.sent = sent};
	struct agentsh_session_state *session;
	struct bpf_sock *sk = skb->sk;
	struct agentsh_sock_key key;
	struct agentsh_slot *slot;
	struct sock_state *sock;
	__u64 cookie;

	if (!sk)
		return;
	p.tcp = is_tcp_socket(sk);
	if (p.tcp && !sent)
		return;
	session = bpf_get_local_storage(states, 0);
	cookie = cookie_of(skb, sk);
	if (p.tcp && sk->state == BPF_TCP_ESTABLISHED && is_tcp_seen(cookie, session->generation))
		return;
	slot = session_slot(session);
	if (!slot)
		return;
	key = sock_key(cookie, session);
	sock = sock_state_find(&key);
	if (!sock) {
		packet_read(skb, &p);
		p.inbound = !sent;
		if (!socket_read(skb, &p))
			return;
		report_unannounced(skb, &p, session, slot);
		sock = p.tcp ? NULL : sock_state_find(&key);
		if (sock)
			count(sock, skb, &p, sent);
		return;
	}
	if (p.tcp) {
		if (sock->phase == PHASE_PACKET && !sock->closer && (sk = bpf_sk_fullsock(sk)))
			sock->closer = first_closer(sk->state);
		set_tcp_seen(cookie, session->generation);
		return;
	}
	packet_read(skb, &p);
	if (sent && !sock->sent)
		report_first_data(skb, &p, session, slot, sock);
	else if (!sent && !sock->packets_sent && !sock->packets_received)
		sock->rec.head.flags |= AGENTSH_FLAG_INBOUND; /* connect() was called before */
	count(sock, skb, &p, sent);
}

SEC("cgroup_skb/egress")
int agentsh_egress(struct __sk_buff *skb)
{
	packet(skb, &agentsh_state_egress, 1);
	return 1;
}

SEC("cgroup_skb/ingress")
int agentsh_ingress(struct __sk_buff *skb)
{
	packet(skb, &agentsh_state_ingress, 0);
	return 1;
}
