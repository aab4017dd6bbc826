/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs of the hooks DNS and SERVER_NAME cost: for each packet, for an HTTP request,
 * and for a connect(). No packet is a DNS message; HTTP requests have a server name.
 */
#include <math.h>
#include <stdio.h>

#include "passes.h"
#include "report.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "names";

enum { NONE, EMPTY, OURS_EMPTY, DNS, BOTH, SUBJECTS };

static const struct subject subjects[SUBJECTS] = {
	[NONE] = {.name = "(a) no program", .variant = &variant_none},
	[EMPTY] = {.name = "(e) empty packet programs", .variant = &variant_packets, .timed = true},
	[OURS_EMPTY] = {.name = "(f) agentsh-ebpf, no names, and (e)",
			.variant = &variant_ours_tracked,
			.under = &variant_packets},
	[DNS] = {.name = "(n) agentsh-ebpf, DNS", .variant = &variant_ours_dns, .timed = true},
	[BOTH] = {.name = "(m) agentsh-ebpf, DNS and SERVER_NAME",
		  .variant = &variant_ours_names,
		  .timed = true},
};

static const struct {
	struct traffic traffic;
	const char *timed; /* name of the rounds with the kernel's run time */
	bool aimed;	   /* the time of a call has a target */
	bool bulk;	   /* the kernel's run time has a target, too */
} loads[] = {
	{{"TCP, writes of 128 KiB", TRAFFIC_BULK, 128 << 10, 64, 100},
	 "TCP, writes of 128 KiB, kernel's run time",
	 true,
	 true},
	{{"UDP, 64 bytes", TRAFFIC_DATAGRAMS, 64, 100, 200},
	 "UDP, 64 bytes, kernel's run time",
	 false,
	 false},
	{{"HTTP, one connection", TRAFFIC_REQUESTS, 0, 50, 100},
	 "HTTP, one connection, kernel's run time",
	 true,
	 false},
	{{"HTTP, a connection per request", TRAFFIC_CONNECTIONS, 0, 10, 100},
	 "HTTP, a connection per request, kernel's run time",
	 true,
	 false},
};

/* (ours - base), in ns per call: the median over the passes. */
static double added(const struct passes *ours, const struct passes *base)
{
	double ns[PASSES];

	for (unsigned i = 0; i < PASSES; i++)
		ns[i] = ours->ns[i] - base->ns[i];
	return median(ns, PASSES);
}

/*
 * What packet programs of the library add, in terms of what empty ones add: the median over the
 * passes. NAN if the noise was larger than the cost.
 */
static double over(const struct passes *ours, const struct passes *all)
{
	double base = added(&all[EMPTY], &all[NONE]);

	return base > 0 ? 1 + added(ours, &all[OURS_EMPTY]) / base : (double)NAN;
}

/* The targets of DNS, and of DNS and SERVER_NAME, compared with empty programs */
static const double DNS_TARGET = 1.1, BOTH_TARGET = 1.7;

static void time_calls(const struct bench *b, const struct traffic *t, bool aimed, unsigned round)
{
	struct passes all[SUBJECTS] = {0};
	const char *load = t->name;

	passes_run(b, NAME, subjects, SUBJECTS, t, round, false, all);
	/* before median(), which sorts */
	report_ratio(NAME, load, "time, e / a", (double)NAN,
		     passes_ratio(all[EMPTY].ns, all[NONE].ns));
	report_ratio(NAME, load, "time, n / e", aimed ? DNS_TARGET : (double)NAN,
		     passes_ratio(all[DNS].ns, all[EMPTY].ns));
	report_ratio(NAME, load, "time, m / e", aimed ? BOTH_TARGET : (double)NAN,
		     passes_ratio(all[BOTH].ns, all[EMPTY].ns));
	report_ratio(NAME, load, "time, n / f", (double)NAN,
		     passes_ratio(all[DNS].ns, all[OURS_EMPTY].ns));
	report_ratio(NAME, load, "time, m / f", (double)NAN,
		     passes_ratio(all[BOTH].ns, all[OURS_EMPTY].ns));
	report_ratio(NAME, load, "time added, n / e", (double)NAN, over(&all[DNS], all));
	report_ratio(NAME, load, "time added, m / e", (double)NAN, over(&all[BOTH], all));
	report_ratio(NAME, load, "ns added by (e) to (a)", (double)NAN,
		     added(&all[EMPTY], &all[NONE]));
	report_ratio(NAME, load, "ns added by (n) to (f)", (double)NAN,
		     added(&all[DNS], &all[OURS_EMPTY]));
	report_ratio(NAME, load, "ns added by (m) to (f)", (double)NAN,
		     added(&all[BOTH], &all[OURS_EMPTY]));
	for (unsigned i = 0; i < SUBJECTS; i++) {
		report_add(NAME, load, subjects[i].name, "time per call", "ns",
			   median(all[i].ns, PASSES));
		report_add(NAME, load, subjects[i].name, "CPU per packet or request", "ns",
			   median(all[i].cpu_ns, PASSES));
	}
}

