/* SPDX-License-Identifier: Apache-2.0 */
/* Network calls as table rows, and the truths of those that are events. */
#ifndef CALLS_H
#define CALLS_H

#include <stdint.h>

#include "expectation.h"

enum call_how { CALL_CONNECT, CALL_SENDTO, CALL_SENDMSG, CALL_SENDMMSG };

enum {
	CALL_LISTEN = 1, /* listen at the destination first, at a free port */
	CALL_NONBLOCK = 2,
	CALL_FASTOPEN = 4,   /* MSG_FASTOPEN: a connect in a send */
	CALL_PKTINFO = 8,    /* the source address comes with the message */
	CALL_CONNECTED = 16, /* connect elsewhere first; that is an event too */
	CALL_PLAIN_V4 = 32,  /* a sockaddr_in on an IPv6 socket */
	CALL_NO_EVENT = 64,  /* the call is none */
	CALL_SUBFLOW = 128   /* the cookie is that of a socket inside the kernel */
};

#define CALL_ANY_ERROR (-1)
#define CALL_MESSAGES 3 /* of one sendmmsg, to ports one after the other */

struct call {
	const char *name;
	int domain;
	int type;
	int protocol;
	enum call_how how;
	const char *to; /* NULL: AF_UNSPEC */
	uint16_t port;
	const char *bind; /* NULL: not bound */
	int flags;
	int error; /* errno that the call must give, 0, or CALL_ANY_ERROR */
};

/* Makes the call in the calling thread; appends to list and returns how many. */
size_t call_make(const struct call *call, struct expectation *list);

/* Every way of the truth table: TCP and UDP, v4, v6, mapped, connect and sends. */
extern const struct call calls_all[];
extern const size_t calls_all_count;

#define CALLS_EXPECTATIONS_MAX 64

struct call_expectations {
	size_t count;
	struct expectation list[CALLS_EXPECTATIONS_MAX];
};

/* live_fn: all of calls_all from here. */
void calls_make_all(const void *unused, void *call_expectations);

#endif
