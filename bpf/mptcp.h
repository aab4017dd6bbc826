/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A worker thread of the kernel connects the further subflows of an MPTCP socket. The
 * process that owns the socket is in the state of the first subflow.
 */
#ifndef AGENTSH_MPTCP_H
#define AGENTSH_MPTCP_H

#include "sock_state.h"

#ifdef AGENTSH_TASK

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

static __always_inline int is_kernel_thread(void)
{
	if (agentsh_settings.task_direct) {
		struct task_struct *current = bpf_get_current_task_btf();

		return current->flags & PF_KTHREAD;
	}
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), flags) & PF_KTHREAD;
}

/* The cookie of the first subflow; 0: unknown. */
static __always_inline __u64 first_subflow(struct bpf_sock_addr *ctx)
{
	struct mptcp_subflow_context *subflow;
	struct mptcp_sock *mptcp;

	if (!bpf_core_type_exists(struct mptcp_subflow_context))
		return 0;
	subflow = BPF_CORE_READ((struct inet_connection_sock *)kernel_socket(ctx), icsk_ulp_data);
	mptcp = (struct mptcp_sock *)BPF_CORE_READ(subflow, conn);
	return BPF_CORE_READ(mptcp, first, __sk_common.skc_cookie.counter);
}

/* Replaces a kernel thread by the process that it works for, or by none. */
static __always_inline void mptcp_owner(struct agentsh_record *rec, struct bpf_sock_addr *ctx,
					const struct agentsh_session_state *session)
{
	struct agentsh_sock_key key;
	struct sock_state *first = NULL;

	if (rec->head.protocol != PROTOCOL_MPTCP || !is_kernel_thread())
		return;
	if (agentsh_settings.lifecycle) {
		key = sock_key(first_subflow(ctx), session);
		first = sock_state_find(&key);
	}
	if (first) {
		__builtin_memcpy(&rec->task, &first->rec.task, sizeof(rec->task));
	} else {
		__builtin_memset(&rec->task, 0, sizeof(rec->task));
		record_flag(rec, AGENTSH_FLAG_UNATTRIBUTED);
	}
}

#else

static __always_inline void mptcp_owner(struct agentsh_record *rec, struct bpf_sock_addr *ctx,
					const struct agentsh_session_state *session)
{
	(void)rec;
	(void)ctx;
	(void)session;
}

#endif

#endif
