/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's lists of programs, maps and links, read with bpf(2), and which of them belong
 * to one tracer. To tell its tracers from others on the machine, a test gives them a
 * max_sessions that no other tracer has: it is the size of a map.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_IDS_MAX 256

struct kernel_ids {
	size_t programs, maps, links;
	uint32_t program[KERNEL_IDS_MAX];
	uint32_t map[KERNEL_IDS_MAX];
	uint32_t link[KERNEL_IDS_MAX];
};

/* Returns a number that marks the tracers of one test; each call returns a different one. */
uint32_t kernel_new_marker(void);

/* Finds the programs that use a map of marker entries, all their maps, and their links. */
void kernel_ids(uint32_t marker, struct kernel_ids *ids);

/* BPF_OBJ_GET_INFO_BY_FD of a program, map or link; false on an error, which is in errno. */
bool kernel_info_of(int fd, void *info, size_t size);

/* Whether the kernel lists the protocol, which does not depend on socket(2). */
bool kernel_lists(const char *protocol);

/* Number of maps with this name. */
size_t kernel_maps_named(const char *name);

/* Whether all of them are freed. The kernel frees asynchronously, so this waits for a while. */
bool kernel_gone(const struct kernel_ids *ids);
/* Whether the tracer's number of links becomes count; waits for a while. */
bool kernel_links_become(uint32_t marker, size_t count);

/* Number of programs attached to the cgroup itself, at connect and sendmsg. */
unsigned int kernel_attached(int cgroup_fd);

/* Ids of the programs that take effect for the cgroup at this attach type; returns their number. */
size_t kernel_effective(int cgroup_fd, uint32_t attach_type, uint32_t ids[KERNEL_IDS_MAX]);
uint32_t kernel_program_id(int program_fd);

/*
 * Why eBPF programs cannot read the structure of the calling task here, regardless of
 * privileges; NULL: they can. If they cannot, events lack ppid, process_start_ns, ns_pid and
 * ns_tgid, and MPTCP appears as TCP.
 */
const char *kernel_hides_tasks(void);

/*
 * Attaches a program to the cgroup that refuses every call at this attach type
 * (BPF_CGROUP_INET4_CONNECT and the like) with EPERM. Shows without the library whether the
 * kernel runs a hook. Returns a descriptor to close.
 */
int kernel_refuse_at(int cgroup_fd, uint32_t attach_type);

/*
 * Whether the kernel has hooks for AF_UNIX sockets, by its version, so that a test does not
 * leave out what should work.
 */
bool kernel_hooks_unix(void);

/*
 * Whether the loopback device may split a send with UDP_SEGMENT into its datagrams, by the version
 * of the kernel: 5.10 does, 6.1 does not.
 */
bool kernel_may_split_on_loopback(void);

/* Whether maps count against RLIMIT_MEMLOCK; tries to make a map that exceeds it. */
bool kernel_counts_memlock(void);

#endif
