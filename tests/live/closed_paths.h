/* SPDX-License-Identifier: Apache-2.0 */
/* Ways in which a connection ends, as functions that end one and record what to expect. */
#ifndef CLOSED_PATHS_H
#define CLOSED_PATHS_H

#include "connection.h"

/* Both ends of an established connection. */
struct pair {
	struct connection *connection;
	int client, server;
};

struct closed_path {
	const char *name;
	void (*go)(struct pair *p);
	/* bytes that are not counted without BTF, see agentsh_ebpf_events(7) */
	unsigned int fewer_sent, fewer_received;
};

extern const struct closed_path closed_paths[];
extern const size_t closed_path_count;

#endif
