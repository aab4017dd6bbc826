/* SPDX-License-Identifier: Apache-2.0 */
/* What a process knows of itself and its sockets, and the event that must say the same. */
#ifndef TRUTH_H
#define TRUTH_H

#include <stdint.h>

#include <agentsh/ebpf.h>

struct truth {
	struct agentsh_ebpf_event want; /* all but the two times below */
	uint64_t boot_ns[2];		/* the clocks before and after the call */
	uint64_t real_ns[2];
	uint64_t start_ticks; /* field 22 of /proc/self/stat */
	uint64_t netns; /* inode of the network namespace; for kernels without SO_NETNS_COOKIE */
	int32_t error;	/* errno of the call, 0: it succeeded */
	char name[60];
};

/*
 * How deep below the PID namespace of /proc the host lives; -1: the caller is
 * not visible to it. Children inherit it.
 */
extern int truth_host_level;

/* The calling thread: all but session and socket. */
void truth_who(struct truth *t);
/* Cookies, protocol and type. */
void truth_socket(struct truth *t, int fd);
/* The clocks: end 0 before the call, end 1 after it. */
void truth_clocks(struct truth *t, int end);

/* NULL, or one line on the first difference. Static storage. */
const char *truth_differs(const struct truth *t, const struct agentsh_ebpf_event *e);

/* live_seen against the list, in order, and nothing more; NULL or the first difference. */
const char *truth_all_differ(const struct truth *list, size_t count);

#endif
