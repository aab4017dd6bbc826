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
	int (*go)(const struct way *way, int fd); /* returns an errno value, 0 or WAY_ */
	const char *to;				  /* as the process writes it */
	const char *at;				  /* as rules see it */
	uint32_t kind;				  /* of the event */
	uint16_t port;				  /* 0: the protocol has none */
	bool absent_before_6_1;			  /* the kernel runs no program for it */
};

#define WAY_ABSENT (-1)	   /* this kernel lacks the way */
#define WAY_FORBIDDEN (-2) /* this network namespace does not allow the socket */

extern const struct way ways[];
extern const size_t ways_count;

enum way_who {
	BY_PROCESS, /* which is called */
	BY_THREAD,  /* a second thread of it */
	BY_CHILD    /* a forked child in a network namespace of its own */
};

/* A way, and who tries it. */
struct way_try {
	uint32_t number;
	enum way_who who;
};

struct way_result {
	int error; /* errno value, 0, or WAY_ */
};

/* live_fn of a struct way_try and a struct way_result: goes the way and closes the socket. */
void way_go(const void *arg, void *out);
/* live_fn: enters a network namespace in which everybody may make ping sockets. */
void way_own_netns(const void *unused, void *unused_out);

/* The remote end that the rules see. */
struct agentsh_ebpf_address way_remote(const struct way *way);
/* The protocol in a rule for this way. */
uint8_t way_protocol(const struct way *way);

#endif
