/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An inbound connection is made in softirq, on a socket that no process has called yet,
 * and is attributed to the process of its listener, which called bind().
 */
#include "listener.h"

AGENTSH_STATE_MAP(agentsh_state_bind4);
AGENTSH_STATE_MAP(agentsh_state_bind6);

static __always_inline int remember_listener(struct bpf_sock_addr *ctx,
					     const struct agentsh_session_state *session)
{
	struct agentsh_slot *slot = session_slot(session);
	struct bpf_sock *sk = ctx->sk;
	struct fields f = {};
	struct sock_state new;

	if (!slot || ctx->type != SOCK_STREAM || !sk)
		return 1;
	/* The call will fail, because the socket is in use, so the socket's state is kept. */
	if (sk->state != BPF_TCP_CLOSE || sk->src_port)
		return 1;
	fields_of(&f, ctx);
	record_fill(&new.rec, &f, session, 0);
	task_fill(&new.rec.task);
	listener_add(&new, session, slot, sk);
	return 1;
}

SEC("cgroup/bind4")
int agentsh_bind4(struct bpf_sock_addr *ctx)
{
	return remember_listener(ctx, bpf_get_local_storage(&agentsh_state_bind4, 0));
}

SEC("cgroup/bind6")
int agentsh_bind6(struct bpf_sock_addr *ctx)
{
	return remember_listener(ctx, bpf_get_local_storage(&agentsh_state_bind6, 0));
}
