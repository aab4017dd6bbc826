/* SPDX-License-Identifier: Apache-2.0 */
/* What a process names in the first data of a connection. */
#ifndef AGENTSH_NAMES_SERVER_NAME_H
#define AGENTSH_NAMES_SERVER_NAME_H

struct agentsh_ebpf_event;
struct agentsh_name_table;
struct agentsh_names;
struct agentsh_packet;

/* Takes a packet of kind SERVER_NAME; the caller holds the lock of names. */
void agentsh_server_name_packet(struct agentsh_names *names, struct agentsh_name_table *table,
				const struct agentsh_ebpf_event *event,
				const struct agentsh_packet *packet);

#endif
