/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to the network, as rows that really go them. */
#ifndef EGRESS_PATHS_H
#define EGRESS_PATHS_H

#include <stdint.h>

#include "live.h"

enum egress_how {
	GO_CONNECT,
	GO_SENDTO,
	GO_SENDMSG,
	GO_SENDMMSG,
	GO_SEND, /* after a connect() in the first phase */
	GO_FASTOPEN_SEND,
	GO_FASTOPEN_CONNECT,
	GO_BOTH, /* sendto(), then connect() */
	GO_URING_CONNECT,
	GO_URING_SEND,
	GO_ACCEPT, /* connect() to a listener of its own */
	GO_PACKET,
	GO_UNIX,
	GO_VSOCK
};

/* Where the socket comes from. */
enum egress_place {
	FROM_INSIDE,
	FROM_EARLIER, /* its process comes into the cgroup later */
	FROM_PARENT,  /* inherited from outside */
	FROM_MESSAGE, /* handed in, SCM_RIGHTS */
	FROM_LEAVER   /* its process leaves the cgroup */
};

#define EGRESS_ANY_ERROR 1 /* the call need not work: it is tried nonetheless */
#define EGRESS_NO_COOKIE 2 /* the event names a socket inside the kernel */

struct egress_path {
	uint32_t number; /* AGENTSH_EBPF_COVERAGE_ */
	const char *name;
	int domain, type, protocol;
	enum egress_how how;
	int option; /* of how: enum uring_how */
	int flags;
	const char *protocol_name; /* in /proc/net/protocols; NULL: every kernel has it */
	enum egress_place place;
};

extern struct live_cgroup egress_cgroup; /* the session's */
extern const struct egress_path egress_paths[];
extern const uint32_t egress_path_count;

/* What was tried, or why not. */
struct egress_attempt {
	uint32_t row;
	char absent[100]; /* empty: tried */
	uint64_t cookie;
	uint16_t family, port; /* the destination, another one for each row */
	uint8_t addr[16];
};

/* From outside, before the row's worker is started: the socket that it inherits. */
void egress_outside(uint32_t row);
/* Then, when it has been started: the socket that it is handed. */
void egress_hand_over(uint32_t row);

/* live_fn: takes the row's number; makes the socket and fills a struct egress_attempt. */
void egress_prepare(const void *row, void *tried);
/* live_fn: takes what prepare filled, gives it back: goes the way. */
void egress_go(const void *tried, void *again);

#endif
