/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP connections of a session whose data the library puts together. */
#ifndef AGENTSH_NAMES_FLOWS_H
#define AGENTSH_NAMES_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "names/map.h"

struct agentsh_name_table;
struct agentsh_stream;

/* Per session; then the flow used longest ago is dropped. */
#define AGENTSH_FLOWS 64

/* One direction of a connection. */
struct agentsh_flow {
	struct agentsh_map_item item; /* key: the cookie; tag: the kind of record */
	uint32_t packets;	      /* taken */
	bool done;		      /* nothing more is wanted of it */
	bool whole;		      /* all data since the connection began are here */
	struct agentsh_stream *stream;
};

/* Finds or makes a flow; NULL: out of memory. */
struct agentsh_flow *agentsh_flow_get(struct agentsh_name_table *table, uint64_t cookie,
				      uint32_t kind);
/* Starts again with the next packet. */
void agentsh_flow_restart(struct agentsh_flow *flow);
/* Frees the data. */
void agentsh_flow_finish(struct agentsh_flow *flow);
/* Removes all flows of a socket. */
void agentsh_flows_close(struct agentsh_name_table *table, uint64_t cookie);
void agentsh_flows_free(struct agentsh_name_table *table);

#endif
