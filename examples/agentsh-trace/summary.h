/* SPDX-License-Identifier: Apache-2.0 */
/* Counts for the end of a trace: events, connections and distinct destinations. No I/O. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agentsh_ebpf_event;

#define SUMMARY_DESTINATIONS_MAX 65536

struct destination {
	uint8_t address[16];
	uint32_t ifindex; /* a link-local address belongs to one interface */
	uint16_t port;
	uint16_t protocol;
	uint16_t family; /* 0: a free slot */
	uint16_t zero;
};

/* A zeroed struct is empty. */
struct summary {
	uint64_t shown;
	uint64_t unchosen;    /* of a type that --events leaves out, or of an unknown kind */
	uint64_t opened;      /* outbound connections */
	uint64_t accepted;    /* inbound connections */
	uint64_t unannounced; /* TCP connections that only their packets showed */
	uint64_t failed;      /* with those that the rules denied */
	uint64_t closed;      /* connections in both directions that have ended */

	uint64_t seed;	       /* secret, so that a traced program cannot choose colliding keys */
	size_t destinations;   /* distinct by protocol, address, interface and port */
	bool destinations_cut; /* there were more than SUMMARY_DESTINATIONS_MAX */
	struct destination table[2 * SUMMARY_DESTINATIONS_MAX];
};

void summary_add(struct summary *summary, const struct agentsh_ebpf_event *event, bool shown);

/* Counts the event's destination if it is a new one. */
void summary_add_destination(struct summary *summary, const struct agentsh_ebpf_event *event);

/* Connections that have not ended; an estimate if events were lost. */
uint64_t summary_open(const struct summary *summary);

#endif
