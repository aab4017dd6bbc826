/* SPDX-License-Identifier: Apache-2.0 */
/* The newest connections, whose rows may still change. No I/O. */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "format_text.h"

#define CONNECTIONS_MAX 1024
#define CONNECTIONS_BUCKETS 2048

struct connection {
	struct agentsh_ebpf_event first;
	bool named;
	struct agentsh_ebpf_name name;
	uint64_t time_ns; /* Unix time of the first event */
	struct format_text_progress progress;
	uint64_t row;	/* number of its row on the terminal */
	int64_t due_ms; /* while held: when its row is written without a result */
	bool held;	/* no row has been written yet; set right after adding, or never */
	bool used;
	struct connection *newer, *older; /* in the same bucket */
};

/* A zeroed struct is empty. */
struct connections {
	uint64_t added;
	uint64_t held_from; /* no connection that was added earlier is held */
	struct connection *buckets[CONNECTIONS_BUCKETS];
	struct connection table[CONNECTIONS_MAX];
};

/* The connection that the next call of connections_add() replaces; NULL: none. */
struct connection *connections_oldest(struct connections *c);

struct connection *connections_add(struct connections *c, const struct agentsh_ebpf_event *event,
				   uint64_t time_ns);

/* Keeps a copy of the name, which replaces an earlier one. */
void connections_name(struct connection *connection, const struct agentsh_ebpf_name *name);

/*
 * The newest connection of the event's socket. A datagram socket has one connection per
 * destination; the one with the event's destination is preferred.
 */
struct connection *connections_find(struct connections *c, const struct agentsh_ebpf_event *event);

/*
 * Notes what the event tells about an earlier connect(2) of its datagram socket that is
 * silent so far. Returns the connection if it is no longer silent; NULL: nothing changed.
 */
struct connection *connections_settle(struct connections *c,
				      const struct agentsh_ebpf_event *event);

/* Drops all connections of the event's socket, because the socket has ended. */
void connections_end(struct connections *c, const struct agentsh_ebpf_event *event);

/* The oldest connection that is held; NULL: none. */
struct connection *connections_held(struct connections *c);

#endif
