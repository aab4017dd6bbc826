/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of one more session: the time to attach the first and later sessions, memory, and
 * whether the events of a session cost more while many are attached.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "attacher.h"
#include "footprint.h"
#include "record.h"
#include "session_state.h"
#include "report.h"
#include "scenario.h"
#include "util.h"
#include "worker.h"

static const char NAME[] = "attach";
static const char FOOTPRINT[] = "footprint";

static const struct attacher *const attachers[] = {
	&attacher_bare_own,
	&attacher_bare_all,
	&attacher_ours,
};

enum {
	ATTACHERS = sizeof(attachers) / sizeof(*attachers),
	TIMES = BENCH_ATTACH_TIMES,
	MAX_SIZES = 4,
};

/* The timed sessions: the 1st, 100th, 1,000th and the last of --sessions. */
static struct size {
	unsigned number;
	char name[32];
} sizes[MAX_SIZES];
static unsigned size_count;

static void choose_sizes(unsigned sessions)
{
	static const unsigned usual[] = {1, 100, 1000};

	size_count = 0;
	for (unsigned i = 0; i < MAX_SIZES; i++) {
		unsigned number = i < 3 && usual[i] < sessions ? usual[i] : sessions;

		sizes[size_count].number = number;
		snprintf(sizes[size_count].name, sizeof(sizes[size_count].name),
			 "session number %u", number);
		size_count++;
		if (number == sessions)
			break;
	}
}

/* As in a host, every cgroup is new to the tracer. */
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

/* Nobody reads, so the ring needs room for the calls of all sizes. */
static void time_events(const struct bench *b, const char *load, void *state,
			const struct cgroup *fresh)
{
	unsigned long fits =
		b->ring_size / AGENTSH_RECORD_RING_BYTES(struct agentsh_record) / MAX_SIZES;
	struct load calls = {.calls = 20000ul * b->percent / 100 + 1};
	void *session = attacher_ours.attach(state, fresh);
	struct worker_times times;

	if (calls.calls + WORKER_WARM >= fits)
		calls.calls = fits - WORKER_WARM - 1;
	worker_run(fresh, b->cpu_worker, &calls, &times);
	report_add(NAME, load, attacher_ours.name, "connect p50", "ns", times.p50);
	attacher_ours.detach(state, session);
}

static void add_footprint(const struct attacher *a, const struct footprint *was,
			  const struct footprint *is, unsigned n)
{
	report_add(NAME, FOOTPRINT, a->name, "heap per session", "B", (is->heap - was->heap) / n);
	report_add(NAME, FOOTPRINT, a->name, "RSS per session", "B",
		   (is->resident - was->resident) / n);
	report_add(NAME, FOOTPRINT, a->name, "kernel per session", "B",
		   (is->kernel - was->kernel) / n);
	report_add(NAME, FOOTPRINT, a->name, "fds per session", "", (is->fds - was->fds) / n);
	report_add(NAME, FOOTPRINT, a->name, "threads per session", "",
		   (is->threads - was->threads) / n);
	report_add(NAME, FOOTPRINT, a->name, "programs loaded", "", is->programs - was->programs);
}

/* cgs: the cgroups of the sessions that stay, then unused ones for each size. */
static void one_round(const struct bench *b, const struct attacher *a, const struct cgroup *cgs)
{
	void *state = a->open(b->ring_size);
	unsigned many = b->sessions - 1, attached = 0;
	void **sessions = xrealloc(NULL, b->sessions * sizeof(*sessions));
	const struct cgroup *fresh = &cgs[many];
	struct footprint was, is;

	for (unsigned i = 0; i < size_count; i++, fresh += TIMES + 1) {
		if (i == 1)
			was = footprint_now();
		for (; attached + 1 < sizes[i].number; attached++)
			sessions[attached] = a->attach(state, &cgs[attached]);
		if (i && i + 1 == size_count) {
			is = footprint_now();
			add_footprint(a, &was, &is, many);
		}
		time_one(b, sizes[i].name, a, state, fresh);
		if (a == &attacher_ours)
			time_events(b, sizes[i].name, state, &fresh[TIMES]);
	}
	for (unsigned i = 0; i < attached; i++)
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
	add_ratio(load, &attacher_bare_all, "attach", "attach, ours / bare, one storage", 1.3);
	add_ratio(load, &attacher_bare_all, "both", "both, ours / bare, one storage", (double)NAN);
	add_ratio(load, &attacher_bare_own, "attach", "attach, ours / bare, storage per hook",
		  (double)NAN);
	report_ratio(NAME, load, "connect p50, to that with one session", 1.1,
		     report_last(NAME, load, attacher_ours.name, "connect p50") /
			     report_last(NAME, sizes[0].name, attacher_ours.name, "connect p50"));
}

static void add_needs(void)
{
	static const struct {
		const char *figure, *text;
		double target;
	} needs[] = {
		{"heap per session", "bytes of heap per session", 1024},
		{"fds per session", "descriptors per session: its links and its cgroup", 5},
		{"threads per session", "threads per session", 0},
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		report_ratio(NAME, FOOTPRINT, needs[i].text, needs[i].target,
			     report_last(NAME, FOOTPRINT, attacher_ours.name, needs[i].figure));
}

void scenario_attach(const struct bench *b)
{
	unsigned count = b->sessions - 1 + MAX_SIZES * (TIMES + 1);
	struct cgroup *cgs = xrealloc(NULL, count * sizeof(*cgs));

	choose_sizes(b->sessions);
	for (unsigned i = 0; i < count; i++)
		cgroup_make(&cgs[i], b->cgroup, NAME, i);
	for (unsigned round = 0; round < b->rounds; round++) {
		fprintf(stderr, "bench: attach, round %u of %u\n", round + 1, b->rounds);
		for (unsigned i = 0; i < ATTACHERS; i++)
			one_round(b, attachers[(i + round) % ATTACHERS], cgs);
		for (unsigned i = 0; i < size_count; i++)
			add_ratios(sizes[i].name);
		if (size_count > 1)
			add_needs();
	}
	for (unsigned i = 0; i < count; i++)
		cgroup_remove(&cgs[i]);
	free(cgs);
}
