/* SPDX-License-Identifier: Apache-2.0 */
/* Many numbered events from one worker: the destination address contains the number. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdint.h>

#include "live.h"

enum { TRAFFIC_CONNECT, TRAFFIC_SEND };

#define TRAFFIC_SOCKETS 2 /* per worker; they stay open */

struct traffic {
	uint32_t how;	 /* TRAFFIC_ */
	uint32_t socket; /* index below TRAFFIC_SOCKETS */
	uint32_t first;	 /* number of the first event, from 1 */
	uint32_t count;
	uint32_t repeat; /* how often to make each call in a row; 0: once */
	uint32_t port;	 /* 0: discard */
};

#define CONNECTS(...) ((struct traffic){.how = TRAFFIC_CONNECT, __VA_ARGS__})
#define SENDS(...) ((struct traffic){.how = TRAFFIC_SEND, __VA_ARGS__})

/* live_fn: makes the calls of a struct traffic with IPv4 datagram sockets on loopback. */
void traffic_make(const void *traffic, void *unused);

/* Runs traffic_make() on the worker and waits for it. */
void traffic_of(struct live_worker *worker, struct traffic traffic);
/* Starts traffic_make() on the worker; live_worker_receive(worker, NULL, 0) waits for it. */
void traffic_begin(struct live_worker *worker, struct traffic traffic);

/* The event's number. */
uint32_t traffic_number(const struct agentsh_ebpf_event *event);

/* Checks that live_seen holds, from this index on, exactly these numbers of this session. */
void traffic_expect(size_t from, uint64_t session_id, uint32_t first, uint32_t count);

#endif
