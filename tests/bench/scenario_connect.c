/* SPDX-License-Identifier: Apache-2.0 */
/* What connect() takes longer in a session, against less and less of a tracer. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "consumer.h"
#include "progs.h"
#include "record.h"
#include "report.h"
#include "scenario.h"
#include "util.h"
#include "worker.h"

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
 * "read afterwards" leaves the wake-ups of the consumer out: with the others,
 * how often it falls asleep weighs more than the programs do.
 */
static const struct load loads[] = {
	{"flat out", 0, 40000, MAX_PASSES, false},
	{"flat out, read afterwards", 0, 40000, MAX_PASSES, true},
	{"10000/s", 10000, 10000, 1, false},
	{"1000/s", 1000, 1000, 1, false},
};

struct run {
	struct worker_times times;
	struct prog_time prog;
	unsigned long delivered;
};

/*
 * One program attached anywhere makes every connect() of the machine take the
 * hooks' way, so without others (a) is what it says and with them it is not.
 */
static void look_for_others(void)
{
	if (progs_at_sock_addr())
		report_note("connect: programs of others were loaded while (a) ran; where they are "
			    "attached, (a) is some 200 ns too high and the ratio with it");
}

static struct run run_one(const struct bench *b, const struct variant *v, const struct load *load,
			  bool timing)
{
	struct consumer consumer = {.variant = v, .cpu = b->cpu_consumer};
	struct cgroup cg;
	struct run run = {0};
	uint64_t lost;
	int stats = -1;

	cgroup_make(&cg, b->cgroup, NAME, 0);
	if (v->open) {
		consumer.state = v->open(b->ring_size);
		v->attach(consumer.state, cg.fd);
	}
	if (v->consume && !load->read_late)
		consumer_start(&consumer);
	if (timing)
		stats = progs_timing_on();
	if (!v->open)
		look_for_others();
	worker_run(&cg, b->cpu_worker, load, &run.times);
	if (!v->open)
		look_for_others();
	if (timing) {
		run.prog = progs_time(cg.fd);
		close(stats);
	}
	if (v->consume) {
		if (load->read_late)
			consumer_start(&consumer);
		consumer_stop(&consumer);
		run.delivered = consumer.delivered;
		lost = v->lost(consumer.state);
		if (lost != UINT64_MAX && run.delivered + lost != run.times.made)
			report_note("%s: delivered %lu + lost %llu is not the %lu calls made",
				    v->name, run.delivered, (unsigned long long)lost,
				    run.times.made);
	}
	if (v->open)
		v->close(consumer.state);
	cgroup_remove(&cg);
	return run;
}

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

/* What the passes of one round gave for one variant. */
struct passes {
	double p50[MAX_PASSES], mean[MAX_PASSES], p99[MAX_PASSES], rate[MAX_PASSES];
	double bpf[MAX_PASSES];
	unsigned long made, delivered;
};

/*
 * All variants in turn, several times: the machine's own ups and downs are
 * longer than one pass, so that they meet all variants alike.
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
			run = run_one(b, variants[at], load, timing);
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
 * (ours - base) against (minimal - base): the median of the passes' own, whose
 * three runs were next to each other. NAN where noise made less of it.
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
	/* before the medians, which sort */
	report_ratio(NAME, load->name, "p50, (d - a) / (c - a)", load->rate ? 0 : 1.25,
		     over(all[NONE].p50, all[MINIMAL].p50, all[OURS].p50, load->passes));
	report_ratio(NAME, load->name, "mean, (d - a) / (c - a)", 0,
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

/* Rounds of their own: keeping time costs the programs time. */
static void time_programs(const struct bench *b, const struct load *load, const char *name,
			  unsigned round)
{
	static const double zero[MAX_PASSES];
	struct passes all[VARIANTS] = {0};

	run_passes(b, load, round, true, all);
	report_ratio(NAME, name, "BPF time, (d - b) / (c - b)", 0,
		     over(all[EMPTY].bpf, all[MINIMAL].bpf, all[OURS].bpf, load->passes));
	report_ratio(NAME, name, "BPF time, d / c", 0,
		     over(zero, all[MINIMAL].bpf, all[OURS].bpf, load->passes));
	for (unsigned i = 0; i < VARIANTS; i++) {
		if (!variants[i]->open)
			continue;
		report_add(NAME, name, variants[i]->name, "BPF time a run", "ns",
			   median(all[i].bpf, load->passes));
		add_events(variants[i], name, all[i].made, all[i].delivered);
	}
}

static struct load scaled(const struct bench *b, const struct load *load)
{
	/* what surely fits: no reader takes anything out */
	unsigned long fits = b->ring_size / AGENTSH_RECORD_ROOM(struct agentsh_record) - 1;
	struct load l = *load;

	l.calls = l.calls * b->percent / 100;
	if (fits < 2 * WORKER_WARM)
		die("the ring is too small for a benchmark");
	if (l.read_late && l.calls > fits - WORKER_WARM)
		l.calls = fits - WORKER_WARM;
	if (!l.calls)
		l.calls = 1;
	return l;
}

void scenario_connect(const struct bench *b)
{
	for (unsigned round = 0; round < b->rounds; round++) {
		for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
			struct load load = scaled(b, &loads[i]);

			fprintf(stderr, "bench: connect, round %u of %u, %s\n", round + 1,
				b->rounds, load.name);
			time_calls(b, &load, round);
		}
		for (size_t i = 0; i < 2; i++) {
			static const char *const names[] = {
				"kernel's run time, flat out",
				"kernel's run time, read afterwards",
			};
			struct load load = scaled(b, &loads[i]);

			time_programs(b, &load, names[i], round);
		}
	}
}
