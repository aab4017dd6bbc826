/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs that see each packet cost, compared with empty ones at the same places, and
 * with programs that see none of the packets, because they belong to another cgroup.
 */
#include <math.h>
#include <stdio.h>

#include "passes.h"
#include "report.h"
#include "util.h"

static const char NAME[] = "packets";

enum { NONE, EMPTY, OURS, OURS_TRAFFIC, EMPTY_ELSEWHERE, TRAFFIC_ELSEWHERE, VARIANTS };

static const struct subject variants[VARIANTS] = {
	[NONE] = {.name = "(a) no program", .variant = &variant_none},
	[EMPTY] = {.name = "(e) empty packet programs", .variant = &variant_packets, .timed = true},
	[OURS] = {.name = "(d) agentsh-ebpf, no TRAFFIC", .variant = &variant_ours_tracked},
	[OURS_TRAFFIC] = {.name = "(t) agentsh-ebpf, TRAFFIC",
			  .variant = &variant_ours_traffic,
			  .timed = true},
	[EMPTY_ELSEWHERE] = {.name = "(x) as (e), another cgroup",
			     .variant = &variant_packets,
			     .elsewhere = true},
	[TRAFFIC_ELSEWHERE] = {.name = "(o) as (t), another cgroup",
			       .variant = &variant_ours_traffic,
			       .elsewhere = true,
			       .timed = true},
};

static const struct {
	struct traffic traffic;
	const char *timed; /* name of the rounds with the kernel's run time */
	double target;	   /* BPF time, t / e */
} loads[] = {
	{{"TCP, writes of 128 KiB", TRAFFIC_BULK, 128 << 10, 64, 100},
	 "TCP, writes of 128 KiB, kernel's run time",
	 1.5},
	{{"TCP, turns of 64 bytes", TRAFFIC_TURNS, 64, 50, 100},
	 "TCP, turns of 64 bytes, kernel's run time",
	 (double)NAN},
	{{"UDP, 64 bytes", TRAFFIC_DATAGRAMS, 64, 100, 200},
	 "UDP, 64 bytes, kernel's run time",
	 (double)NAN},
	{{"UDP, 1024 bytes", TRAFFIC_DATAGRAMS, 1024, 100, 200},
	 "UDP, 1024 bytes, kernel's run time",
	 (double)NAN},
	{{"UDP, 16384 bytes", TRAFFIC_DATAGRAMS, 16384, 100, 100},
	 "UDP, 16384 bytes, kernel's run time",
	 (double)NAN},
};

static void add_ratio(const char *load, const char *text, double target, const double *ours,
		      const double *base)
{
	report_ratio(NAME, load, text, target, passes_ratio(ours, base));
}

static void time_calls(const struct bench *b, const struct traffic *t, unsigned round)
{
	struct passes all[VARIANTS] = {0};

	passes_run(b, NAME, variants, VARIANTS, t, round, false, all);
	/* before median(), which sorts */
	add_ratio(t->name, "time, e / a", (double)NAN, all[EMPTY].ns, all[NONE].ns);
	add_ratio(t->name, "time, d / a", (double)NAN, all[OURS].ns, all[NONE].ns);
	add_ratio(t->name, "time, t / e", (double)NAN, all[OURS_TRAFFIC].ns, all[EMPTY].ns);
	add_ratio(t->name, "time, o / x", (double)NAN, all[TRAFFIC_ELSEWHERE].ns,
		  all[EMPTY_ELSEWHERE].ns);
	add_ratio(t->name, "CPU, t / e", (double)NAN, all[OURS_TRAFFIC].cpu_ns, all[EMPTY].cpu_ns);
	for (unsigned i = 0; i < VARIANTS; i++) {
		double ns = median(all[i].ns, PASSES);

		report_add(NAME, t->name, variants[i].name, "time per call", "ns", ns);
		report_add(NAME, t->name, variants[i].name, "CPU per packet", "ns",
			   median(all[i].cpu_ns, PASSES));
		report_add(NAME, t->name, variants[i].name, "rate", "MB/s",
			   (double)t->size * 1e3 / ns);
	}
}

static void check_runs(const struct traffic *t, const struct passes all[VARIANTS])
{
	const struct passes *ours = &all[OURS_TRAFFIC];

	for (int end = 0; end < ENDS; end++)
		if (t->kind == TRAFFIC_DATAGRAMS && ours->runs[end] != ours->calls)
			report_failure("packets: %.0f program runs for %.0f datagrams",
				       ours->runs[end], ours->calls);
}

/* In separate rounds, because measuring run time slows the programs down. */
static void time_programs(const struct bench *b, const struct traffic *t, const char *name,
			  double target, unsigned round)
{
	static const char *const texts[ENDS] = {"BPF time, t / e, egress",
						"BPF time, t / e, ingress"};
	static const char *const figures[ENDS] = {"egress per run", "ingress per run"};
	struct passes all[VARIANTS] = {0};
	struct passes *ours = &all[OURS_TRAFFIC], *empty = &all[EMPTY];

	passes_run(b, NAME, variants, VARIANTS, t, round, true, all);
	check_runs(t, all);
	add_ratio(name, "BPF time, t / e", target, ours->both_ns, empty->both_ns);
	for (int end = 0; end < ENDS; end++)
		add_ratio(name, texts[end], (double)NAN, ours->run_ns[end], empty->run_ns[end]);
	report_ratio(NAME, name, "program runs of (o)", 0,
		     all[TRAFFIC_ELSEWHERE].runs[EGRESS] + all[TRAFFIC_ELSEWHERE].runs[INGRESS]);
	for (unsigned i = EMPTY; i <= OURS_TRAFFIC; i += OURS_TRAFFIC - EMPTY) {
		report_add(NAME, name, variants[i].name, "BPF time per run", "ns",
			   median(all[i].both_ns, PASSES));
		for (int end = 0; end < ENDS; end++)
			report_add(NAME, name, variants[i].name, figures[end], "ns",
				   median(all[i].run_ns[end], PASSES));
	}
}

void scenario_packets(const struct bench *b)
{
	for (unsigned round = 0; round < b->rounds; round++)
		for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
			const struct traffic t = traffic_scaled(b, &loads[i].traffic);

			fprintf(stderr, "bench: packets, round %u of %u, %s\n", round + 1,
				b->rounds, t.name);
			time_calls(b, &t, round);
			time_programs(b, &t, loads[i].timed, loads[i].target, round);
		}
}
