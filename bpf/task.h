/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fills a record's task. The parent, the start time, the executable, the process name and the
 * PIDs in a PID namespace are in struct task_struct only. Reading it needs the kernel's BTF and
 * CAP_PERFMON, so every program is built without AGENTSH_TASK, with it, and with AGENTSH_KFUNCS,
 * too.
 */
#ifndef AGENTSH_TASK_H
#define AGENTSH_TASK_H

#include "maps.h"
#include "record.h"
#include "words.h"

/* The numbers of a task. */
struct task_facts {
	__u64 process_start_ns;
	__u32 pid;
	__u32 tgid;
	__u32 ppid;
	__u32 ns_pid;
	__u32 ns_tgid;
	__u32 container_pid;
	__u32 container_tgid;
	__u32 exe_device;
	__u64 exe_inode;
};

static __always_inline void task_ids(struct task_facts *facts)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	facts->pid = (__u32)pid_tgid;
	facts->tgid = pid_tgid >> 32;
}

#ifdef AGENTSH_TASK

#include "readable.h"

#define PIDNS_INITIAL 0xEFFFFFFCU /* PROC_PID_INIT_INO, fixed since kernel 3.8 */
#define PIDNS_DEPTH 32		  /* MAX_PID_NS_LEVEL */

/*
 * Whether the verifier allows plain loads from numbers[]: only if it is a flexible array,
 * kernel 6.6.
 */
#define NUMBERS_DIRECT                                                                             \
	(bpf_core_type_size(struct pid) <                                                          \
	 bpf_core_field_offset(struct pid, numbers) + bpf_core_type_size(struct upid))

/*
 * Returns the PID in the namespace with this inode, or 0. The caller handles the initial
 * namespace, which is the only one at level 0.
 */
static __always_inline __u32 pid_in_namespace(struct pid *pid, unsigned int level, __u32 inode,
					      int direct)
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

/* The PID in the innermost namespace. */
static __always_inline __u32 innermost_pid(struct pid *pid, unsigned int level)
{
	void *first = __builtin_preserve_access_index(&pid->numbers[0]);
	struct upid *number = first + (level & (PIDNS_DEPTH - 1)) * bpf_core_type_size(struct upid);

	return BPF_CORE_READ(number, nr);
}

/*
 * The program that the process executes; mm is NULL in a thread of the kernel. Reads of a
 * pointer that is NULL give 0.
 */
static __always_inline void exe_read_copied(struct task_facts *facts, struct task_struct *current)
{
	struct inode *inode = BPF_CORE_READ(current, mm, exe_file, f_inode);

	facts->exe_inode = BPF_CORE_READ(inode, i_ino);
	facts->exe_device = BPF_CORE_READ(inode, i_sb, s_dev);
}

static __always_inline void exe_read_direct(struct task_facts *facts, struct task_struct *current)
{
	struct mm_struct *mm = current->mm;
	struct inode *inode;

	if (!mm || !mm->exe_file)
		return;
	inode = mm->exe_file->f_inode;
	facts->exe_inode = inode->i_ino;
	facts->exe_device = inode->i_sb->s_dev;
}

/* Reads the task on every kernel with BTF, with one helper call per pointer. */
static __always_inline void task_read_copied(struct task_facts *facts, __u32 inode)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(current, group_leader);
	unsigned int level;
	struct pid *pid;

	task_ids(facts);
	facts->ppid = BPF_CORE_READ(current, real_parent, tgid);
	facts->process_start_ns = BPF_CORE_READ(leader, start_boottime);
	exe_read_copied(facts, current);
	pid = BPF_CORE_READ(current, thread_pid);
	level = BPF_CORE_READ(pid, level);
	facts->container_pid = level ? innermost_pid(pid, level) : facts->pid;
	facts->container_tgid = facts->pid == facts->tgid ? facts->container_pid
				: level ? innermost_pid(BPF_CORE_READ(leader, thread_pid), level)
					: facts->tgid;
	if (inode) {
		struct pid *tgid = BPF_CORE_READ(leader, thread_pid);

		facts->ns_pid = pid_in_namespace(pid, level, inode, 0);
		facts->ns_tgid =
			facts->pid == facts->tgid
				? facts->ns_pid
				: pid_in_namespace(tgid, BPF_CORE_READ(tgid, level), inode, 0);
	}
}

static __always_inline __u32 pid_in_namespace_direct(struct task_struct *task, __u32 inode)
{
	struct pid *pid = task->thread_pid;

	if (NUMBERS_DIRECT)
		return pid_in_namespace(pid, pid->level, inode, 1);
	return pid_in_namespace(pid, pid->level, inode, 0);
}

