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

/* The number that the namespace with this inode has given, or 0. */
static __always_inline __u32 number_in(struct pid *pid, __u32 inode)
{
	unsigned int level = BPF_CORE_READ(pid, level);
	void *first = __builtin_preserve_access_index(&pid->numbers[0]);

	for (unsigned int i = 0; i < PIDNS_DEPTH; i++) {
		struct upid *number = first + i * bpf_core_type_size(struct upid);

		if (i > level)
			break;
		if (BPF_CORE_READ(number, ns, ns.inum) == inode)
			return BPF_CORE_READ(number, nr);
	}
	return 0;
}

/* What every kernel with BTF can do: a helper's call for each pointer on the way. */
static __always_inline void record_process_copied(struct agentsh_record *rec)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	rec->ppid = BPF_CORE_READ(task, real_parent, tgid);
	rec->process_start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
}

/* The same by plain loads, which the verifier allows from a task that it knows as one. */
static __always_inline void record_process_direct(struct agentsh_record *rec)
{
	struct task_struct *task = bpf_get_current_task_btf();

	rec->ppid = task->real_parent->tgid;
	rec->process_start_ns = task->group_leader->start_boottime;
}

static __always_inline void record_numbers(struct agentsh_record *rec, __u32 inode)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	rec->ns_pid = number_in(BPF_CORE_READ(task, thread_pid), inode);
	if (rec->pid == rec->tgid)
		rec->ns_tgid = rec->ns_pid;
	else
		rec->ns_tgid = number_in(BPF_CORE_READ(task, group_leader, thread_pid), inode);
}

static __always_inline void record_task(struct agentsh_record *rec)
{
	__u32 inode = agentsh_settings.pidns_inode;

	if (agentsh_settings.task_direct)
		record_process_direct(rec);
	else
		record_process_copied(rec);
	if (inode == PIDNS_INITIAL) {
		rec->ns_pid = rec->pid;
		rec->ns_tgid = rec->tgid;
	} else if (inode) {
		record_numbers(rec, inode);
	} else {
		rec->ns_pid = 0;
		rec->ns_tgid = 0;
	}
}

#else

static __always_inline void record_task(struct agentsh_record *rec)
{
	rec->ppid = 0;
	rec->process_start_ns = 0;
	rec->ns_pid = 0;
	rec->ns_tgid = 0;
}

#endif
#endif
