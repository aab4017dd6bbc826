/* SPDX-License-Identifier: Apache-2.0 */
/* How much longer connect() takes in a session, compared with ever simpler tracers. */
#include <math.h>
#include <stdio.h>

#include "record.h"
#include "report.h"
#include "run.h"
#include "scenario.h"
#include "util.h"

static const char NAME[] = "connect";

enum { NONE, EMPTY, MINIMAL, OURS, VARIANTS };
enum { MAX_PASSES = 5 };

static const struct variant *const variants[VARIANTS] = {
	[NONE] = &variant_none,
	[EMPTY] = &variant_empty,
	[MINIMAL] = &variant_minimal,
	[OURS] = &variant_ours,
};

/*
 * "read afterwards" excludes the wake-ups of the consumer. In the other loads, how often the
 * consumer falls asleep matters more than the programs.
 */
static const struct load loads[] = {
	{.name = "flat out", .calls = 40000, .passes = MAX_PASSES},
	{.name = "flat out, read afterwards",
	 .calls = 40000,
	 .passes = MAX_PASSES,
	 .read_late = true},
};

static void add_events(const struct variant *v, const char *load, unsigned long made,
		       unsigned long delivered)
{
	if (!v->consume)
		return;
	report_add(NAME, load, v->name, "delivered", "", (double)delivered);
	report_add(NAME, load, v->name, "lost", "", (double)(made - delivered));
	if (made != delivered)
		report_note("connect, %s: %s lost events; a lost event costs less than a "
			    "delivered one, so its ns do not compare (try --ring-size)",
			    load, v->name);
}

/* The results of all passes of one round, for one variant. */
struct passes {
	double p50[MAX_PASSES], mean[MAX_PASSES], p99[MAX_PASSES], rate[MAX_PASSES];
	double bpf[MAX_PASSES];
	unsigned long made, delivered;
};

/*
 * Runs all variants in turn, several times. The speed of the machine varies more slowly than one
 * pass, so that the variation affects all variants equally.
 */
static void run_passes(const struct bench *b, const struct load *load, unsigned round, bool timing,
		       struct passes all[VARIANTS])
{
	for (unsigned pass = 0; pass < load->passes; pass++) {
		for (unsigned i = 0; i < VARIANTS; i++) {
			unsigned at = (i + round + pass) % VARIANTS;
			struct passes *p = &all[at];
			struct run run;

			if (timing && !variants[at]->open)
				continue; /* no program */
			run_one(b, variants[at], load, (struct run_how){.timing = timing}, &run);
			p->p50[pass] = run.times.p50;
			p->mean[pass] = run.times.mean;
			p->p99[pass] = run.times.p99;
			p->rate[pass] = run.times.rate;
			p->made += run.times.made;
			p->delivered += run.delivered;
			if (!timing)
				continue;
			p->bpf[pass] = (double)run.prog.run_ns / (double)run.prog.runs;
			if (run.prog.runs != run.times.made)
				report_note("%s: %llu program runs for %lu calls",
					    variants[at]->name, (unsigned long long)run.prog.runs,
					    run.times.made);
		}
	}
}

/*
 * (ours - base) / (minimal - base): the median over the passes, whose runs were next to each
 * other. NAN if noise made the difference meaningless.
 */
static double over(const double *base, const double *minimal, const double *ours, unsigned passes)
{
	double ratios[MAX_PASSES];

	for (unsigned i = 0; i < passes; i++) {
		if (minimal[i] <= base[i]) {
			report_note("a round of connect has no ratio: (c) was no slower than its "
				    "base in a pass, so the noise was larger than the cost");
			return (double)NAN;
		}
		ratios[i] = (ours[i] - base[i]) / (minimal[i] - base[i]);
	}
	return median(ratios, passes);
}

static void time_calls(const struct bench *b, const struct load *load, unsigned round)
{
	struct passes all[VARIANTS] = {0};

	run_passes(b, load, round, false, all);
	/* before median(), which sorts */
	report_ratio(NAME, load->name, "p50, (d - a) / (c - a)", 1.25,
		     over(all[NONE].p50, all[MINIMAL].p50, all[OURS].p50, load->passes));
	report_ratio(NAME, load->name, "mean, (d - a) / (c - a)", (double)NAN,
		     over(all[NONE].mean, all[MINIMAL].mean, all[OURS].mean, load->passes));
	for (unsigned i = 0; i < VARIANTS; i++) {
		const char *name = variants[i]->name;
		struct passes *p = &all[i];

		report_add(NAME, load->name, name, "p50", "ns", median(p->p50, load->passes));
		report_add(NAME, load->name, name, "mean", "ns", median(p->mean, load->passes));
		report_add(NAME, load->name, name, "p99", "ns", median(p->p99, load->passes));
		report_add(NAME, load->name, name, "calls/s", "", median(p->rate, load->passes));
		add_events(variants[i], load->name, p->made, p->delivered);
	}
}

/* In separate rounds, because measuring run time slows the programs down. */
static void time_programs(const struct bench *b, const struct load *load, const char *name,
			  unsigned round)
{
	static const double zero[MAX_PASSES];
	struct passes all[VARIANTS] = {0};

	run_passes(b, load, round, true, all);
	report_ratio(NAME, name, "BPF time, (d - b) / (c - b)", (double)NAN,
		     over(all[EMPTY].bpf, all[MINIMAL].bpf, all[OURS].bpf, load->passes));
	report_ratio(NAME, name, "BPF time, d / c", load->read_late ? 1.3 : (double)NAN,
		     over(zero, all[MINIMAL].bpf, all[OURS].bpf, load->passes));
	for (unsigned i = 0; i < VARIANTS; i++) {
		if (!variants[i]->open)
			continue;
		report_add(NAME, name, variants[i]->name, "BPF time per run", "ns",
			   median(all[i].bpf, load->passes));
		add_events(variants[i], name, all[i].made, all[i].delivered);
	}
}

void scenario_connect(const struct bench *b)
{
	report_ratio(NAME, "record", "bytes of payload", 192, sizeof(struct agentsh_record));
	for (unsigned round = 0; round < b->rounds; round++) {
		for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
			struct load load = run_scaled(b, &loads[i]);

			fprintf(stderr, "bench: connect, round %u of %u, %s\n", round + 1,
				b->rounds, load.name);
			time_calls(b, &load, round);
		}
		for (size_t i = 0; i < 2; i++) {
			static const char *const names[] = {
				"kernel's run time, flat out",
				"kernel's run time, read afterwards",
			};
			struct load load = run_scaled(b, &loads[i]);

			time_programs(b, &load, names[i], round);
		}
	}
}
