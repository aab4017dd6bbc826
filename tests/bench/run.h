/* SPDX-License-Identifier: Apache-2.0 */
/* One worker in a session of one variant, with its reader. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "progs.h"
#include "scenario.h"
#include "variant.h"
#include "worker.h"

struct run_how {
	bool timing;		     /* the kernel keeps time of the programs */
	struct delays *delays;	     /* NULL: not taken */
	const struct variant *under; /* attached too, read by nobody; may be NULL */
};

struct run {
	struct worker_times times;
	struct prog_time prog;
	unsigned long delivered;
	uint64_t lost;	 /* UINT64_MAX: the variant does not count */
	uint64_t cpu_ns; /* the reader's */
};

void run_one(const struct bench *b, const struct variant *v, const struct load *load,
	     struct run_how how, struct run *run);

/* With the calls of --percent, and no more than the ring holds where nobody reads. */
struct load run_scaled(const struct bench *b, const struct load *load);

#endif
