/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inbound connections are made in softirq by a socket that nobody has called
 * yet. Its listener's process is the one to name: it is remembered at bind(),
 * and the kernel copies it to each child of the listener.
 */
#include "sock_state.h"

AGENTSH_STATE_MAP(agentsh_state_bind4);
AGENTSH_STATE_MAP(agentsh_state_bind6);

static __always_inline int remember(struct bpf_sock_addr *ctx,
				    const struct agentsh_session_state *session)
{
	struct bpf_sock *sk = ctx->sk;
	struct sock_state *sock;

	if (!session_slot(session) || ctx->type != SOCK_STREAM || !sk)
		return 1;
	/* it will be refused: the socket is in use, and what is known of it stays true */
	if (sk->state != BPF_TCP_CLOSE || sk->src_port)
		return 1;
	sock = sock_state_of_caller(ctx);
	if (sock)
		sock_state_begin(sock, ctx, NULL, PHASE_BOUND);
	return 1;
}

SEC("cgroup/bind4")
int agentsh_bind4(struct bpf_sock_addr *ctx)
{
	return remember(ctx, bpf_get_local_storage(&agentsh_state_bind4, 0));
}

SEC("cgroup/bind6")
int agentsh_bind6(struct bpf_sock_addr *ctx)
{
	return remember(ctx, bpf_get_local_storage(&agentsh_state_bind6, 0));
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