/* In separate rounds, because measuring run time slows the programs down. */
static void time_programs(const struct bench *b, const struct traffic *t, const char *load,
			  bool bulk, unsigned round)
{
	static const char *const figures[ENDS] = {"egress per run", "ingress per run"};
	struct passes all[SUBJECTS] = {0};

	passes_run(b, NAME, subjects, SUBJECTS, t, round, true, all);
	report_ratio(NAME, load, "BPF time, n / e", bulk ? DNS_TARGET : (double)NAN,
		     passes_ratio(all[DNS].both_ns, all[EMPTY].both_ns));
	report_ratio(NAME, load, "BPF time, m / e", bulk ? BOTH_TARGET : (double)NAN,
		     passes_ratio(all[BOTH].both_ns, all[EMPTY].both_ns));
	for (unsigned i = 0; i < SUBJECTS; i++) {
		if (!subjects[i].timed)
			continue;
		report_add(NAME, load, subjects[i].name, "BPF time per run", "ns",
			   median(all[i].both_ns, PASSES));
		for (int end = 0; end < ENDS; end++)
			report_add(NAME, load, subjects[i].name, figures[end], "ns",
				   median(all[i].run_ns[end], PASSES));
	}
}

enum { MAX_PASSES = 5 };

static const struct {
	const char *name;
	const struct variant *variant;
} connectors[] = {
	{"(d) agentsh-ebpf, no names", &variant_ours_tracked},
	{"(n) agentsh-ebpf, DNS", &variant_ours_dns},
	{"(m) agentsh-ebpf, DNS and SERVER_NAME", &variant_ours_names},
};

enum { CONNECTORS = sizeof(connectors) / sizeof(*connectors) };

static const struct load connects[] = {
	{.name = "connect(), read afterwards",
	 .calls = 40000,
	 .passes = MAX_PASSES,
	 .read_late = true},
	/* the backlog of listen(2) has no room for more */
	{.name = "TCP, connect() to close()", .calls = 1500, .passes = MAX_PASSES, .tcp = true},
};

static void time_connects(const struct bench *b, const struct load *full, unsigned round)
{
	double p50[CONNECTORS][MAX_PASSES];
	struct load load = run_scaled(b, full);

	for (unsigned i = 0; i < CONNECTORS * load.passes; i++) {
		unsigned at = (i + round) % CONNECTORS;
		struct run run;

		run_one(b, connectors[at].variant, &load, (struct run_how){0}, &run);
		p50[at][i / CONNECTORS] = run.times.p50;
	}
	for (unsigned i = 0; i < CONNECTORS; i++)
		report_add(NAME, load.name, connectors[i].name, "p50", "ns",
			   median(p50[i], load.passes));
	for (unsigned i = 1; i < CONNECTORS; i++)
		report_ratio(NAME, load.name,
			     i == 1 ? "p50, DNS / no names" : "p50, both / no names", 1.05,
			     report_last(NAME, load.name, connectors[i].name, "p50") /
				     report_last(NAME, load.name, connectors[0].name, "p50"));
}

void scenario_names(const struct bench *b)
{
	for (unsigned round = 0; round < b->rounds; round++) {
		for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
			const struct traffic t = traffic_scaled(b, &loads[i].traffic);

			fprintf(stderr, "bench: names, round %u of %u, %s\n", round + 1, b->rounds,
				t.name);
			time_calls(b, &t, loads[i].aimed, round);
			time_programs(b, &t, loads[i].timed, loads[i].bulk, round);
		}
		for (size_t i = 0; i < sizeof(connects) / sizeof(*connects); i++)
			time_connects(b, &connects[i], round);
	}
}
