/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of one session: of addresses, and of sockets. The session's own packets fill the
 * table, so everything in it has a limit.
 */
#ifndef AGENTSH_NAMES_TABLE_H
#define AGENTSH_NAMES_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "names/list.h"
#include "names/map.h"
#include "names/node.h"

/* Names per address, without the seed. */
#define AGENTSH_NAMES_PER_ADDRESS 8

/* What the table needs to know of its session. */
struct agentsh_names_session {
	uint32_t slot;
	uint32_t generation;
	uint64_t session_id;
	uint64_t lost_base;
	uint64_t attached_ns;
	uint32_t names_max;
	uint32_t names_bytes;
	struct agentsh_ebpf_address trusted[4];
	bool ended; /* detached; the lock of struct agentsh_names protects it */
};

struct agentsh_name_link {
	struct agentsh_name_link *next; /* an older name */
	struct agentsh_name_node *node;
};

struct agentsh_name_address {
	struct agentsh_map_item item; /* key: the address; tag: its family */
	uint32_t count;		      /* of links; at least 1 */
	struct agentsh_name_link newest;
};

struct agentsh_name_socket {
	struct agentsh_map_item item;	/* key: the cookie */
	uint32_t others;		/* more names of the address, at the connect() */
	struct agentsh_name_node *node; /* NULL: the address had no name */
	struct agentsh_name_node *server;
};

struct agentsh_name_table {
	struct agentsh_name_table *next; /* an earlier session of the same slot */
	struct agentsh_name_table *next_ended;
	struct agentsh_names_session session;
	const struct agentsh_hash_key *hash_key;
	bool ended;	   /* the session was detached; its slot may be another session's */
	uint64_t ended_at; /* position in the ring behind the session's last record */
	uint32_t bytes;	   /* of texts */
	uint64_t evicted;  /* names that were dropped to make room */
	struct agentsh_map addresses;
	struct agentsh_map sockets;
	struct agentsh_map flows;
	struct agentsh_list questions; /* the oldest is the first */
	uint32_t question_count;
	uint64_t parsed_until_ns; /* see agentsh_table_may_parse() */
};

struct agentsh_name_table *agentsh_table_new(const struct agentsh_names_session *session,
					     const struct agentsh_hash_key *hash_key);
void agentsh_table_free(struct agentsh_name_table *table);

/*
 * Addresses are in network order, 4 bytes of AF_INET or 16 of AF_INET6. An IPv4-mapped address
 * counts as IPv4, as in events.
 */
struct agentsh_name_address *agentsh_table_address(const struct agentsh_name_table *table,
						   uint16_t family, const void *addr);
/* Adds a name to an address; a seed replaces the earlier seed. Returns 0 or -ENOMEM. */
int agentsh_table_add(struct agentsh_name_table *table, uint16_t family, const void *addr,
		      struct agentsh_name_node *node);
void agentsh_table_remove_seed(struct agentsh_name_table *table, uint16_t family, const void *addr);

struct agentsh_name_socket *agentsh_table_socket(const struct agentsh_name_table *table,
						 uint64_t cookie);
/* Sets the names of a socket, which may be NULL. Returns 0 or -ENOMEM. */
int agentsh_table_set_socket(struct agentsh_name_table *table, uint64_t cookie,
			     struct agentsh_name_node *node, uint32_t others,
			     struct agentsh_name_node *server);
void agentsh_table_remove_socket(struct agentsh_name_table *table,
				 struct agentsh_name_socket *socket);

/*
 * Whether one more message may be parsed at this time: 2,000 per second, and 4,000 at once.
 * What is parsed counts.
 */
bool agentsh_table_may_parse(struct agentsh_name_table *table, uint64_t now_ns, size_t size);

#endif
