/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One record per connect(), for sockets of every kind. The hooks run before the protocol
 * checks the address, so attempts that fail at once are seen, too. The local port is known
 * only for a bound socket; others get their port after the hook.
 */
#include "accepted.h"
#include "interface.h"
#include "mptcp.h"
#include "rules.h"
#include "sock_state.h"
#include "source_route.h"

AGENTSH_STATE_MAP(agentsh_state_connect4);
AGENTSH_STATE_MAP(agentsh_state_connect6);

/*
 * Keeps the socket's state for its later events. Each attempt of a stream socket starts a
 * new state; a datagram socket keeps its state from its first event.
 */
static __always_inline void keep_state(struct sock_state *new,
				       const struct agentsh_session_state *session,
				       struct agentsh_slot *slot)
{
	struct agentsh_sock_key key = sock_key(new->rec.socket_cookie, session);
	struct sock_state *sock = sock_state_find(&key);

	if (!sock) {
		sock_state_add(session, slot, &key, new, PHASE_ATTEMPT);
		return;
	}
	if (sock->rec.head.socket_type == SOCK_STREAM) {
		sock_state_begin(sock, &new->rec, PHASE_ATTEMPT);
		return;
	}
	sock_state_set_call(sock, &new->rec);
	sock_state_adopt(sock, &new->rec);
	sock->sent = 0;
}

static __always_inline void connect_set_remote4(struct fields *f, struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	f->ifindex = interface4(ctx);
	set_ends4(f, ctx, sk ? sk->src_ip4 : 0);
}

static __always_inline void connect_set_remote6(struct fields *f, struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	f->ifindex = interface6(ctx);
	set_addr4(f->local, 0);
	if (sk)
		COPY_ADDR6(f->local, sk->src_ip6);
	COPY_ADDR6(f->remote, ctx->user_ip6);
	resolve_unspecified6(f);
	unmap_ends6(f);
}

static __always_inline void connect_report(struct bpf_sock_addr *ctx, const struct fields *f,
					   const struct agentsh_session_state *session,
					   struct agentsh_slot *slot, __u64 judgement)
{
	struct sock_state new;

	record_fill(&new.rec, f, session, AGENTSH_KIND_CONNECT);
	task_fill(&new.rec.task);
	mptcp_owner(&new.rec, ctx, session);
	/* a refused call leaves the socket as it was */
	if (agentsh_settings.lifecycle && !is_denied(judgement))
		keep_state(&new, session, slot);
	rules_write(slot, session, &new.rec, judgement);
}

static __noinline void connect_report4(struct bpf_sock_addr *ctx,
				       const struct agentsh_session_state *session,
				       struct agentsh_slot *slot, __u64 judgement)
{
	struct fields f;

	fields_of(&f, ctx);
	connect_set_remote4(&f, ctx);
	if (!(judgement & DIRECT))
		source_route_of_caller(&f, ctx);
	connect_report(ctx, &f, session, slot, judgement);
}

static __noinline void connect_report6(struct bpf_sock_addr *ctx,
				       const struct agentsh_session_state *session,
				       struct agentsh_slot *slot, __u64 judgement)
{
	struct fields f;

	fields_of(&f, ctx);
	connect_set_remote6(&f, ctx);
	if (!(judgement & DIRECT))
		source_route_of_caller(&f, ctx);
	connect_report(ctx, &f, session, slot, judgement);
}

static __noinline __u64 connect_judge4(struct bpf_sock_addr *ctx, __u64 rules)
{
	struct fields f;

	fields_for_rules(&f, ctx);
	if (!rules_named4(&f, ctx))
		connect_set_remote4(&f, ctx);
	return rules_judge_all(rules, &f, ctx);
}

static __noinline __u64 connect_judge6(struct bpf_sock_addr *ctx, __u64 rules)
{
	struct fields f;

	fields_for_rules(&f, ctx);
	connect_set_remote6(&f, ctx);
	return rules_judge_all(rules, &f, ctx);
}

static __always_inline void begin_connect(struct bpf_sock_addr *ctx)
{
	if (agentsh_settings.egress)
		forget_accepted(ctx->sk);
}

SEC("cgroup/connect4")
int agentsh_connect4(struct bpf_sock_addr *ctx)
{
	begin_connect(ctx);
	return judge_and_report(ctx, bpf_get_local_storage(&agentsh_state_connect4, 0),
				connect_judge4, connect_report4);
}

SEC("cgroup/connect6")
int agentsh_connect6(struct bpf_sock_addr *ctx)
{
	begin_connect(ctx);
	return judge_and_report(ctx, bpf_get_local_storage(&agentsh_state_connect6, 0),
				connect_judge6, connect_report6);
}
