/* SPDX-License-Identifier: Apache-2.0 */
/* What a process knows about itself and its sockets, and the comparison with its event. */
#ifndef EXPECTATION_H
#define EXPECTATION_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

struct expectation {
	struct agentsh_ebpf_event want; /* all members except the two times */
	uint64_t boot_ns[2];		/* boot time before and after the call */
	uint64_t real_ns[2];		/* wall time before and after the call */
	uint64_t start_ticks;		/* field 22 of /proc/self/stat */
	uint64_t netns; /* inode of the network namespace, for kernels without SO_NETNS_COOKIE */
	int32_t error;	/* errno of the call; 0: success */
	char name[60];
};

/*
 * Depth of the host's PID namespace below that of /proc; -1: the host cannot see the
 * caller. Children inherit the value.
 */
extern int expectation_host_level;

/* Fills in the members that describe the calling thread. */
void expectation_task(struct expectation *t);
/* Clears the members that a tracer without BTF or CAP_PERFMON cannot report. */
void expectation_hide_task(struct expectation *t);
/* Fills in cookies, protocol and type of the socket. */
void expectation_socket(struct expectation *t, int fd);
/* Reads the clocks: with end 0 before the call, with end 1 after it. */
void expectation_clocks(struct expectation *t, int end);

/* Whether any member that identifies the process is set; none is in UNATTRIBUTED events. */
bool expectation_has_task(const struct agentsh_ebpf_event *e);

/* Return NULL, or one line on the first difference. Static storage. */
const char *expectation_task_differs(const struct expectation *t,
				     const struct agentsh_ebpf_event *e);
const char *expectation_differs(const struct expectation *t, const struct agentsh_ebpf_event *e);

/*
 * Compares live_seen with the list, in order; more or fewer events are a difference, too.
 * Returns NULL, or one line on the first difference.
 */
const char *expectation_all_differ(const struct expectation *list, size_t count);

#endif
