/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP connection from socket() to close(), to a listener that does not accept: how much longer
 * the whole connection takes if it is reported.
 */
#include <math.h>
#include <stdio.h>

#include "report.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "tcp";
static const char FIGURE[] = "connect to close p50";

enum { NONE, SOCKOPS, CONNECT, CONNECT_SOCKOPS, LIFECYCLE, VARIANTS, PASSES = 5 };

static const struct {
	const char *name;
	const struct variant *variant, *under;
} variants[VARIANTS] = {
	[NONE] = {"(a) no program", &variant_none, NULL},
	[SOCKOPS] = {"(s) empty sockops program", &variant_sockops, NULL},
	[CONNECT] = {"(d) agentsh-ebpf, CONNECT", &variant_ours, NULL},
	[CONNECT_SOCKOPS] = {"(d) CONNECT and (s)", &variant_ours, &variant_sockops},
	[LIFECYCLE] = {"(d) agentsh-ebpf, LIFECYCLE", &variant_ours_lifecycle, NULL},
};

static const struct load loads[] = {
	/* the backlog of listen(2) has no room for more */
	{.name = "flat out", .calls = 1500, .passes = PASSES, .tcp = true},
	{.name = "1000/s", .rate = 1000, .calls = 400, .passes = 1, .tcp = true},
};

static void one_load(const struct bench *b, const struct load *full, unsigned round)
{
	struct load load = run_scaled(b, full);
	double p50[VARIANTS][PASSES], events[VARIANTS] = {0};

	for (unsigned i = 0; i < VARIANTS * load.passes; i++) {
		unsigned at = (i + round) % VARIANTS;
		struct run run;

		run_one(b, variants[at].variant, &load,
			(struct run_how){.under = variants[at].under}, &run);
		p50[at][i / VARIANTS] = run.times.p50;
		events[at] = (double)run.delivered / (double)run.times.made;
	}
	for (unsigned i = 0; i < VARIANTS; i++) {
		report_add(NAME, load.name, variants[i].name, FIGURE, "ns",
			   median(p50[i], load.passes));
		if (variants[i].variant->consume)
			report_add(NAME, load.name, variants[i].name, "events per connection", "",
				   events[i]);
	}
}

static void added(const char *load, const char *text, int with, int without)
{
	report_ratio(NAME, load, text, (double)NAN,
		     report_median(NAME, load, variants[with].name, FIGURE) -
			     report_median(NAME, load, variants[without].name, FIGURE));
}

void scenario_tcp(const struct bench *b)
{
	for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
		for (unsigned round = 0; round < b->rounds; round++) {
			fprintf(stderr, "bench: tcp, round %u of %u, %s\n", round + 1, b->rounds,
				loads[i].name);
			one_load(b, &loads[i], round);
		}
		added(loads[i].name, "ns added by CONNECT", CONNECT, NONE);
		added(loads[i].name, "ns added by (s)", SOCKOPS, NONE);
		added(loads[i].name, "ns added by LIFECYCLE to CONNECT", LIFECYCLE, CONNECT);
		added(loads[i].name, "ns added by LIFECYCLE to CONNECT and (s)", LIFECYCLE,
		      CONNECT_SOCKOPS);
	}
}
