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

/* Whether all of them are gone; the kernel frees late, so waits for a while. */
bool kernel_gone(const struct kernel_ids *ids);
/* Whether the tracer's links become this many, likewise. */
bool kernel_links_become(uint32_t marker, size_t count);

/* Programs attached to the cgroup itself at its four hooks. */
unsigned int kernel_attached(int cgroup_fd);

#endif
