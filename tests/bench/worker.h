/* SPDX-License-Identifier: Apache-2.0 */
/* A process inside a cgroup that calls connect() in a loop. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdbool.h>

#include "cgroup.h"

struct load {
	const char *name;
	unsigned rate;	     /* connects per second; 0: as fast as possible */
	unsigned long calls; /* timed calls per pass */
	unsigned passes;     /* passes per round, whose median is the figure of the round */
	bool read_late;	     /* the consumer starts when the worker has ended */
	bool cold;	     /* no warm-up calls */
	bool spin;	     /* polls the clock between the calls instead of sleeping */
	bool tcp;	     /* TCP connections from socket() to close(); none is accepted */
};

/* Warm-up calls: first use of the socket, caches, waking the consumer. */
enum { WORKER_WARM = 500 };

struct worker_times {
	double p50, p99, mean; /* ns per call */
	double rate;	       /* measured calls per second */
	unsigned long made;    /* all calls, warm-up included */
	uint64_t cpu_ns;       /* CPU time of the worker */
};

void worker_run(const struct cgroup *cg, int cpu, const struct load *load,
		struct worker_times *times);

/*
 * The same with the worker as a separate program under a command (strace). Returns the CPU time
 * of the command without that of the worker.
 */
uint64_t worker_run_under(char *const *words, const struct cgroup *cg, int cpu, int cpu_words,
			  const struct load *load, struct worker_times *times);

/* The separate program: runs for --worker with the argument from worker_run_under(). */
int worker_main(const char *arguments);

#endif
