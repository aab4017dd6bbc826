/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs that see each packet cost, compared with empty ones at the same places, and
 * with programs that see none of the packets, because they belong to another cgroup.
 */
#include <linux/bpf.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "progs.h"
#include "report.h"
#include "traffic.h"
#include "util.h"
#include "variant.h"

static const char NAME[] = "packets";

enum { NONE, EMPTY, OURS, OURS_TRAFFIC, EMPTY_ELSEWHERE, TRAFFIC_ELSEWHERE, VARIANTS };
enum { EGRESS, INGRESS, ENDS };
enum { PASSES = 3 };

static const struct {
	const char *name;
	const struct variant *variant;
	bool elsewhere; /* attached to a cgroup without sockets */
} variants[VARIANTS] = {
	[NONE] = {"(a) no program", &variant_none, false},
	[EMPTY] = {"(e) empty packet programs", &variant_packets, false},
	[OURS] = {"(d) agentsh-ebpf, no TRAFFIC", &variant_ours_tracked, false},
	[OURS_TRAFFIC] = {"(t) agentsh-ebpf, TRAFFIC", &variant_ours_traffic, false},
	[EMPTY_ELSEWHERE] = {"(x) as (e), another cgroup", &variant_packets, true},
	[TRAFFIC_ELSEWHERE] = {"(o) as (t), another cgroup", &variant_ours_traffic, true},
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

/* The results of all passes of one round, for one variant. */
struct passes {
	double ns[PASSES], cpu_ns[PASSES];
	double run_ns[ENDS][PASSES]; /* per program run */
	double both_ns[PASSES];	     /* per program run, of either program */
	double calls, runs[ENDS];
};

static const enum bpf_attach_type ends[ENDS] = {BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET_INGRESS};

static void add_run_time(const struct cgroup *cg, unsigned pass, struct passes *p)
{
	double ns = 0, runs = 0;

	for (int end = 0; end < ENDS; end++) {
		struct prog_time time = progs_time(cg->fd, ends[end]);

		p->run_ns[end][pass] = (double)time.run_ns / (double)time.runs;
		p->runs[end] += (double)time.runs;
		ns += (double)time.run_ns;
		runs += (double)time.runs;
	}
	p->both_ns[pass] = ns / runs;
}

static void run_one(const struct bench *b, unsigned at, const struct traffic *t, bool timing,
		    unsigned pass, struct passes *p)
{
	const struct variant *v = variants[at].variant;
	struct cgroup cg, other;
	struct traffic_times times;
	void *state = NULL;
	int stats = -1;

	cgroup_make(&cg, b->cgroup, NAME, 0);
	cgroup_make(&other, b->cgroup, NAME, 1);
	if (v->open) {
		state = v->open(b->ring_size);
		v->attach(state, variants[at].elsewhere ? other.fd : cg.fd);
	}
	if (timing)
		stats = progs_timing_on();
	traffic_run(b, &cg, t, &times);
	p->ns[pass] = times.ns;
	p->cpu_ns[pass] = times.cpu_ns;
	p->calls += times.calls;
	if (timing) {
		add_run_time(variants[at].elsewhere ? &other : &cg, pass, p);
		close(stats);
	}
	if (state)
		v->close(state);
	cgroup_remove(&cg);
	cgroup_remove(&other);
}

/* Whether the variant has packet programs, which the kernel can time. */
static bool is_timed(unsigned at)
{
	return at == EMPTY || at == OURS_TRAFFIC || at == TRAFFIC_ELSEWHERE;
}

/* Runs all variants in turn, several times, so that a slow change of speed affects all alike. */
static void run_passes(const struct bench *b, const struct traffic *t, unsigned round, bool timing,
		       struct passes all[VARIANTS])
{
	for (unsigned pass = 0; pass < PASSES; pass++)
		for (unsigned i = 0; i < VARIANTS; i++) {
			unsigned at = (i + round + pass) % VARIANTS;

			if (!timing || is_timed(at))
				run_one(b, at, t, timing, pass, &all[at]);
		}
}

/* The median over the passes, whose runs were next to each other. */
static void add_ratio(const char *load, const char *text, double target, const double *ours,
		      const double *base)
{
	double ratios[PASSES];

	for (unsigned i = 0; i < PASSES; i++)
		ratios[i] = ours[i] / base[i];
	report_ratio(NAME, load, text, target, median(ratios, PASSES));
}

static void time_calls(const struct bench *b, const struct traffic *t, unsigned round)
{
	struct passes all[VARIANTS] = {0};

	run_passes(b, t, round, false, all);
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

	run_passes(b, t, round, true, all);
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
			struct traffic t = loads[i].traffic;

			t.batches = t.batches * b->percent / 100;
			if (!t.batches)
				t.batches = 1;
			fprintf(stderr, "bench: packets, round %u of %u, %s\n", round + 1,
				b->rounds, t.name);
			time_calls(b, &t, round);
			time_programs(b, &t, loads[i].timed, loads[i].target, round);
		}
}
