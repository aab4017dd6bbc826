/* SPDX-License-Identifier: Apache-2.0 */
/* A process inside a cgroup that calls connect() again and again. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdbool.h>

#include "cgroup.h"

struct load {
	const char *name;
	unsigned rate;	     /* connects a second; 0: flat out */
	unsigned long calls; /* that are timed, a pass */
	unsigned passes;     /* a round; its figure is their median */
	bool read_late;	     /* the consumer begins when the worker has ended */
};

/* Before the timed calls: sockets' first use, caches, the consumer awake. */
enum { WORKER_WARM = 500 };

struct worker_times {
	double p50, p99, mean; /* ns a call */
	double rate;	       /* calls a second, in truth */
	unsigned long made;    /* all calls, the untimed ones too */
};

void worker_run(const struct cgroup *cg, int cpu, const struct load *load,
		struct worker_times *times);

#endif
