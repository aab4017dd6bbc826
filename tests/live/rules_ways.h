/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which a process names a destination to the kernel. */
#ifndef RULES_WAYS_H
#define RULES_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

struct way {
	const char *name;
	int domain; /* of the socket */
	int type;
	int protocol;				  /* of the socket */
	int (*go)(const struct way *way, int fd); /* returns an errno value, 0 or WAY_ABSENT */
	const char *to;				  /* as the process writes it */
	const char *at;				  /* as rules see it */
	uint32_t kind;				  /* of the event */
	uint16_t port;				  /* 0: the protocol has none */
	bool absent_before_6_1;			  /* the kernel runs no program for it */
};

#define WAY_ABSENT (-1) /* this kernel lacks the way */

extern const struct way ways[];
extern const size_t ways_count;

/* A way, and where to try it. */
struct way_try {
	uint32_t number;
	bool thread; /* by a second thread */
};

struct way_result {
	int error; /* errno value, 0, or WAY_ABSENT */
};

/* live_fn: goes the way and closes the socket. */
void way_go(const void *way_try, void *way_result);

/* The remote end that the rules see. */
struct agentsh_ebpf_address way_remote(const struct way *way);
/* The protocol in a rule for this way. */
uint8_t way_protocol(const struct way *way);

#endif
