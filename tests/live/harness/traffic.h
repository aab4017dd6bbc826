/* SPDX-License-Identifier: Apache-2.0 */
/* Many numbered events from one worker: the number is in the destination's address. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdint.h>

#include "live.h"

enum { TRAFFIC_CONNECT, TRAFFIC_SEND };

#define TRAFFIC_SOCKETS 2 /* of each worker; they stay open */

struct traffic {
	uint32_t how;	 /* TRAFFIC_ */
	uint32_t socket; /* which one */
	uint32_t first;	 /* number of the first event, from 1 */
	uint32_t count;
	uint32_t repeat; /* each that often, one after the other; 0: once */
	uint32_t port;	 /* 0: the port "discard" */
};

#define CONNECTS(...) ((struct traffic){.how = TRAFFIC_CONNECT, __VA_ARGS__})
#define SENDS(...) ((struct traffic){.how = TRAFFIC_SEND, __VA_ARGS__})

/* live_fn: takes a struct traffic; IPv4 datagram sockets on loopback. */
void traffic_make(const void *traffic, void *unused);

/* The same on a worker, and back when all of it has been done. */
void traffic_of(struct live_worker *worker, struct traffic traffic);
/* The same, but back at once; live_worker_receive(worker, NULL, 0) waits. */
void traffic_begin(struct live_worker *worker, struct traffic traffic);

/* The event's number. */
uint32_t traffic_number(const struct agentsh_ebpf_event *event);

/* live_seen from a place on: these numbers, in order, all of this session. */
void traffic_expect(size_t from, uint64_t session_id, uint32_t first, uint32_t count);

#endif
