/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Baseline (c): the shortest program that puts a complete record with the size and the layout of
 * the library's records into a ring.
 *
 * It fills what the context or a single helper provides: thread, process, user and group, boot
 * time, cgroup id, both cookies, protocol and type, addresses, ports and comm. Members that need a
 * session or the task's structure stay zero: session id, slot, loss, parent, start time, the
 * numbers in a PID namespace, the process's name and its executable. It does not count; the harness
 * knows the number of calls.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "record.h"
#include "session_state.h"

#define AF_INET 2
#define KIND_CONNECT 1

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* the harness sets the real size */
} bench_ring SEC(".maps");

/* a BPF_RB_ flag, for no wake-up; 0: the default wake-up of the kernel */
const volatile __u64 bench_submit_flags = 0;

SEC("cgroup/connect4")
int bench_minimal(struct bpf_sock_addr *ctx)
{
	struct agentsh_record *rec = bpf_ringbuf_reserve(&bench_ring, sizeof(*rec), 0);
	struct bpf_sock *sk;
	__u64 ids;

	if (!rec)
		return 1;

	rec->head.version = AGENTSH_RECORD_VERSION;
	rec->head.kind = KIND_CONNECT;
	rec->head.flags = 0;
	rec->head.slot = 0;
	rec->head.generation = 0;
	ids = bpf_get_current_pid_tgid();
	rec->task.pid = (__u32)ids;
	rec->task.tgid = ids >> 32;
	rec->task.ppid = 0;
	rec->task.ns_pid = 0;
	rec->task.ns_tgid = 0;
	ids = bpf_get_current_uid_gid();
	rec->task.uid = (__u32)ids;
	rec->task.gid = ids >> 32;
	rec->timestamp_ns = bpf_ktime_get_boot_ns();
	rec->session_id = 0;
	rec->session_lost = 0;
	rec->task.cgroup_id = bpf_get_current_cgroup_id();
	rec->socket_cookie = bpf_get_socket_cookie(ctx);
	rec->netns_cookie = bpf_get_netns_cookie(ctx);
	rec->task.process_start_ns = 0;
	rec->head.family = AF_INET;
	rec->head.protocol = ctx->protocol;
	rec->head.socket_type = ctx->type;
	sk = ctx->sk;
	rec->head.local_port = sk ? sk->src_port : 0;
	rec->head.remote_port = bpf_ntohs((__u16)ctx->user_port);
	rec->head.ifindex = 0;
	rec->task.container_pid = 0;
	rec->task.container_tgid = 0;
	rec->task.exe_device = 0;
	rec->task.exe_inode = 0;
	__builtin_memset(rec->task.process_comm, 0, sizeof(rec->task.process_comm));
	rec->local_addr[0] = sk ? sk->src_ip4 : 0;
	rec->local_addr[1] = 0;
	rec->local_addr[2] = 0;
	rec->local_addr[3] = 0;
	rec->remote_addr[0] = ctx->user_ip4;
	rec->remote_addr[1] = 0;
	rec->remote_addr[2] = 0;
	rec->remote_addr[3] = 0;
	bpf_get_current_comm(rec->task.comm, sizeof(rec->task.comm));

	bpf_ringbuf_submit(rec, bench_submit_flags);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
