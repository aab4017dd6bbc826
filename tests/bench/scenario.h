/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scenario adds one value per figure and round to the report. A new scenario is a file with such
 * a function, and a line in main.c.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include <stddef.h>

/* Sessions that are timed one after another, per round and variant. */
enum { BENCH_ATTACH_TIMES = 200 };

struct bench {
	const char *cgroup; /* made by run.sh for this program */
	unsigned rounds;
	unsigned percent; /* of the full number of calls per round */
	size_t ring_size;
	unsigned sessions;	 /* number of sessions in the scenario attach */
	const char *peer_go;	 /* program built from tests/bench/peers/, or NULL, */
	const char *peer_no_go;	 /* and then the reason */
	const char *peer_object; /* kernel program that peer_go loads */
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
void scenario_packets(const struct bench *bench);
void scenario_names(const struct bench *bench);
void scenario_answers(const struct bench *bench);
void scenario_rules(const struct bench *bench);
void scenario_egress(const struct bench *bench);
void scenario_attach(const struct bench *bench);
void scenario_open(const struct bench *bench);
void scenario_peers(const struct bench *bench); /* only with --peers */

/* Adds to the report what the figures depend on. */
void conditions(const struct bench *bench);

#endif
