/* SPDX-License-Identifier: Apache-2.0 */
/* What DNS messages say: questions are remembered, and their answers give names. */
#ifndef AGENTSH_NAMES_DNS_H
#define AGENTSH_NAMES_DNS_H

struct agentsh_ebpf_event;
struct agentsh_name_table;
struct agentsh_names;
struct agentsh_packet;

/* Takes a packet of kind DNS_QUERY or DNS_ANSWER; the caller holds the lock of names. */
void agentsh_dns_packet(struct agentsh_names *names, struct agentsh_name_table *table,
			const struct agentsh_ebpf_event *event,
			const struct agentsh_packet *packet);

#endif
