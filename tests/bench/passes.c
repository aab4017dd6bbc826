/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/bpf.h>
#include <unistd.h>

#include "passes.h"
#include "progs.h"
#include "report.h"
#include "util.h"

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

static void *begin(const struct bench *b, const struct variant *v, int cgroup_fd)
{
	void *state = NULL;

	if (v && v->open) {
		state = v->open(b->ring_size);
		v->attach(state, cgroup_fd);
	}
	return state;
}

static void end(const char *scenario, const struct subject *s, const struct variant *v, void *state)
{
	if (!state)
		return;
	if (v->lost && v->lost(state))
		report_note("%s: %s lost events, and a lost event costs less than a recorded one",
			    scenario, s->name);
	v->close(state);
}

static void run_one(const struct bench *b, const char *scenario, const struct subject *s,
		    const struct traffic *t, bool timing, unsigned pass, struct passes *p)
{
	struct cgroup cg, other;
	struct traffic_times times;
	void *state, *under;
	int stats = -1;

	cgroup_make(&cg, b->cgroup, scenario, 0);
	cgroup_make(&other, b->cgroup, scenario, 1);
	state = begin(b, s->variant, s->elsewhere ? other.fd : cg.fd);
	under = begin(b, s->under, cg.fd);
	if (timing)
		stats = progs_timing_on();
	traffic_run(b, &cg, t, &times);
	p->ns[pass] = times.ns;
	p->cpu_ns[pass] = times.cpu_ns;
	p->calls += times.calls;
	if (timing) {
		add_run_time(s->elsewhere ? &other : &cg, pass, p);
		close(stats);
	}
	end(scenario, s, s->under, under);
	end(scenario, s, s->variant, state);
	cgroup_remove(&cg);
	cgroup_remove(&other);
}

void passes_run(const struct bench *b, const char *scenario, const struct subject *subjects,
		unsigned n, const struct traffic *t, unsigned round, bool timing,
		struct passes *all)
{
	for (unsigned pass = 0; pass < PASSES; pass++)
		for (unsigned i = 0; i < n; i++) {
			unsigned at = (i + round + pass) % n;

			if (!timing || subjects[at].timed)
				run_one(b, scenario, &subjects[at], t, timing, pass, &all[at]);
		}
}

double passes_ratio(const double *ours, const double *base)
{
	double ratios[PASSES];

	for (unsigned i = 0; i < PASSES; i++)
		ratios[i] = ours[i] / base[i];
	return median(ratios, PASSES);
}
