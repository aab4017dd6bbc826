/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reports what one socket has sent and received. The library runs the program for each
 * socket in the table, with BPF_PROG_TEST_RUN; it is not attached to anything. The packet
 * is the key of the socket.
 */
#include "tcp_progress.h"

/* Fills in the outcome. Returns what was sent and received in all, 0 if that is unknown. */
static __always_inline __u64 progress_of(struct outcome *o, const struct sock_state *sock)
{
	const struct agentsh_record_head *head = &sock->rec.head;

	if (!is_tcp(head->socket_type, head->protocol)) {
		*o = (struct outcome){
			.bytes_sent = sock->bytes_sent,
			.bytes_received = sock->bytes_received,
			.packets_sent = sock->packets_sent,
			.packets_received = sock->packets_received,
		};
		return (__u64)o->packets_sent + o->packets_received;
	}
#ifdef AGENTSH_TASK
	struct tcp_progress p;

	if (!sock->kernel_socket || !tcp_progress_read(&p, (struct tcp_sock *)sock->kernel_socket,
						       sock->rec.socket_cookie, sock))
		return 0;
	outcome_of_progress(o, &p);
	return o->bytes_sent + o->bytes_received;
#else
	return 0;
#endif
}

SEC("cgroup_skb/egress")
int agentsh_progress(struct __sk_buff *skb)
{
	struct agentsh_record_outcome out;
	struct agentsh_session_state session = {};
	struct agentsh_sock_key key;
	struct sock_state *sock;
	struct agentsh_slot *slot;
	struct outcome o;
	struct fields f;
	__u64 all;

	if (bpf_skb_load_bytes(skb, 0, &key, sizeof(key)))
		return 0;
	sock = sock_state_find(&key);
	if (!sock)
		return 0;
	session.session_id = sock->rec.session_id;
	session.lost_base = sock->rec.session_lost;
	session.slot = sock->rec.head.slot;
	session.generation = sock->rec.head.generation;
	slot = session_slot(&session);
	if (!slot)
		return 0;
	all = progress_of(&o, sock);
	if (!all || all == sock->reported)
		return 0;
	fields_of_state(&f, sock);
	o.duration_ns = f.timestamp_ns - sock->rec.timestamp_ns;
	out.base.task = sock->rec.task;
	record_fill(&out.base, &f, &session, AGENTSH_KIND_PROGRESS);
	if (outcome_write(&out, &o, &session, slot))
		sock->reported = all;
	return 0;
}
