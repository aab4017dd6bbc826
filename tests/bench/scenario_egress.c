/* SPDX-License-Identifier: Apache-2.0 */
/* What judging each sent packet by rules costs, compared with an empty program at the same place.
 */
#include <math.h>
#include <stdio.h>

#include "passes.h"
#include "report.h"
#include "util.h"

static const char NAME[] = "egress";

enum { NONE, EMPTY, UNRULED, FEW, MANY, VARIANTS };

static const struct subject variants[VARIANTS] = {
	[NONE] = {.name = "(a) no program", .variant = &variant_none},
	[EMPTY] = {.name = "(e) empty egress program", .variant = &variant_egress},
	[UNRULED] = {.name = "(u) agentsh-ebpf, EGRESS, no rules", .variant = &variant_ours_egress},
	[FEW] = {.name = "(r) agentsh-ebpf, EGRESS, 1,000 rules",
		 .variant = &variant_ours_egress_1000},
	[MANY] = {.name = "(s) agentsh-ebpf, EGRESS, 10,000 rules",
		  .variant = &variant_ours_egress_10000},
};

static const struct {
	struct traffic traffic;
	double target; /* added by 1,000 rules, per time that the empty program adds */
} loads[] = {
	{{"UDP, 64 bytes", TRAFFIC_DATAGRAMS, 64, 100, 400}, 2.5},
	{{"TCP, turns of 64 bytes", TRAFFIC_TURNS, 64, 50, 200}, (double)NAN},
	{{"TCP, writes of 128 KiB", TRAFFIC_BULK, 128 << 10, 64, 100}, (double)NAN},
};

/* The median over the passes of the time that one variant adds, per time that another one adds. */
static double added(const struct passes *ours, const struct passes *empty,
		    const struct passes *none)
{
	double mine[PASSES], least[PASSES];

	for (int i = 0; i < PASSES; i++) {
		mine[i] = ours->ns[i] - none->ns[i];
		least[i] = empty->ns[i] - none->ns[i];
	}
	return median(least, PASSES) > 0 ? median(mine, PASSES) / median(least, PASSES)
					 : (double)NAN;
}

static void time_load(const struct bench *b, const struct traffic *t, double target, unsigned round)
{
	struct passes all[VARIANTS] = {0};

	passes_run(b, NAME, variants, VARIANTS, t, round, false, all);
	/* before median(), which sorts */
	report_ratio(NAME, t->name, "time added, u / e", (double)NAN,
		     added(&all[UNRULED], &all[EMPTY], &all[NONE]));
	report_ratio(NAME, t->name, "time added, r / e", target,
		     added(&all[FEW], &all[EMPTY], &all[NONE]));
	report_ratio(NAME, t->name, "time added, s / e", (double)NAN,
		     added(&all[MANY], &all[EMPTY], &all[NONE]));
	for (unsigned i = 0; i < VARIANTS; i++)
		report_add(NAME, t->name, variants[i].name, "time per call", "ns",
			   median(all[i].ns, PASSES));
}

void scenario_egress(const struct bench *b)
{
	for (unsigned round = 0; round < b->rounds; round++)
		for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
			const struct traffic t = traffic_scaled(b, &loads[i].traffic);

			fprintf(stderr, "bench: egress, round %u of %u, %s\n", round + 1, b->rounds,
				t.name);
			time_load(b, &t, loads[i].target, round);
		}
}
