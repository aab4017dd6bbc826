/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets whose process counts what it sends and receives, and the comparison of these counts
 * with the CLOSED events.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include "connection.h"

#define COUNTED_MAX 16

/* What one socket has sent and received, as its processes counted it. */
struct counts {
	uint64_t cookie;
	uint64_t bytes_sent, bytes_received;
	uint32_t packets_sent, packets_received;
	int32_t fd;
	uint32_t no_event; /* 1: no event of the socket is expected */
	char name[40];
};

struct counted {
	char absent[100]; /* why this kernel cannot try the way; empty: tried */
	uint32_t count;
	struct counts list[COUNTED_MAX];
};

/* Gives the reason why the way cannot be tried here; error: an errno value or 0. */
void counted_absent(struct counted *c, const char *what, int error);

/* Makes a socket and its counts; returns -1 and errno if the kernel lacks the protocol. */
int counted_try_socket(struct counted *c, const char *name, int domain, int type, int protocol);
int counted_socket(struct counted *c, const char *name, int domain, int type, int protocol);
/* Makes the counts of a socket that exists. */
struct counts *counted_adopt(struct counted *c, const char *name, int fd);
/* A UDP socket that is bound to the address and a free port, which *at receives. */
int counted_bound(struct counted *c, const char *name, struct connection_address *at);
struct counts *counted_of(struct counted *c, int fd);

/* Counts a send of this many packets that succeeded. */
void counted_sent(struct counted *c, int fd, uint32_t packets, size_t bytes);
/* Sends one datagram, to NULL on a connected socket; an error fails the test. */
void counted_send(struct counted *c, int fd, size_t size, const struct connection_address *to);
/* Expects that three sends fail with this error. */
void counted_fail(struct counted *c, int fd, size_t size, const struct connection_address *to,
		  int error);
/* Receives one datagram, or several that the kernel has joined; false after wait_ms. */
bool counted_receive_one(struct counted *c, int fd, struct connection_address *from, int wait_ms);
/* Receives until this many packets have arrived in all, or fails. */
void counted_receive(struct counted *c, int fd, uint32_t packets);
/* Receives whatever is there. */
void counted_receive_rest(struct counted *c, int fd);
void counted_close(struct counted *c); /* all sockets */

/* Reads until the expected number of CLOSED events is there; counted_expect() names what is not. */
void counted_drain(struct agentsh_ebpf_tracer *tracer, const struct counted *c);
/* Compares the CLOSED events of live_seen with the counts, one to one. */
void counted_expect(const char *name, const struct counted *c);

#endif
