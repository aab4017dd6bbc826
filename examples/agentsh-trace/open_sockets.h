/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of each open socket, by its cookie. No I/O. */
#ifndef OPEN_SOCKETS_H
#define OPEN_SOCKETS_H

#include <stdint.h>

/* The library reports no end of more sockets at a time: max_sockets in trace.c. */
#define OPEN_SOCKETS_MAX 65536

struct open_socket {
	uint64_t cookie;
	uint64_t destination;		     /* a hash of the destination that it has now */
	uint64_t bytes_sent, bytes_received; /* according to its latest event that tells */
	uint64_t duration_ns;		     /* at that event */
	uint32_t row;			     /* of the summary by destination */
	uint32_t next;			     /* for open_sockets.c */
};

/* A zeroed struct is empty. */
struct open_sockets {
	uint32_t made; /* elements of table that have been used */
	uint32_t free; /* first free element of these */
	uint32_t buckets[OPEN_SOCKETS_MAX];
	struct open_socket table[OPEN_SOCKETS_MAX];
};

/* NULL: unknown */
struct open_socket *open_sockets_find(struct open_sockets *sockets, uint64_t cookie);

/* Adds a socket that is unknown so far. NULL: there is no room. */
struct open_socket *open_sockets_add(struct open_sockets *sockets, uint64_t cookie);

void open_sockets_remove(struct open_sockets *sockets, uint64_t cookie);

/* Calls visit for each socket. */
void open_sockets_visit(struct open_sockets *sockets,
			void (*visit)(void *ctx, struct open_socket *socket), void *ctx);

#endif
