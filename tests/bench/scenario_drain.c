/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a full ring at once: the cost of an event for the reader, without waiting. */
#include <stdio.h>

#include "report.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "drain";
static const char LOAD[] = "flat out, read afterwards";
static const char FIGURE[] = "reader CPU per event";

static const struct variant *const variants[] = {
	&variant_minimal,
	&variant_ours,
	&variant_ours_read,
	&variant_ours_read_small,
};

enum { VARIANTS = sizeof(variants) / sizeof(*variants), PASSES = 5 };

static double drain(const struct bench *b, const struct variant *v, const struct load *load)
{
	struct worker_times times;
	struct cgroup cg;
	void *state = v->open(b->ring_size);
	unsigned long taken = 0;
	uint64_t begin;
	double took;
	long n;

	cgroup_make(&cg, b->cgroup, "worker", 0);
	v->attach(state, cg.fd);
	worker_run(&cg, b->cpu_worker, load, &times);
	begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while ((n = v->consume(state, 0)) > 0)
		taken += (unsigned long)n;
	took = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin);
	if (n < 0 || taken != times.made)
		die("%s: %lu of %lu events read", v->name, taken, times.made);
	v->close(state);
	cgroup_remove(&cg);
	return took / (double)taken;
}

void scenario_drain(const struct bench *b)
{
	const struct load full = {.calls = 40000, .read_late = true};
	struct load load = run_scaled(b, &full);
	double took[VARIANTS][PASSES];

	pin(b->cpu_consumer);
	for (unsigned round = 0; round < b->rounds; round++) {
		fprintf(stderr, "bench: drain, round %u of %u\n", round + 1, b->rounds);
		for (unsigned i = 0; i < PASSES * VARIANTS; i++) {
			unsigned at = (i + round) % VARIANTS;

			took[at][i / VARIANTS] = drain(b, variants[at], &load);
		}
		for (unsigned i = 0; i < VARIANTS; i++)
			report_add(NAME, LOAD, variants[i]->name, FIGURE, "ns",
				   median(took[i], PASSES));
		report_ratio(NAME, LOAD, "callback, d / c", 2,
			     report_last(NAME, LOAD, variant_ours.name, FIGURE) /
				     report_last(NAME, LOAD, variant_minimal.name, FIGURE));
		report_ratio(NAME, LOAD, "read of 32, d / c", 2,
			     report_last(NAME, LOAD, variant_ours_read_small.name, FIGURE) /
				     report_last(NAME, LOAD, variant_minimal.name, FIGURE));
		report_ratio(NAME, LOAD, "read of 256, d / c", 2,
			     report_last(NAME, LOAD, variant_ours_read.name, FIGURE) /
				     report_last(NAME, LOAD, variant_minimal.name, FIGURE));
	}
	unpin();
}