/* Reads the task with plain loads, which the verifier allows from bpf_get_current_task_btf(). */
static __always_inline void task_read_direct(struct task_facts *facts, __u32 inode)
{
	struct task_struct *current = bpf_get_current_task_btf(), *leader;
	unsigned int level;

	if (HAS_RDONLY_CAST)
		current = READABLE(current, struct task_struct);
	leader = current->group_leader;
	facts->pid = current->pid;
	facts->tgid = current->tgid;
	facts->ppid = current->real_parent->tgid;
	facts->process_start_ns = leader->start_boottime;
	exe_read_direct(facts, current);
	level = current->thread_pid->level;
	facts->container_pid = level ? innermost_pid(current->thread_pid, level) : facts->pid;
	facts->container_tgid = facts->pid == facts->tgid ? facts->container_pid
				: level			  ? innermost_pid(leader->thread_pid, level)
							  : facts->tgid;
	if (inode) {
		facts->ns_pid = pid_in_namespace_direct(current, inode);
		facts->ns_tgid = facts->pid == facts->tgid ? facts->ns_pid
							   : pid_in_namespace_direct(leader, inode);
	}
}

/*
 * Whether the names and the user are read with plain loads, which cost less than helper
 * calls. On these kernels the bytes after the end of a name are 0.
 */
#define NAMES_DIRECT (HAS_RDONLY_CAST && agentsh_settings.task_direct)

static __always_inline void task_read(struct task_facts *facts)
{
	__u32 inode = agentsh_settings.pidns_inode;
	__u32 nested_inode = inode == PIDNS_INITIAL ? 0 : inode;

	if (agentsh_settings.task_direct)
		task_read_direct(facts, nested_inode);
	else
		task_read_copied(facts, nested_inode);
	if (inode == PIDNS_INITIAL) {
		facts->ns_pid = facts->pid;
		facts->ns_tgid = facts->tgid;
	}
}

/* The name of the process. Before kernel 5.17 bytes of a former name follow it. */
static __always_inline void process_comm_copy(struct agentsh_task *task)
{
	struct task_struct *leader =
		BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), group_leader);

	bpf_core_read_str(task->process_comm, sizeof(task->process_comm), &leader->comm);
}

static __always_inline void names_fill_direct(struct agentsh_task *task)
{
	struct task_struct *current = READABLE(bpf_get_current_task_btf(), struct task_struct);

	SET_WORD(task->uid, word_of(current->cred->uid.val, current->cred->gid.val));
	SET_WORD(task->comm[0], *(__u64 *)&current->comm[0]);
	SET_WORD(task->comm[8], *(__u64 *)&current->comm[8]);
	SET_WORD(task->process_comm[0], *(__u64 *)&current->group_leader->comm[0]);
	SET_WORD(task->process_comm[8], *(__u64 *)&current->group_leader->comm[8]);
}

#else

static __always_inline void task_read(struct task_facts *facts)
{
	task_ids(facts);
}

#endif

/* The user, and the names of the thread and the process. */
static __always_inline void names_fill(struct agentsh_task *task)
{
	__u64 uid_gid;

#ifdef AGENTSH_TASK
	if (NAMES_DIRECT) {
		names_fill_direct(task);
		return;
	}
#endif
	uid_gid = bpf_get_current_uid_gid();
	SET_WORD(task->uid, word_of((__u32)uid_gid, uid_gid >> 32));
	/* kernel 6.1 does not write the bytes after the name's end */
	__builtin_memset(task->comm, 0, sizeof(task->comm));
	__builtin_memset(task->process_comm, 0, sizeof(task->process_comm));
	if (agentsh_settings.comm)
		bpf_get_current_comm(task->comm, sizeof(task->comm));
#ifdef AGENTSH_TASK
	process_comm_copy(task);
#endif
}

static __always_inline void task_fill(struct agentsh_task *task)
{
	struct task_facts facts = {};

	task_read(&facts);
	SET_WORD(task->pid, word_of(facts.pid, facts.tgid));
	SET_WORD(task->ppid, word_of(facts.ppid, facts.ns_pid));
	SET_WORD(task->ns_tgid, word_of(facts.ns_tgid, facts.container_pid));
	SET_WORD(task->container_tgid, word_of(facts.container_tgid, facts.exe_device));
	task->exe_inode = facts.exe_inode;
	task->process_start_ns = facts.process_start_ns;
	task->cgroup_id = bpf_get_current_cgroup_id();
	names_fill(task);
}

#endif
