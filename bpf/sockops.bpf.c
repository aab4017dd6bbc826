/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outcome of a TCP connection: established, failed, closed. The kernel also asks
 * questions with this hook (time-outs, windows). The program answers none of them, and
 * keeps the reply that another program may have given.
 */
#include "accepted.h"
#include "listener.h"
#include "outcome.h"
#include "source_route.h"
#include "tcp_end.h"

AGENTSH_STATE_MAP(agentsh_state_sockops);

/*
 * Finds out what the hook tells about the socket. The ends of an IPv4 socket are handled
 * like mapped ones, but without the flag.
 */
static __always_inline void fields_of_ops(struct fields *f, struct bpf_sock_ops *ctx,
					  const struct agentsh_sock_key *key)
{
	struct bpf_sock *sk = ctx->sk;
	__u32 family = ctx->family;

	f->timestamp_ns = bpf_ktime_get_boot_ns();
	f->socket_cookie = key->cookie;
	f->flags = 0;
	f->socket_type = SOCK_STREAM;
	f->local_port = (__u16)ctx->local_port;		     /* host order */
	f->remote_port = (__u16)bpf_ntohl(ctx->remote_port); /* network order */
	f->ifindex = sk ? sk->bound_dev_if : 0; /* connect() binds to the scope of an address */
	if (family == AF_INET6) {
		COPY_ADDR6(f->local, ctx->local_ip6);
		COPY_ADDR6(f->remote, ctx->remote_ip6);
		unmap_ends6(f);
	} else {
		f->family = AF_INET;
		set_addr4(f->local, ctx->local_ip4);
		set_addr4(f->remote, ctx->remote_ip4);
	}
	source_route_of_tcp(f, sk);
}

static __always_inline void outcome_of_ops(struct outcome *o, struct bpf_sock_ops *ctx)
{
	o->duration_ns = 0;
	o->bytes_sent = 0;
	o->bytes_received = 0;
	o->error = 0;
	o->rtt_us = ctx->srtt_us >> 3;
	o->retransmits = ctx->total_retrans;
	o->packets_sent = 0;
	o->packets_received = 0;
}

/* Sets the task, and what else only the socket's state tells. */
static __always_inline void owner_from_state(struct agentsh_task *task, struct fields *f,
					     struct outcome *o, const struct sock_state *sock)
{
	*task = sock->rec.task; /* all zero if it is unattributed */
	f->netns_cookie = sock->rec.netns_cookie;
	f->protocol = sock->rec.head.protocol;
	f->flags |= sock->rec.head.flags & AGENTSH_FLAG_UNATTRIBUTED;
	o->duration_ns = f->timestamp_ns - sock->rec.timestamp_ns;
	/* a process may take the source route away again */
	if (sock->rec.head.flags & AGENTSH_FLAG_SOURCE_ROUTED & ~f->flags) {
		COPY_ADDR6(f->remote, sock->rec.remote_addr);
		f->flags |= AGENTSH_FLAG_SOURCE_ROUTED;
	}
}

static __always_inline void owner_unknown(struct agentsh_task *task, struct fields *f)
{
	__builtin_memset(task, 0, sizeof(*task));
	f->netns_cookie = 0;
	f->protocol = PROTOCOL_TCP;
	f->flags |= AGENTSH_FLAG_UNATTRIBUTED;
}

