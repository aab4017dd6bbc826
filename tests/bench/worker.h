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
	bool cold;	     /* no calls before the timed ones */
	bool spin;	     /* looks at the clock instead of sleeping between the calls */
	bool tcp;	     /* a TCP connection from socket() to close(); none is accepted */
};

/* Before the timed calls: sockets' first use, caches, the consumer awake. */
enum { WORKER_WARM = 500 };

struct worker_times {
	double p50, p99, mean; /* ns a call */
	double rate;	       /* calls a second, in truth */
	unsigned long made;    /* all calls, the untimed ones too */
	uint64_t cpu_ns;       /* the worker's own */
};

void worker_run(const struct cgroup *cg, int cpu, const struct load *load,
		struct worker_times *times);

/*
 * The same with the worker as a program of its own, started by these words
 * (strace's); returns what all of it used of the processors but for the worker.
 */
uint64_t worker_run_under(char *const *words, const struct cgroup *cg, int cpu, int cpu_words,
			  const struct load *load, struct worker_times *times);

/* What that program does: --worker and what worker_run_under() wrote behind it. */
int worker_main(const char *arguments);

#endif
