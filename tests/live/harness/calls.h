/* SPDX-License-Identifier: Apache-2.0 */
/* Network calls as table rows, and the events expected of them. */
#ifndef CALLS_H
#define CALLS_H

#include <stdint.h>

#include "expectation.h"
#include "live.h"

enum call_how { CALL_CONNECT, CALL_SENDTO, CALL_SENDMSG, CALL_SENDMMSG };

enum {
	CALL_LISTEN = 1, /* listen at the destination first, on a free port */
	CALL_NONBLOCK = 2,
	CALL_FASTOPEN = 4,   /* MSG_FASTOPEN: a send that connects */
	CALL_PKTINFO = 8,    /* the message carries its source address */
	CALL_CONNECTED = 16, /* connect elsewhere first, which is an event, too */
	CALL_PLAIN_V4 = 32,  /* a sockaddr_in on an IPv6 socket */
	CALL_NO_EVENT = 64,  /* the call causes no event */
	CALL_SUBFLOW = 128   /* the event has the cookie of a socket inside the kernel */
};

#define CALL_ANY_ERROR (-1)
#define CALL_MESSAGES 3 /* messages of one sendmmsg(), to consecutive ports */

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
	int error; /* expected errno, 0 or CALL_ANY_ERROR */
};

/* Makes the call in the calling thread; fills list and returns the number of expectations. */
size_t call_make(const struct call *call, struct expectation *list);

/* The table of calls: TCP and UDP; IPv4, IPv6 and mapped; connects and sends. */
extern const struct call calls_all[];
extern const size_t calls_all_count;

#define CALLS_EXPECTATIONS_MAX 64

struct call_expectations {
	size_t count;
	struct expectation list[CALLS_EXPECTATIONS_MAX];
};

/* Starts a worker in a session of its own, to make calls. */
void calls_start(struct live_worker *worker, struct agentsh_ebpf_tracer *tracer,
		 uint64_t session_id);
/* Reads the events of the session and compares them; caller is for messages. */
void calls_expect(const char *caller, struct call_expectations *made, uint64_t session_id);

/* live_fn: makes all of calls_all. */
void calls_make_all(const void *unused, void *call_expectations);

#endif
