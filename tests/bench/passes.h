/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same traffic with one tracer after another, several times in a round, so that a slow change
 * of the machine's speed affects all of them alike. Nobody reads the events.
 */
#ifndef BENCH_PASSES_H
#define BENCH_PASSES_H

#include <stdbool.h>

#include "traffic.h"
#include "variant.h"

enum { PASSES = 3 };
enum { EGRESS, INGRESS, ENDS };

struct subject {
	const char *name;
	const struct variant *variant;
	const struct variant *under; /* also attached; may be NULL */
	bool elsewhere;		     /* attached to a cgroup without sockets */
	bool timed;		     /* has packet programs, which the kernel can time */
};

/* The results of all passes of one round, for one subject. */
struct passes {
	double ns[PASSES], cpu_ns[PASSES];
	double run_ns[ENDS][PASSES]; /* per program run */
	double both_ns[PASSES];	     /* per program run, of either program */
	double calls, runs[ENDS];
};

/* With timing: only the subjects that are timed, and the kernel measures their programs. */
void passes_run(const struct bench *b, const char *scenario, const struct subject *subjects,
		unsigned n, const struct traffic *traffic, unsigned round, bool timing,
		struct passes *all);

/* The median over the passes, whose runs were next to each other. */
double passes_ratio(const double *ours, const double *base);

#endif
