/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects at a fixed rate: how much longer a call takes, how late its event reaches the reader,
 * and how much CPU time the reader uses.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "report.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "paced";

enum { NONE, QUIET, MINIMAL, OURS, OURS_10MS, VARIANTS };

static const struct variant *const variants[VARIANTS] = {
	[NONE] = &variant_none, [QUIET] = &variant_quiet,	  [MINIMAL] = &variant_minimal,
	[OURS] = &variant_ours, [OURS_10MS] = &variant_ours_10ms,
};

enum { AT_10, AT_100, AT_1000, AT_10000, AT_100000, LOADS };

/* Many short passes, so that variations of the machine affect all variants equally. */
static const struct load loads[LOADS] = {
	[AT_10] = {.name = "10/s", .rate = 10, .calls = 20, .passes = 1, .cold = true},
	[AT_100] = {.name = "100/s", .rate = 100, .calls = 150, .passes = 1, .cold = true},
	[AT_1000] = {.name = "1000/s", .rate = 1000, .calls = 1000, .passes = 1, .cold = true},
	[AT_10000] = {.name = "10000/s", .rate = 10000, .calls = 15000, .passes = 1, .cold = true},
	[AT_100000] = {.name = "100000/s",
		       .rate = 100000,
		       .calls = 50000,
		       .passes = 1,
		       .cold = true,
		       .spin = true},
};

static double of(int load, int variant, const char *figure)
{
	return report_last(NAME, loads[load].name, variants[variant]->name, figure);
}

static double all_of(int load, int variant, const char *figure)
{
	return report_median(NAME, loads[load].name, variants[variant]->name, figure);
}

static void add(const struct load *load, const struct variant *v, const struct run *run,
		struct delays *d)
{
	report_add(NAME, load->name, v->name, "connect p50", "ns", run->times.p50);
	report_add(NAME, load->name, v->name, "connect p99", "ns", run->times.p99);
	if (!v->consume || v == &variant_quiet)
		return;
	report_add(NAME, load->name, v->name, "delay p50", "us", percentile(d->ns, d->n, 50) / 1e3);
	report_add(NAME, load->name, v->name, "delay p99", "us", percentile(d->ns, d->n, 99) / 1e3);
	report_add(NAME, load->name, v->name, "reader CPU per event", "us",
		   (double)run->cpu_ns / 1e3 / (double)run->delivered);
	report_add(NAME, load->name, v->name, "lost", "",
		   (double)run->times.made - (double)run->delivered);
}

static void one_load(const struct bench *b, const struct load *full, unsigned round)
{
	struct load load = run_scaled(b, full);
	struct delays d = {.room = load.calls};

	d.ns = xrealloc(NULL, d.room * sizeof(*d.ns));
	for (unsigned i = 0; i < VARIANTS; i++) {
		const struct variant *v = variants[(i + round) % VARIANTS];
		struct run run;

		d.n = 0;
		run_one(b, v, &load, (struct run_how){.delays = &d}, &run);
		add(&load, v, &run, &d);
	}
	free(d.ns);
}

static void cpu_ratio(int load, int variant, double target)
{
	static const char *const texts[] = {
		[OURS] = "reader CPU per event, d / c",
		[OURS_10MS] = "reader CPU per event, d with 10 ms / c",
	};
	static const char figure[] = "reader CPU per event";

	report_ratio(NAME, loads[load].name, texts[variant], target,
		     of(load, variant, figure) / of(load, MINIMAL, figure));
}

static void add_ratios(void)
{
	for (int i = 0; i < LOADS; i++)
		report_ratio(NAME, loads[i].name, "delay p50, d / c",
			     i == AT_10 ? 1.5 : (double)NAN,
			     of(i, OURS, "delay p50") / of(i, MINIMAL, "delay p50"));
	report_ratio(NAME, loads[AT_10000].name, "delay p50 of (d), us", 1500,
		     of(AT_10000, OURS, "delay p50"));
	report_ratio(NAME, loads[AT_10000].name, "delay p99 of (d), us", 3000,
		     of(AT_10000, OURS, "delay p99"));
	cpu_ratio(AT_10, OURS, 1.2);
	cpu_ratio(AT_100, OURS, 1.2);
	cpu_ratio(AT_1000, OURS, (double)NAN);
	cpu_ratio(AT_10000, OURS, 1.0 / 3);
	cpu_ratio(AT_10000, OURS_10MS, 0.1);
}

/* From the medians, because the differences within one round are smaller than the noise. */
static void add_cost(int load, double target)
{
	double none = all_of(load, NONE, "connect p50");

	report_ratio(NAME, loads[load].name, "connect p50, (d - a) / (q - a), of the medians",
		     target,
		     (all_of(load, OURS, "connect p50") - none) /
			     (all_of(load, QUIET, "connect p50") - none));
}

void scenario_paced(const struct bench *b)
{
	for (unsigned round = 0; round < b->rounds; round++) {
		for (int i = 0; i < LOADS; i++) {
			fprintf(stderr, "bench: paced, round %u of %u, %s\n", round + 1, b->rounds,
				loads[i].name);
			one_load(b, &loads[i], round);
		}
		add_ratios();
	}
	add_cost(AT_1000, (double)NAN);
	add_cost(AT_10000, 1.5);
	add_cost(AT_100000, (double)NAN);
}
