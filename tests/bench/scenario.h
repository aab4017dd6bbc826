/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scenario adds to the report, one value a figure and round. A further one is
 * a file with a function like these and a line in main.c.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include <stddef.h>

/* Sessions that are timed one after another, a round and variant. */
enum { BENCH_ATTACH_TIMES = 200 };

struct bench {
	const char *cgroup; /* the bench's own */
	unsigned rounds;
	unsigned percent; /* of the full number of calls a round */
	size_t ring_size;
	unsigned sessions;	 /* the attach scenario's many */
	const char *peer_go;	 /* a program: tests/bench/peers/; NULL: there is none, */
	const char *peer_no_go;	 /* and why not */
	const char *peer_object; /* the kernel program that it loads */
	int cpu_worker;
	int cpu_consumer;
};

void scenario_connect(const struct bench *bench);
void scenario_paced(const struct bench *bench);
void scenario_drain(const struct bench *bench);
void scenario_loss(const struct bench *bench);
void scenario_idle(const struct bench *bench);
void scenario_crowd(const struct bench *bench);
void scenario_tcp(const struct bench *bench);
void scenario_attach(const struct bench *bench);
void scenario_open(const struct bench *bench);
void scenario_peers(const struct bench *bench); /* only if it is asked for */

/* What the figures depend on, into the report. */
void conditions(const struct bench *bench);

#endif
