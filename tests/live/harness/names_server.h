/* SPDX-License-Identifier: Apache-2.0 */
/* A name server with scripted answers, in a process outside the session, and its client. */
#ifndef NAMES_SERVER_H
#define NAMES_SERVER_H

#include "connection.h"
#include "names_message.h"

/* What the server does with a question; all zero: it does not answer. */
struct names_answer {
	struct names_message message;
	uint32_t copies; /* UDP: datagrams with the message */
	uint32_t piece;	 /* TCP: bytes per segment; 0: all in one */
	bool segmented;	 /* UDP: also with UDP_SEGMENT, so that one packet has all copies */
	bool options;	 /* UDP: the packet has IP options, or an extension header in IPv6 */
};

/* Writes the answer. Runs in the server's process. */
typedef void (*names_zone)(const struct names_query *q, struct names_answer *answer);

/*
 * Serves UDP and TCP on this address until the test ends. The sockets are ready when the function
 * returns. They belong to the cgroup of the caller.
 */
void names_serve(const char *address, uint16_t port, names_zone zone);

/* live_fn: the same in a child of a worker, so that the resolver belongs to the session. */
struct names_service {
	struct connection_address at;
	names_zone zone;
	int udp, tcp; /* the function makes them */
};
void names_serve_inside(const void *names_service, void *unused);

/* ---- the client, to be called in a worker --------------------------------- */

enum names_way {
	NAMES_CONNECTED,   /* UDP, with connect() */
	NAMES_UNCONNECTED, /* UDP, with sendto() */
	NAMES_TCP
};

/* An IPv4 address in a mapped IPv6 address, for an IPv6 socket. */
struct connection_address names_mapped(const char *text, uint16_t port);

/* A socket to ask this server; a TCP or connected socket is connected. */
int names_socket(enum names_way way, const struct connection_address *server);
void names_send(int fd, enum names_way way, const struct connection_address *server,
		const struct names_message *m);
/* Waits for one message. */
void names_receive(int fd, enum names_way way, struct names_message *m);

/* Asks with the id, waits for the answer, and closes the socket. */
void names_ask(enum names_way way, const struct connection_address *server, const char *name,
	       uint16_t type, uint16_t id);

/* ---- from outside of the worker -------------------------------------------- */

/* Lets the worker ask for an A record over UDP; returns the boot time before it did. */
uint64_t names_ask_by(struct live_worker *worker, const char *server, const char *name);

#endif