/* Requests a call at each change of state, in addition to what other programs have requested. */
static __always_inline void watch_states(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* The record of an event, and before that the new state of its socket. */
union event {
	struct agentsh_record_outcome out;
	struct sock_state state;
};

/*
 * Keeps what the progress of the connection needs: both ends, and the socket to read it
 * from. The state is looked up again, because without CAP_PERFMON the verifier follows the
 * branch of a state also where none was found.
 */
static __always_inline void keep_ends(const struct agentsh_sock_key *key,
				      const struct agentsh_record *rec, struct bpf_sock *sk)
{
	struct sock_state *sock = agentsh_settings.traffic ? sock_state_find(key) : NULL;

	if (!sock)
		return;
	sock->rec.head.local_port = rec->head.local_port;
	__builtin_memcpy(sock->rec.local_addr, rec->local_addr, sizeof(rec->local_addr));
#ifdef AGENTSH_TASK
	sock->kernel_socket = (__u64)sk;
#else
	(void)sk;
#endif
}

/*
 * The functions that report an event are not inlined, because one stack frame has no room for
 * all of them.
 */

/* Without a state the beginning of the connection was not seen, or the table was full. */
static __noinline int established(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
				  const struct agentsh_session_state *session,
				  struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	struct sock_state *sock = sock_state_find(key);
	union event event;
	struct outcome o;
	struct fields f;

	fields_of_ops(&f, ctx, key);
	outcome_of_ops(&o, ctx);
	if (sock) {
		sock->phase = PHASE_SYN; /* the SYN may have been sent before the attach */
		owner_from_state(&event.out.base.task, &f, &o, sock);
		if (f.flags & AGENTSH_FLAG_UNATTRIBUTED)
			o.duration_ns = 0;
	} else {
		owner_unknown(&event.out.base.task, &f);
	}
	record_fill(&event.out.base, &f, session, AGENTSH_KIND_CONNECTED);
	if (!sock)
		sock_state_add(session, slot, key, &event.state, PHASE_SYN);
	keep_ends(key, &event.out.base, sk);
	watch_states(ctx);
	outcome_write(&event.out, &o, session, slot);
	return 0;
}

/* UNANNOUNCED has the members that a packet would tell. */
static __always_inline void unannounced(struct fields *f, struct outcome *o, struct bpf_sock *sk)
{
	o->rtt_us = 0;
	o->retransmits = 0;
#ifdef AGENTSH_TASK
	struct tcp_sock *tcp = tcp_of(sk);

	if (tcp && bpf_core_field_exists(struct net, net_cookie) &&
	    bpf_core_field_exists(possible_net_t, net))
		f->netns_cookie = tcp->inet_conn.icsk_inet.sk.__sk_common.skc_net.net->net_cookie;
#else
	(void)f;
	(void)sk;
#endif
}

static __noinline int accepted(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
			       const struct agentsh_session_state *session,
			       struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	__u8 kind = agentsh_settings.accept ? AGENTSH_KIND_ACCEPTED : AGENTSH_KIND_UNANNOUNCED;
	union event event;
	struct outcome o;
	struct fields f;

	fields_of_ops(&f, ctx, key);
	outcome_of_ops(&o, ctx);
	if (!listener_owner(&event.out.base.task, &f, session, sk))
		owner_unknown(&event.out.base.task, &f);
	if (!agentsh_settings.accept)
		unannounced(&f, &o, sk);
	f.flags |= AGENTSH_FLAG_INBOUND;
	record_fill(&event.out.base, &f, session, kind);
	sock_state_add(session, slot, key, &event.state, PHASE_ACCEPTED);
	keep_ends(key, &event.out.base, sk);
	watch_states(ctx);
	outcome_write(&event.out, &o, session, slot);
	return 0;
}

static __noinline int failed(struct bpf_sock_ops *ctx, const struct sock_state *sock,
			     const struct agentsh_session_state *session, struct agentsh_slot *slot,
			     const struct agentsh_sock_key *key)
{
	struct agentsh_record_outcome out;
	struct outcome o;
	struct fields f;
	int error = socket_error(ctx, 1);

	fields_of_ops(&f, ctx, key);
	outcome_of_ops(&o, ctx);
	owner_from_state(&out.base.task, &f, &o, sock);
	o.rtt_us = 0;
	if (error < 0)
		f.flags |= AGENTSH_FLAG_NO_ERROR;
	else
		o.error = error ? error : ECANCELED; /* no error: the process gave up */
	record_fill(&out.base, &f, session, AGENTSH_KIND_CONNECT_FAILED);
	outcome_write(&out, &o, session, slot);
	return 0;
}

static __noinline int closed(struct bpf_sock_ops *ctx, const struct sock_state *sock,
			     const struct agentsh_session_state *session, struct agentsh_slot *slot,
			     const struct agentsh_sock_key *key)
{
	__u32 old = ctx->args[0];
	/* not by the phase: a packet may have shown the socket before another session's request */
	int inbound = (sock->rec.head.flags & AGENTSH_FLAG_INBOUND) != 0;
	struct agentsh_record_outcome out;
	struct outcome o;
	struct fields f;
	__u64 received = ctx->bytes_received, fin;
	int error = socket_error(ctx, 0);

	fields_of_ops(&f, ctx, key);
	outcome_of_ops(&o, ctx);
	owner_from_state(&out.base.task, &f, &o, sock);
	if (inbound)
		f.flags |= AGENTSH_FLAG_INBOUND;
	if (sock->closer == BPF_TCP_FIN_WAIT1)
		f.flags |= AGENTSH_FLAG_LOCAL_CLOSED;
	else if (sock->closer == BPF_TCP_CLOSE_WAIT)
		f.flags |= AGENTSH_FLAG_REMOTE_CLOSED;
	if (error < 0)
		f.flags |= AGENTSH_FLAG_NO_ERROR;
	else
		o.error = error;
	o.bytes_sent = bytes_sent(ctx, old, inbound);
	/* the kernel does not count a FIN that came with the SYN-ACK of a Fast Open */
	fin = fin_received(ctx, sock, old);
	o.bytes_received = received > fin ? received - fin : 0;
	record_fill(&out.base, &f, session, AGENTSH_KIND_CLOSED);
	outcome_write(&out, &o, session, slot);
	return 0;
}

/*
 * The state callback runs for every socket for which any attached program requested it,
 * including sockets that this session does not report: they have no state.
 */
static __always_inline void changed(struct bpf_sock_ops *ctx,
				    const struct agentsh_session_state *session,
				    struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	__u32 old = ctx->args[0], new = ctx->args[1];
	struct sock_state *sock = sock_state_find(key);

	if (!sock || sock->phase == PHASE_ATTEMPT)
		return;
	if ((new == BPF_TCP_FIN_WAIT1 || new == BPF_TCP_CLOSE_WAIT) && !sock->closer)
		sock->closer = new;
	if (new == BPF_TCP_FIN_WAIT2)
		sock->bytes_received = ctx->bytes_received;
	if (new != BPF_TCP_CLOSE)
		return;
	/* with TCP Fast Open a child may have data before its handshake is done */
	if (old == BPF_TCP_SYN_SENT || (old == BPF_TCP_SYN_RECV && sock->phase != PHASE_ACCEPTED))
		failed(ctx, sock, session, slot, key);
	else
		closed(ctx, sock, session, slot, key);
	sock_state_forget(slot, key);
}

static __always_inline void syn_sent(struct bpf_sock_ops *ctx, const struct agentsh_sock_key *key)
{
	struct sock_state *sock = sock_state_find(key);

	if (!sock) /* connect() was not reported, so its outcome is not reported either */
		return;
	sock->phase = PHASE_SYN;
	watch_states(ctx);
}

/* Whether the program takes anything from a change of state. */
static __always_inline int is_change(__u32 old, __u32 new)
{
	if (new == BPF_TCP_CLOSE)
		return old != BPF_TCP_CLOSE && old != BPF_TCP_LISTEN;
	return new == BPF_TCP_FIN_WAIT1 || new == BPF_TCP_CLOSE_WAIT || new == BPF_TCP_FIN_WAIT2;
}

/* Most op codes are questions of the kernel that this program does not answer. */
static __always_inline int is_handled(struct bpf_sock_ops *ctx, __u32 op)
{
	if (op == BPF_SOCK_OPS_STATE_CB)
		return is_change(ctx->args[0], ctx->args[1]);
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB || op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		return agentsh_settings.lifecycle;
	return op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB;
}

SEC("sockops")
int agentsh_sockops(struct bpf_sock_ops *ctx)
{
	__u32 op = ctx->op;
	struct agentsh_session_state *session;
	struct agentsh_slot *slot;
	struct bpf_sock *sk;
	struct agentsh_sock_key key;

	if (!is_handled(ctx, op))
		return 1;
	session = bpf_get_local_storage(&agentsh_state_sockops, 0);
	slot = session_slot(session);
	sk = ctx->sk;
	if (!slot || !sk)
		return 1;
	key = sock_key(cookie_of(ctx, sk), session);
	if (op == BPF_SOCK_OPS_STATE_CB) {
		changed(ctx, session, slot, &key);
	} else if (op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
		syn_sent(ctx, &key);
	} else if (op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && !ctx->bytes_acked) {
		if (agentsh_settings.egress)
			mark_accepted(sk, session);
		if (agentsh_settings.accept || agentsh_settings.traffic)
			accepted(ctx, sk, session, slot, &key);
	} else if (agentsh_settings.lifecycle) {
		/*
		 * A passive socket of which the peer has acknowledged a byte has sent a SYN:
		 * it has met the SYN of the peer (simultaneous open), or its own.
		 */
		established(ctx, sk, session, slot, &key);
	}
	return 1;
}
