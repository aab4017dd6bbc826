/* SPDX-License-Identifier: Apache-2.0 */
/* How much is lost at which rate, and in a burst, with a ring of 1 MiB. */
#include <stdio.h>

#include "record.h"
#include "report.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "loss";

enum { RING = 1 << 20 };

static const struct variant *const variants[] = {
	&variant_minimal,
	&variant_ours,
	&variant_ours_default,
};

enum { VARIANTS = sizeof(variants) / sizeof(*variants) };

static const struct load loads[] = {
	{.name = "50000/s", .rate = 50000, .calls = 15000, .spin = true},
	{.name = "100000/s", .rate = 100000, .calls = 30000, .spin = true},
	{.name = "250000/s", .rate = 250000, .calls = 75000, .spin = true},
	{.name = "500000/s", .rate = 500000, .calls = 150000, .spin = true},
	{.name = "flat out", .calls = 200000},
	/* as much as the ring holds while nobody reads */
	{.name = "burst that fills the ring", .calls = 1 << 20, .read_late = true},
};

enum { AT_TARGET = 2, BURST = 5, LOADS = sizeof(loads) / sizeof(*loads) };

static void one(const struct bench *b, const struct load *load, unsigned round)
{
	for (unsigned i = 0; i < VARIANTS; i++) {
		const struct variant *v = variants[(i + round) % VARIANTS];
		struct run run;

		/* such a burst exceeds the quota of one session */
		if (load->read_late && v == &variant_ours_default)
			continue;
		run_one(b, v, load, (struct run_how){0}, &run);
		report_add(NAME, load->name, v->name, "calls/s", "", run.times.rate);
		report_add(NAME, load->name, v->name, "made", "", (double)run.times.made);
		report_add(NAME, load->name, v->name, "lost", "",
			   (double)run.times.made - (double)run.delivered);
	}
}

static void target(const struct load *load, const struct variant *v, const char *text)
{
	report_ratio(NAME, load->name, text, 0, report_last(NAME, load->name, v->name, "lost"));
}

void scenario_loss(const struct bench *bench)
{
	struct bench b = *bench;

	b.ring_size = RING;
	for (unsigned round = 0; round < b.rounds; round++) {
		for (int i = 0; i < LOADS; i++) {
			struct load load = run_scaled(&b, &loads[i]);

			fprintf(stderr, "bench: loss, round %u of %u, %s\n", round + 1, b.rounds,
				load.name);
			one(&b, &load, round);
		}
		target(&loads[AT_TARGET], &variant_ours, "events lost of (d)");
		target(&loads[AT_TARGET], &variant_ours_default,
		       "events lost of (d), ring_quota 25");
		target(&loads[BURST], &variant_ours, "events lost of (d)");
	}
}
