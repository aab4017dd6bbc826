/* SPDX-License-Identifier: Apache-2.0 */
/* What one more session costs: time at the first and at the last of many, memory. */
#include <stdio.h>
#include <stdlib.h>

#include "attacher.h"
#include "footprint.h"
#include "report.h"
#include "scenario.h"
#include "util.h"

static const char NAME[] = "attach";
static const char FIRST[] = "1st session";
static char many_name[32];

static const struct attacher *const attachers[] = {
	&attacher_bare_own,
	&attacher_bare_all,
	&attacher_ours,
};

enum {
	ATTACHERS = sizeof(attachers) / sizeof(*attachers),
	TIMES = BENCH_ATTACH_TIMES,
};

/* Each time a cgroup to which this tracer has not been attached before, as a host's is. */
static void time_one(const struct bench *b, const char *load, const struct attacher *a, void *state,
		     const struct cgroup *fresh)
{
	uint32_t attach[TIMES], detach[TIMES], both[TIMES];
	unsigned n = TIMES * b->percent / 100;

	n = n < 1 ? 1 : n > TIMES ? TIMES : n;
	for (unsigned i = 0; i < n; i++) {
		uint64_t t0 = now_ns(), t1;
		void *session = a->attach(state, &fresh[i]);

		t1 = now_ns();
		a->detach(state, session);
		both[i] = (uint32_t)(now_ns() - t0);
		attach[i] = (uint32_t)(t1 - t0);
		detach[i] = both[i] - attach[i];
	}
	report_add(NAME, load, a->name, "attach", "us", percentile(attach, n, 50) / 1e3);
	report_add(NAME, load, a->name, "detach", "us", percentile(detach, n, 50) / 1e3);
	report_add(NAME, load, a->name, "both", "us", percentile(both, n, 50) / 1e3);
}

static void add_footprint(const struct attacher *a, const struct footprint *was,
			  const struct footprint *is, unsigned n)
{
	static const char load[] = "footprint";

	report_add(NAME, load, a->name, "heap a session", "B", (is->heap - was->heap) / n);
	report_add(NAME, load, a->name, "RSS a session", "B", (is->resident - was->resident) / n);
	report_add(NAME, load, a->name, "kernel a session", "B", (is->kernel - was->kernel) / n);
	report_add(NAME, load, a->name, "fds a session", "", (is->fds - was->fds) / n);
	report_add(NAME, load, a->name, "threads a session", "", (is->threads - was->threads) / n);
	report_add(NAME, load, a->name, "programs loaded", "", is->programs - was->programs);
}

static void one_round(const struct bench *b, const struct attacher *a, struct cgroup *cgs)
{
	void *state = a->open();
	unsigned many = b->sessions - 1; /* that are there before the last one */
	void **sessions = xrealloc(NULL, b->sessions * sizeof(*sessions));
	struct footprint was, is;

	time_one(b, FIRST, a, state, &cgs[many]);

	was = footprint_now();
	for (unsigned i = 0; i < many; i++)
		sessions[i] = a->attach(state, &cgs[i]);
	is = footprint_now();
	if (many)
		add_footprint(a, &was, &is, many);

	time_one(b, many_name, a, state, &cgs[many + TIMES]);
	for (unsigned i = 0; i < many; i++)
		a->detach(state, sessions[i]);
	free(sessions);
	a->close(state);
}

static void add_ratio(const char *load, const struct attacher *bare, const char *figure,
		      const char *text, double target)
{
	report_ratio(NAME, load, text, target,
		     report_last(NAME, load, attacher_ours.name, figure) /
			     report_last(NAME, load, bare->name, figure));
}

static void add_ratios(const char *load)
{
	add_ratio(load, &attacher_bare_all, "attach", "attach, ours / bare, one storage", 1.5);
	add_ratio(load, &attacher_bare_all, "both", "both, ours / bare, one storage", 1.5);
	add_ratio(load, &attacher_bare_own, "attach", "attach, ours / bare, storage a hook", 0);
	add_ratio(load, &attacher_bare_own, "both", "both, ours / bare, storage a hook", 0);
}

void scenario_attach(const struct bench *b)
{
	unsigned count = b->sessions - 1 + 2 * TIMES;
	struct cgroup *cgs = xrealloc(NULL, count * sizeof(*cgs));

	snprintf(many_name, sizeof(many_name), "session number %u", b->sessions);
	for (unsigned i = 0; i < count; i++)
		cgroup_make(&cgs[i], b->cgroup, NAME, i);
	for (unsigned round = 0; round < b->rounds; round++) {
		fprintf(stderr, "bench: attach, round %u of %u\n", round + 1, b->rounds);
		for (unsigned i = 0; i < ATTACHERS; i++)
			one_round(b, attachers[(i + round) % ATTACHERS], cgs);
		add_ratios(FIRST);
		add_ratios(many_name);
	}
	for (unsigned i = 0; i < count; i++)
		cgroup_remove(&cgs[i]);
	free(cgs);
}
