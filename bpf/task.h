/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What only the task's own structure tells: parent, start time, numbers in a
 * PID namespace. It needs the kernel's BTF and CAP_PERFMON, so every program is
 * built twice, with AGENTSH_TASK and without.
 */
#ifndef AGENTSH_TASK_H
#define AGENTSH_TASK_H

#include "record.h"

#ifdef AGENTSH_TASK

#include <bpf/bpf_core_read.h>
#include "kernel_types.h"

#define PIDNS_INITIAL 0xEFFFFFFCU /* PROC_PID_INIT_INO, fixed since 3.8 */
#define PIDNS_DEPTH 32		  /* MAX_PID_NS_LEVEL */

/* Whether the verifier lets us walk numbers[]: only a real flexible array, 6.6. */
#define NUMBERS_DIRECT                                                                             \
	(bpf_core_type_size(struct pid) <                                                          \
	 bpf_core_field_offset(struct pid, numbers) + bpf_core_type_size(struct upid))

/*
 * The number that the namespace with this inode has given, or 0. It is not the
 * initial one, which is all that can be at level 0.
 */
static __always_inline __u32 number_in(struct pid *pid, unsigned int level, __u32 inode, int direct)
{
	void *first = __builtin_preserve_access_index(&pid->numbers[0]);

	for (unsigned int i = 1; i < PIDNS_DEPTH; i++) {
		struct upid *number = first + i * bpf_core_type_size(struct upid);

		if (i > level)
			break;
		if (direct && number->ns->ns.inum == inode)
			return number->nr;
		if (!direct && BPF_CORE_READ(number, ns, ns.inum) == inode)
			return BPF_CORE_READ(number, nr);
	}
	return 0;
}

/* What every kernel with BTF can do: a helper's call for each pointer on the way. */
static __always_inline void who_task_copied(struct agentsh_who *who, __u32 inode)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	who->ppid = BPF_CORE_READ(task, real_parent, tgid);
	who->process_start_ns = BPF_CORE_READ(leader, start_boottime);
	if (inode) {
		struct pid *pid = BPF_CORE_READ(task, thread_pid);
		struct pid *tgid = BPF_CORE_READ(leader, thread_pid);

		who->ns_pid = number_in(pid, BPF_CORE_READ(pid, level), inode, 0);
		who->ns_tgid = who->pid == who->tgid
				       ? who->ns_pid
				       : number_in(tgid, BPF_CORE_READ(tgid, level), inode, 0);
	}
}

static __always_inline __u32 number_of_direct(struct task_struct *task, __u32 inode)
{
	struct pid *pid = task->thread_pid;

	if (NUMBERS_DIRECT)
		return number_in(pid, pid->level, inode, 1);
	return number_in(pid, pid->level, inode, 0);
}

/* The same by plain loads, which the verifier allows from a task that it knows as one. */
static __always_inline void who_task_direct(struct agentsh_who *who, __u32 inode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;

	who->ppid = task->real_parent->tgid;
	who->process_start_ns = leader->start_boottime;
	if (inode) {
		who->ns_pid = number_of_direct(task, inode);
		who->ns_tgid =
			who->pid == who->tgid ? who->ns_pid : number_of_direct(leader, inode);
	}
}

static __always_inline void who_task(struct agentsh_who *who)
{
	__u32 inode = agentsh_settings.pidns_inode;
	__u32 elsewhere = inode == PIDNS_INITIAL ? 0 : inode;

	who->ns_pid = inode == PIDNS_INITIAL ? who->pid : 0;
	who->ns_tgid = inode == PIDNS_INITIAL ? who->tgid : 0;
	if (agentsh_settings.task_direct)
		who_task_direct(who, elsewhere);
	else
		who_task_copied(who, elsewhere);
}

#else

static __always_inline void who_task(struct agentsh_who *who)
{
	who->ppid = 0;
	who->process_start_ns = 0;
	who->ns_pid = 0;
	who->ns_tgid = 0;
}

#endif
#endif
