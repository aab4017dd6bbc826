/* SPDX-License-Identifier: Apache-2.0 */
/* A process inside a cgroup that sends packets to itself over loopback. */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include "scenario.h"
#include "cgroup.h"

enum traffic_kind {
	TRAFFIC_BULK,	    /* one TCP connection: writes, and a second process that reads */
	TRAFFIC_TURNS,	    /* one TCP connection: a request and its response */
	TRAFFIC_DATAGRAMS,  /* UDP: send() and recv() of connected sockets */
	TRAFFIC_REQUESTS,   /* HTTP requests over one connection; size is not used */
	TRAFFIC_CONNECTIONS /* the same with a connection for each request */
};

struct traffic {
	const char *name;
	enum traffic_kind kind;
	size_t size;	       /* bytes of a call */
	unsigned batch;	       /* calls that are timed together */
	unsigned long batches; /* per pass */
};

struct traffic_times {
	double ns;     /* of a call: the median of the batches */
	double cpu_ns; /* CPU time of the whole process, per packet; HTTP: per request */
	double calls;  /* all calls, those before the first batch included */
};

/*
 * Both ends are in the cgroup. Only the reader of TRAFFIC_BULK has a process, and a CPU, of its
 * own: otherwise the kernel delivers a packet within the call that sends it, and nothing sleeps.
 */
void traffic_run(const struct bench *b, const struct cgroup *cg, const struct traffic *traffic,
		 struct traffic_times *times);

/* The traffic with as many batches as the options say, at least one. */
struct traffic traffic_scaled(const struct bench *b, const struct traffic *full);

#endif
