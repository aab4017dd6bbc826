/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name and where it is from. Nodes do not change, and are freed when nothing refers to them,
 * so an event keeps the name that it had. The lock of struct agentsh_names protects the counts.
 */
#ifndef AGENTSH_NAMES_NODE_H
#define AGENTSH_NAMES_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agentsh_ebpf_address;
struct agentsh_ebpf_event;

struct agentsh_name_node {
	uint32_t refs;
	uint32_t links; /* references out of its session's table */
	uint64_t time_ns;
	uint64_t ttl_ns;		  /* UINT64_MAX: without end */
	struct agentsh_name_node *server; /* synthetic: what connections name themselves */
	uint32_t asker_tgid;
	uint32_t asker_start_ms; /* with which the number of a process is unique; 0: unknown */
	uint16_t resolver_family;
	uint16_t resolver_port;
	uint8_t resolver[16];
	uint16_t flags;	  /* AGENTSH_EBPF_NAME_FLAG_ */
	uint8_t source;	  /* AGENTSH_EBPF_NAME_ */
	uint8_t one;	  /* owner is asked */
	uint8_t owner_at; /* in text */
	char text[];	  /* asked and owner, with a NUL byte each */
};

/* What a node is made of. In the name of a server, asked is that name, and owner its ALPN. */
struct agentsh_name_fields {
	uint32_t source;
	uint32_t flags;
	uint32_t asker_tgid;
	uint64_t asker_start_ns; /* process_start_ns */
	uint64_t time_ns;
	uint64_t ttl_ns;
	const struct agentsh_ebpf_address *resolver; /* NULL: none */
	const char *asked;			     /* at most 255 bytes */
	const char *owner;			     /* at most 255 bytes */
};

/* Returns a node with one reference, or NULL. */
struct agentsh_name_node *agentsh_node_new(const struct agentsh_name_fields *fields);
/* These take NULL, too. */
struct agentsh_name_node *agentsh_node_ref(struct agentsh_name_node *node);
void agentsh_node_unref(struct agentsh_name_node *node);

/* Whether the process of an event asked for the name. */
bool agentsh_node_is_of(const struct agentsh_name_node *node,
			const struct agentsh_ebpf_event *event);

const char *agentsh_node_asked(const struct agentsh_name_node *node);
const char *agentsh_node_owner(const struct agentsh_name_node *node);
/* Bytes of its texts. */
uint32_t agentsh_node_bytes(const struct agentsh_name_node *node);

#endif
