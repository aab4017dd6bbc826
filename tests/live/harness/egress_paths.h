/* SPDX-License-Identifier: Apache-2.0 */
/* Egress paths as table rows, and the calls that use each of them. */
#ifndef EGRESS_PATHS_H
#define EGRESS_PATHS_H

#include <stdint.h>

#include "live.h"

enum egress_how {
	GO_CONNECT,
	GO_SENDTO,
	GO_SENDMSG,
	GO_SENDMMSG,
	GO_SEND,   /* egress_prepare() has connected the socket */
	GO_ANSWER, /* like GO_SEND, from the accepting end */
	GO_CONNECT_SEND,
	GO_FASTOPEN_SEND,
	GO_FASTOPEN_CONNECT,
	GO_BOTH, /* sendto(), then connect() */
	GO_URING_CONNECT,
	GO_URING_SEND,
	GO_ACCEPT, /* connect() to a listener of the same process */
	GO_PACKET,
	GO_UNIX,
	GO_VSOCK,
	GO_RDS,
	GO_RXRPC,
	GO_MAKE /* the socket is made, and not used */
};

/* Where the socket comes from. */
enum egress_place {
	FROM_INSIDE,
	FROM_EARLIER, /* its process enters the cgroup later */
	FROM_PARENT,  /* inherited from outside */
	FROM_MESSAGE, /* received with SCM_RIGHTS */
	FROM_LEAVER,  /* its process leaves the cgroup before the call */
	FROM_BEFORE   /* connected before the session is attached */
};

#define EGRESS_ANY_ERROR 1 /* the call may fail: the attempt counts */
#define EGRESS_NO_COOKIE 2 /* the event has the cookie of a socket inside the kernel */

struct egress_path {
	uint32_t number; /* AGENTSH_EBPF_COVERAGE_ */
	const char *name;
	int domain, type, protocol;
	enum egress_how how;
	int option; /* enum uring_how, for GO_URING_* */
	int flags;
	const char *protocol_name; /* in /proc/net/protocols; NULL: present in every kernel */
	enum egress_place place;
};

extern struct live_cgroup egress_cgroup; /* the cgroup of the session */
extern const struct egress_path egress_paths[];
extern const uint32_t egress_path_count;

/* One attempt, or the reason why it was not possible. */
struct egress_attempt {
	uint32_t row;
	char absent[100]; /* the reason; empty: tried */
	int error;	  /* errno value of the call that failed; 0: none failed */
	uint64_t cookie;
	uint16_t family, port; /* of the destination, which differs per row */
	uint8_t addr[16];
};

/* Rules may refuse the calls: an error is no failure, and no call waits for an answer for long. */
extern bool egress_may_be_refused;

/* Called outside the cgroup before the row's worker starts: makes the socket that it inherits. */
void egress_outside(uint32_t row);
/* Called after the worker has started: sends it the socket with SCM_RIGHTS. */
void egress_hand_over(uint32_t row);

/* live_fn: takes the row number, makes the socket and fills a struct egress_attempt. */
void egress_prepare(const void *row, void *tried);
/* Fails unless this kernel lacks the protocol or io_uring; prints the reason. */
void egress_expect_absent(const struct egress_path *path, const struct egress_attempt *attempt);
/* live_fn: lets every group make ping sockets in this network namespace. */
void egress_allow_ping(const void *unused, void *unused_out);

/* live_fn: makes the call for the attempt of egress_prepare() and returns the attempt. */
void egress_go(const void *tried, void *again);

#endif
