/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Refuses sockets whose calls run no hook of connect.bpf.c or sendmsg.bpf.c, so that the rules
 * could not judge them, if the rules of the session say so.
 */
#include "rules.h"

#define PROTOCOL_SMC 256

AGENTSH_STATE_MAP(agentsh_state_sock_create);

static __always_inline int is_judged(struct bpf_sock *ctx)
{
	__u32 protocol = ctx->protocol; /* the kernel has replaced 0 */

	if (ctx->type == SOCK_STREAM)
		return protocol == PROTOCOL_TCP || protocol == PROTOCOL_MPTCP ||
		       protocol == PROTOCOL_SMC;
	return ctx->type == SOCK_DGRAM && protocol == PROTOCOL_UDP;
}

static __noinline int sock_create_report(struct bpf_sock *ctx,
					 const struct agentsh_session_state *session,
					 struct agentsh_slot *slot, __u64 judgement)
{
	struct agentsh_record rec;
	struct fields f = {
		.timestamp_ns = bpf_ktime_get_boot_ns(),
		.socket_cookie = bpf_get_socket_cookie(ctx),
		.netns_cookie = bpf_get_netns_cookie(ctx),
		.family = ctx->family,
		.protocol = ctx->protocol,
		.socket_type = ctx->type,
	};

	record_fill(&rec, &f, session, AGENTSH_KIND_SOCKET_DENIED);
	task_fill(&rec.task);
	return rules_write(slot, session, &rec, judgement);
}

SEC("cgroup/sock_create")
int agentsh_sock_create(struct bpf_sock *ctx)
{
	struct agentsh_session_state *session =
		bpf_get_local_storage(&agentsh_state_sock_create, 0);
	struct agentsh_slot *slot = session_slot(session);
	__u64 rules, judgement;

	if (!slot)
		return 1;
	rules = rules_of(slot, session);
	if (!(rules & AGENTSH_SLOT_STRICT) || is_judged(ctx))
		return 1;
	judgement = judgement_denied(rules, 0);
	rules_count(slot, judgement);
	sock_create_report(ctx, session, slot, judgement);
	return !is_denied(judgement);
}
