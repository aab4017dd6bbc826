/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel reports about programs: their number and their run time. */
#ifndef BENCH_PROGS_H
#define BENCH_PROGS_H

#include <linux/bpf.h>
#include <stdint.h>

struct prog_time {
	uint64_t run_ns;
	uint64_t runs;
};

/* The number of programs loaded on the machine. */
unsigned progs_loaded(void);

/* The number of loaded programs of type CGROUP_SOCK_ADDR. */
unsigned progs_at_sock_addr(void);

/* Returns a descriptor. The kernel measures run time while it is open. */
int progs_timing_on(void);

/* The sum over the programs that are attached to this place of this cgroup. */
struct prog_time progs_time(int cgroup_fd, enum bpf_attach_type type);

#endif
