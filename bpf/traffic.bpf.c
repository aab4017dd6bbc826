/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packets of a session's sockets: counts them for every socket but TCP, whose own
 * counters are better, and reports the sockets that no other hook has shown. The current
 * task is not the sender: the kernel also sends in softirq, and receives there.
 */
#include "dns.h"
#include "released.h"
#include "rules_egress.h"
#include "server_name.h"
#include "tcp_seen.h"

AGENTSH_STATE_MAP(agentsh_state_ingress);
AGENTSH_STATE_MAP(agentsh_state_egress);

#define SHUTDOWN_BOTH 3 /* SHUTDOWN_MASK, include/net/sock.h */

#ifdef AGENTSH_TASK
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
 * Of TCP only sent packets are looked at, until the connection is known and its first data were
 * copied: a connection that only receives sends acknowledgements.
 */
static __always_inline void tcp_packet(struct __sk_buff *skb, struct bpf_sock *sk, struct packet *p,
				       const struct agentsh_session_state *session)
{
	__u64 cookie = cookie_of(skb, sk);
	struct agentsh_sock_key key;
	struct agentsh_slot *slot;
	struct sock_state *sock;

	if (sk->state == BPF_TCP_ESTABLISHED && is_tcp_seen(cookie, session->generation))
		return;
	slot = session_slot(session);
	if (!slot)
		return;
	key = sock_key(cookie, session);
	sock = sock_state_find(&key);
	if (!sock && agentsh_settings.traffic) {
		packet_read(skb, p);
		if (socket_read(skb, p))
			report_unannounced(skb, p, session, slot);
		return;
	}
	if (sock && agentsh_settings.traffic && sock->phase == PHASE_PACKET && !sock->closer &&
	    (sk = bpf_sk_fullsock(sk)))
		sock->closer = first_closer(sk->state);
	if (sock && agentsh_settings.server_name && is_first_data(sock)) {
		/* a connection that was made anew on the same socket begins with a SYN */
		forget_tcp_seen(cookie, session->generation);
		packet_read(skb, p);
		first_data(skb, p, session, slot, sock);
		return;
	}
	set_tcp_seen(cookie, session->generation);
}

static __always_inline void other_packet(struct __sk_buff *skb, struct bpf_sock *sk,
					 struct packet *p,
					 const struct agentsh_session_state *session)
{
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_sock_key key;
	struct sock_state *sock;

	if (!slot)
		return;
	key = sock_key(cookie_of(skb, sk), session);
	sock = sock_state_find(&key);
	packet_read(skb, p);
	if (!sock) {
		p->inbound = !p->sent;
		if (!socket_read(skb, p))
			return;
		report_unannounced(skb, p, session, slot);
		sock = sock_state_find(&key);
		if (sock)
			count(sock, skb, p, p->sent);
		return;
	}
	if (p->sent && !sock->sent)
		report_first_data(skb, p, session, slot, sock);
	else if (!p->sent && !sock->packets_sent && !sock->packets_received)
		sock->rec.head.flags |= AGENTSH_FLAG_INBOUND; /* connect() was called before */
	count(sock, skb, p, p->sent);
}

/* What is not chosen is not even in the program: the settings are constants. */
static __always_inline void packet(struct __sk_buff *skb, struct bpf_sock *sk, struct packet *p,
				   void *states, int sent)
{
	struct agentsh_slot *slot;
	int tcp, dns;

	dns = agentsh_settings.dns && has_dns_port(skb, sk, sent);
	if (!dns && !agentsh_settings.traffic && !(sent && agentsh_settings.server_name))
		return;
	tcp = is_tcp_socket(sk);
	if (dns && may_be_dns(sk, tcp)) {
		struct agentsh_session_state *session = bpf_get_local_storage(states, 0);

		*p = (struct packet){.sent = sent, .tcp = tcp};
		slot = session_slot(session);
		if (slot) {
			packet_read(skb, p);
			dns_packet(skb, p, session, slot);
		}
		if (tcp && !agentsh_settings.traffic && !agentsh_settings.server_name)
			return;
	}
	if (tcp ? sent && (agentsh_settings.traffic || agentsh_settings.server_name)
		: agentsh_settings.traffic) {
		struct agentsh_session_state *session = bpf_get_local_storage(states, 0);

		*p = (struct packet){.sent = sent, .tcp = tcp};
		if (tcp)
			tcp_packet(skb, sk, p, session);
		else
			other_packet(skb, sk, p, session);
	}
}

SEC("cgroup_skb/egress")
int agentsh_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct packet p;

	if (!sk)
		return 1;
	if (agentsh_settings.egress) {
		p = (struct packet){.sent = 1, .tcp = is_tcp_socket(sk)};
		if (!egress_may_pass(skb, &p, bpf_get_local_storage(&agentsh_state_egress, 0)))
			return 0;
	}
	packet(skb, sk, &p, &agentsh_state_egress, 1);
	return 1;
}

SEC("cgroup_skb/ingress")
int agentsh_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct packet p;

	if (sk)
		packet(skb, sk, &p, &agentsh_state_ingress, 0);
	return 1;
}
