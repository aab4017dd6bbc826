/* SPDX-License-Identifier: Apache-2.0 */
/* What datagram sockets do, and the events that are expected of them. */
#ifndef FIRST_DATA_H
#define FIRST_DATA_H

#include "counted.h"

#define WANTS_MAX 24

struct want {
	uint64_t cookie;
	uint32_t kind, flags;
	uint32_t tgid; /* 0: no process */
	bool has_local;
	struct connection_address local, remote;
};

/* The expected events, in the order of each socket. */
struct wants {
	uint32_t count;
	struct want list[WANTS_MAX];
};

struct first_data_case {
	const char *name;
	void (*go)(struct wants *w);
};

extern const struct first_data_case first_data_cases[];
extern const size_t first_data_cases_count;

extern enum connection_family first_data_family;
extern struct counted first_data_sockets; /* of the process */

#endif
