/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process inside a cgroup that asks a name server on loopback. The process is the name server,
 * too, through a socket that belongs to no session.
 */
#ifndef BENCH_RESOLVER_H
#define BENCH_RESOLVER_H

#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"

enum answer_kind {
	ANSWER_NONE,
	ANSWER_A,    /* one A record */
	ANSWER_CHAIN /* one CNAME record and four A records of its target */
};

enum { CHAIN_ADDRESSES = 4 };

struct resolver {
	uint16_t port; /* of the name server */
	int server;
	pid_t pid;
	int orders, reports;
};

/* Makes the socket of the name server. */
void resolver_make(struct resolver *r);

/* Starts the process in the cgroup, on this CPU. */
void resolver_start(struct resolver *r, const struct cgroup *cg, int cpu);

/* Asks for n names, the first of which has this number. Returns when all are answered, or sent
 * for ANSWER_NONE. */
void resolver_ask(const struct resolver *r, enum answer_kind kind, uint32_t first, uint32_t n);

/* The address of a name: for ANSWER_CHAIN the nth, for ANSWER_A nth is 0. */
void resolver_address(enum answer_kind kind, uint32_t number, uint32_t nth, uint8_t addr[4]);

void resolver_stop(struct resolver *r);

#endif
