/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The last close() of a socket: the end of a datagram socket, and of what is kept of a
 * stream socket that has no connection. sockops.bpf.c reports the end of a connection.
 */
#include "listener.h"

AGENTSH_STATE_MAP(agentsh_state_release);

/*
 * In this hook the verifier does not allow reading src_port from the context, so it is
 * read from struct sock through BTF.
 */
static __always_inline __u16 local_port(struct bpf_sock *ctx)
{
#ifdef AGENTSH_TASK
	return BPF_CORE_READ((struct sock *)ctx, __sk_common.skc_num);
#else
	(void)ctx;
	return 0;
#endif
}

static __always_inline void stream_released(struct agentsh_sock_key *key, struct agentsh_slot *slot)
{
	struct sock_state *sock = sock_state_find(key);

	if (sock && sock->phase == PHASE_ATTEMPT) /* no SYN, so no state will change */
		sock_state_forget(slot, key);
	if (agentsh_settings.accept) {
		key->generation |= AGENTSH_KEY_LISTENER;
		sock_state_forget(slot, key);
	}
}

static __always_inline void datagram_closed(struct bpf_sock *ctx, const struct sock_state *sock,
					    const struct agentsh_session_state *session,
					    struct agentsh_slot *slot)
{
	struct agentsh_record_outcome out;
	struct agentsh_record *rec = &out.base;

	record_begin(rec, session, AGENTSH_KIND_CLOSED);
	rec->timestamp_ns = bpf_ktime_get_boot_ns();
	rec->task = sock->task;
	rec->socket_cookie = bpf_get_socket_cookie(ctx);
	rec->netns_cookie = sock->netns_cookie;
	rec->protocol = sock->protocol;
	rec->socket_type = sock->socket_type;
	rec->local_port = local_port(ctx);
	rec->remote_port = sock->remote_port;
	rec->family = sock->family;
	rec->flags = sock->flags;
	rec->ifindex = sock->ifindex;
	COPY_ADDR6(rec->remote_addr, sock->remote_addr);
	set_addr4(rec->local_addr, 0);
	out.error = 0;
	out.rtt_us = 0;
	out.duration_ns = rec->timestamp_ns - sock->start_ns;
	out.bytes_sent = 0;
	out.bytes_received = 0;
	out.retransmits = 0;
	out.datagrams = sock->datagrams;
	ringbuf_write(slot, session, rec, sizeof(out));
}

SEC("cgroup/sock_release")
int agentsh_release(struct bpf_sock *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_release, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_sock_key key = {};
	struct sock_state *sock;

	if (!slot)
		return 1;
	key.cookie = bpf_get_socket_cookie(ctx);
	key.generation = session->generation;
	if (ctx->type == SOCK_STREAM) {
		stream_released(&key, slot);
		return 1;
	}
	sock = sock_state_find(&key);
	if (!sock)
		return 1;
	datagram_closed(ctx, sock, session, slot);
	sock_state_forget(slot, &key);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
