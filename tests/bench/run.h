/* SPDX-License-Identifier: Apache-2.0 */
/* One worker in a session of one variant, with a reader. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "progs.h"
#include "scenario.h"
#include "variant.h"
#include "worker.h"

struct run_how {
	bool timing;		     /* let the kernel measure the run time of the programs */
	struct delays *delays;	     /* NULL: delays are not recorded */
	const struct variant *under; /* also attached, but not read; may be NULL */
};

struct run {
	struct worker_times times;
	struct prog_time prog;
	unsigned long delivered;
	uint64_t lost;	 /* UINT64_MAX: the variant does not count losses */
	uint64_t cpu_ns; /* CPU time of the reader */
};

void run_one(const struct bench *b, const struct variant *v, const struct load *load,
	     struct run_how how, struct run *run);

/* The load with the calls of --percent, and not more than the ring holds if nobody reads. */
struct load run_scaled(const struct bench *b, const struct load *load);

#endif
