/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own list of programs, maps and links, by bpf(2), and which of
 * them are one tracer's. Other tracers of the machine must not count, so a test
 * marks its own with a max_sessions that nobody else has: the size of a map.
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

/* A number that marks the tracers of one test: another at each call. */
uint32_t kernel_new_marker(void);

/* Programs that use a map of marker entries, all their maps, and their links. */
void kernel_ids(uint32_t marker, struct kernel_ids *ids);

/* How many maps have this name. */
size_t kernel_maps_named(const char *name);

/* Whether all of them are gone; the kernel frees late, so waits for a while. */
bool kernel_gone(const struct kernel_ids *ids);
/* Whether the tracer's links become this many, likewise. */
bool kernel_links_become(uint32_t marker, size_t count);

/* Programs attached to the cgroup itself at its four hooks. */
unsigned int kernel_attached(int cgroup_fd);

/*
 * Why programs cannot read the calling task's structure here, whatever the host's
 * rights; NULL: they can. Events lack ppid, process_start_ns, ns_pid and ns_tgid
 * then, and MPTCP shows as TCP.
 */
const char *kernel_hides_tasks(void);

/*
 * A program that refuses every call at this hook (BPF_CGROUP_INET4_CONNECT and the like) of
 * the cgroup, with EPERM; a descriptor to close. Tells where the kernel runs hooks at
 * all, without the library.
 */
int kernel_refuse_at(int cgroup_fd, uint32_t hook);

/* Whether maps count against RLIMIT_MEMLOCK, tried with one that is too large for it. */
bool kernel_counts_memlock(void);

#endif
