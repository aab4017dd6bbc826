/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel itself says of programs: how many, and how long they ran. */
#ifndef BENCH_PROGS_H
#define BENCH_PROGS_H

#include <stdint.h>

struct prog_time {
	uint64_t run_ns;
	uint64_t runs;
};

/* All programs of the machine. */
unsigned progs_loaded(void);

/* Programs of the machine that run at cgroup hooks of sockets' addresses. */
unsigned progs_at_sock_addr(void);

/* A descriptor; the kernel keeps time as long as it is open. */
int progs_timing_on(void);

/* The sum over the programs at the cgroup's own connect4 hook. */
struct prog_time progs_time(int cgroup_fd);

#endif
