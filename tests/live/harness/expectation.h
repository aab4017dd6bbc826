/* SPDX-License-Identifier: Apache-2.0 */
/* What a process knows of itself and its sockets, and the event that must say the same. */
#ifndef EXPECTATION_H
#define EXPECTATION_H

#include <stdint.h>

#include <agentsh/ebpf.h>

struct expectation {
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
extern int expectation_host_level;

/* The calling thread: all but session and socket. */
void expectation_task(struct expectation *t);
/* Cookies, protocol and type. */
void expectation_socket(struct expectation *t, int fd);
/* The clocks: end 0 before the call, end 1 after it. */
void expectation_clocks(struct expectation *t, int end);

/* NULL, or one line on the first difference. Static storage. */
const char *expectation_differs(const struct expectation *t, const struct agentsh_ebpf_event *e);

/* live_seen against the list, in order, and nothing more; NULL or the first difference. */
const char *expectation_all_differ(const struct expectation *list, size_t count);

#endif
