/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The summary by destination: connections, bytes and durations. A destination is the name that
 * a process asked for, whatever its addresses, or an address without a name. No I/O.
 */
#ifndef DESTINATIONS_H
#define DESTINATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "durations.h"
#include "open_sockets.h"

struct agentsh_ebpf_event;

#define DESTINATIONS_MAX 1024 /* rows; further destinations share one row */
#define DESTINATIONS_SLOTS 2048

#define DESTINATION_NAME_MAX 256
/* destination_key.family of a name. */
#define DESTINATION_NAMED UINT16_MAX

struct destination_key {
	char process[16]; /* zero behind the name */
	uint8_t address[16];
	uint32_t ifindex; /* a link-local address belongs to one interface */
	uint16_t port;	  /* 0 if inbound: each connection of a peer has another one */
	uint16_t protocol;
	/* 0: the row of all further destinations; DESTINATION_NAMED: address and ifindex are 0 */
	uint16_t family;
	uint8_t inbound;
	uint8_t unattributed; /* the process is unknown */
};

struct destination_row {
	struct destination_key key;
	char name[DESTINATION_NAME_MAX]; /* "" unless it is a row of a name */
	/* The address that the name had; family 0: several. Without a name, that of the key. */
	struct {
		uint8_t address[16];
		uint32_t ifindex;
		uint16_t family;
	} at;
	uint64_t netns_cookie;	/* of its first event, for the name of the interface */
	uint64_t latest_socket; /* cookie */
	uint64_t connections;	/* with those that failed */
	uint64_t failed;	/* with those that the rules denied */
	uint64_t bytes_sent, bytes_received;
	struct durations durations; /* of the connections that were not refused */
};

/* A zeroed struct is empty. */
struct destinations {
	uint32_t hooks; /* active AGENTSH_EBPF_HOOK_ bits */
	uint64_t seed;
	uint32_t rows;
	uint16_t slots[DESTINATIONS_SLOTS]; /* number of a row plus 1; 0: free */
	struct destination_row table[DESTINATIONS_MAX + 1];
	struct open_sockets sockets;
};

/*
 * Whether the event tells that a socket has a destination. With
 * AGENTSH_EBPF_HOOK_TRAFFIC, connect(2) of a datagram socket does not, because the socket
 * may never send; a call that the rules denied names its destination all the same.
 */
bool destinations_named_by(const struct agentsh_ebpf_event *event, uint32_t hooks);

/* Whether the bytes of this protocol are counted with these hooks. */
bool destinations_count_bytes(uint16_t protocol, uint32_t hooks);

/* known: the name of the remote end; NULL: it has none. */
void destinations_add(struct destinations *destinations, const struct agentsh_ebpf_event *event,
		      const char *known);

/* Call once, after the last event: adds the durations of the connections that are open. */
void destinations_end(struct destinations *destinations);

/* All rows that count something, largest first. Returns their number. */
size_t destinations_sorted(const struct destinations *destinations,
			   const struct destination_row *sorted[DESTINATIONS_MAX + 1]);

#endif
