/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One record per connect(), for sockets of every kind. The hooks run before the protocol
 * checks the address, so attempts that fail at once are seen, too. The local port is known
 * only for a bound socket; others get their port after the hook.
 */
#include "sock_state.h"

AGENTSH_STATE_MAP(agentsh_state_connect4);
AGENTSH_STATE_MAP(agentsh_state_connect6);

static __always_inline void connect4_sock_state(struct bpf_sock_addr *ctx,
						const struct agentsh_task *task)
{
	struct sock_state *sock = sock_state_connect(ctx, task);

	if (sock)
		sock_state_set_remote4(sock, ctx);
}

SEC("cgroup/connect4")
int agentsh_connect4(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_connect4, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record *rec;
	struct reservation reservation;
	struct bpf_sock *sk;

	if (!slot)
		return 1;
	reservation = record_reserve(slot);
	rec = reservation.rec;
	if (!rec) {
		connect4_sock_state(ctx, NULL);
		return 1;
	}

	record_begin(rec, session, slot, AGENTSH_KIND_CONNECT);
	task_fill(&rec->task);
	connect4_sock_state(ctx, &rec->task);
	record_socket(rec, ctx);
	record_remote4(rec, ctx);
	sk = ctx->sk;
	set_addr4(rec->local_addr, sk ? sk->src_ip4 : 0);
	ringbuf_submit(&reservation);
	return 1;
}

static __always_inline void connect6_sock_state(struct bpf_sock_addr *ctx,
						const struct agentsh_task *task)
{
	struct sock_state *sock = sock_state_connect(ctx, task);

	if (sock)
		sock_state_set_remote6(sock, ctx);
}

SEC("cgroup/connect6")
int agentsh_connect6(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session = bpf_get_local_storage(&agentsh_state_connect6, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record *rec;
	struct reservation reservation;
	struct bpf_sock *sk;
	__u32 local[4] = {}, remote[4];

	if (!slot)
		return 1;
	reservation = record_reserve(slot);
	rec = reservation.rec;
	if (!rec) {
		connect6_sock_state(ctx, NULL);
		return 1;
	}

	record_begin(rec, session, slot, AGENTSH_KIND_CONNECT);
	task_fill(&rec->task);
	connect6_sock_state(ctx, &rec->task);
	record_socket(rec, ctx);
	sk = ctx->sk;
	if (sk)
		COPY_ADDR6(local, sk->src_ip6);
	COPY_ADDR6(remote, ctx->user_ip6);
	record_ends6(rec, remote, local);
	ringbuf_submit(&reservation);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
