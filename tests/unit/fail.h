/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into a test, this makes the n-th allocation or system call of the library fail,
 * including calls that libbpf makes for the library, or shows the calls to the test. For
 * tests with one thread.
 */
#ifndef FAIL_H
#define FAIL_H

#include <stdbool.h>

/*
 * Makes the nth call (from 1) from now on fail with this errno value; 0: an errno value
 * that suits the call.
 */
void fail_arm(unsigned int nth, int error);
/*
 * Stops counting and returns the number of calls. *what is the name of the call that
 * failed; NULL: there were fewer calls than that.
 */
unsigned int fail_disarm(const char **what);

/*
 * Calls watcher before each system call that fail.c replaces; NULL ends it. name is that of
 * the C library's function; path is its path, if it has one, else NULL; number is the
 * command of fcntl() or the number of syscall(), and arg the argument after it.
 */
typedef void (*fail_watcher)(const char *name, const char *path, long number, long arg);
void fail_watch(fail_watcher watcher);

/*
 * Whether allocations are counted and made to fail, too. Under a sanitizer or valgrind,
 * which replace the allocator, they are not, and fail_blocks() does not change.
 */
bool fail_has_allocations(void);
/* Number of blocks that are allocated now. */
long fail_blocks(void);

/* Number of open descriptors, and of mappings of eBPF maps in this process. */
int fail_fds(void);
int fail_bpf_mappings(void);

#endif
