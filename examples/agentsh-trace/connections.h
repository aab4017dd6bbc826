/* SPDX-License-Identifier: Apache-2.0 */
/* The connections whose line may still be filled in, the newest so many. No I/O. */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "people.h"

#define CONNECTIONS_MAX 1024
#define CONNECTIONS_BUCKETS 2048

struct connection {
	struct agentsh_ebpf_event first;
	uint64_t time_ns; /* Unix time of it */
	struct people_story story;
	uint64_t row;	/* of its line, terminal.h */
	int64_t due_ms; /* if held: when its line is shown without its result */
	bool held;	/* set right after it was added, or never */
	bool used;
	struct connection *newer, *older; /* of the same bucket */
};

/* All zero is empty. */
struct connections {
	uint64_t added;
	uint64_t held_from; /* none that was added earlier is held */
	struct connection *buckets[CONNECTIONS_BUCKETS];
	struct connection table[CONNECTIONS_MAX];
};

/* The one that the next add replaces; NULL: none. */
struct connection *connections_oldest(struct connections *c);

struct connection *connections_add(struct connections *c, const struct agentsh_ebpf_event *event,
				   uint64_t time_ns);

/* The socket's newest; of a datagram socket one of the event's destination, if there is one. */
struct connection *connections_find(struct connections *c, const struct agentsh_ebpf_event *event);

/* All of the socket: it has ended. */
void connections_end(struct connections *c, const struct agentsh_ebpf_event *event);

/* Of those that were held when they were added the oldest that still is; NULL: none. */
struct connection *connections_held(struct connections *c);

#endif
