/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into a test, this makes the n-th allocation or system call of the
 * library fail, also one that libbpf makes for it. For tests of one thread.
 */
#ifndef FAIL_H
#define FAIL_H

#include <stdbool.h>

/* The nth (from 1) that is counted from now on gives this errno value; 0: what suits the call. */
void fail_arm(unsigned int nth, int error);
/* Ends it. How many were counted; *what: the one that failed, NULL if there were not so many. */
unsigned int fail_disarm(const char **what);

/*
 * Whether allocations are counted and made to fail too: not where a sanitizer has
 * them. Then fail_blocks() is always 0.
 */
bool fail_has_allocations(void);
/* Blocks that are allocated now. */
long fail_blocks(void);

/* Descriptors open, and the process's mappings of eBPF maps. */
int fail_fds(void);
int fail_bpf_mappings(void);

#endif
