/* SPDX-License-Identifier: Apache-2.0 */
/* A process with open connections of its own, which it uses step by step, and counts. */
#ifndef PROGRESS_MOVES_H
#define PROGRESS_MOVES_H

#include "counted.h"

#define MOVES_SESSION 8

enum moves_what {
	MOVES_TCP = 1,	/* bulk data both ways with IPv4 and IPv6 */
	MOVES_UDP = 2,	/* 50 datagrams both ways */
	MOVES_HALF = 4, /* the TCP clients end their direction, and the servers go on */
	MOVES_CLOSE = 8 /* closes everything */
};

/*
 * live_fn: opens the sockets. Those of TCP and UDP are named; the sockets whose name begins with
 * "idle" are never used.
 */
void moves_open(const void *unused, void *counted);
/* live_fn: does what the MOVES_ bits say; everything has arrived and is acknowledged then. */
void moves_make(const void *what, void *counted);

bool moves_is_tcp(const struct counts *s);

#endif
