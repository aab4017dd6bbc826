/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connect() costs while another CPU connects, too. Both share the lock of the ring,
 * whether they belong to one session or to two. Nobody reads the ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "crowd";
static const char FIGURE[] = "connect p50";

enum { ALONE, OTHER_SESSION, SAME_SESSION, CROWDS, PASSES = 5 };

static const char *const loads[CROWDS] = {
	[ALONE] = "alone",
	[OTHER_SESSION] = "beside another session",
	[SAME_SESSION] = "beside another process",
};

static const struct variant *const variants[] = {
	&variant_none,
	&variant_empty,
	&variant_ours,
};

enum { VARIANTS = sizeof(variants) / sizeof(*variants) };

static int neighbour_report;

/* Connects on the other CPU until it is killed; reports each finished run of calls. */
static _Noreturn void be_neighbour(const struct cgroup *cg, int cpu, pid_t parent, int report)
{
	const struct load load = {.calls = 5000, .cold = true};
	struct worker_times times;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	for (;;) {
		worker_run(cg, cpu, &load, &times);
		if (write(report, "", 1) != 1 && errno != EAGAIN)
			die("the neighbour cannot report: %m");
	}
}

/* Returns when the neighbour has finished its first calls, so that it is known to connect. */
static pid_t start_neighbour(const struct cgroup *cg, int cpu)
{
	pid_t parent = getpid(), pid;
	int report[2];
	char byte;

	if (pipe2(report, O_CLOEXEC) || fcntl(report[1], F_SETFL, O_NONBLOCK))
		die("pipe: %m");
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	if (!pid)
		be_neighbour(cg, cpu, parent, report[1]);
	close(report[1]);
	if (read(report[0], &byte, 1) != 1)
		die("crowd: the neighbour ended before its first calls");
	/* stays open: a closed pipe would end the neighbour */
	neighbour_report = report[0];
	return pid;
}

static void stop_neighbour(pid_t pid)
{
	if (waitpid(pid, NULL, WNOHANG))
		die("crowd: the neighbour ended while the other process was measured");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(neighbour_report);
}

static double one(const struct bench *b, const struct variant *v, int crowd,
		  const struct load *load)
{
	void *state = v->open ? v->open(b->ring_size) : NULL;
	struct worker_times times;
	struct cgroup cgs[2];
	pid_t pid = 0;

	for (unsigned i = 0; i < 2; i++) {
		cgroup_make(&cgs[i], b->cgroup, NAME, i);
		/* the empty variant has only one link, so the second cgroup stays without */
		if (state && (i == 0 || v == &variant_ours))
			v->attach(state, cgs[i].fd);
	}
	if (crowd != ALONE)
		pid = start_neighbour(&cgs[crowd == OTHER_SESSION], b->cpu_consumer);
	worker_run(&cgs[0], b->cpu_worker, load, &times);
	if (pid)
		stop_neighbour(pid);
	if (v == &variant_ours && v->lost(state))
		report_note("crowd: the ring was full, and a lost event costs less than a recorded "
			    "one");
	if (state)
		v->close(state);
	for (unsigned i = 0; i < 2; i++)
		cgroup_remove(&cgs[i]);
	return times.p50;
}

static double last(int crowd, const struct variant *v)
{
	return report_last(NAME, loads[crowd], v->name, FIGURE);
}

/* The time that the neighbour adds to a call with the library, less that without the library. */
static double added(int crowd)
{
	return last(crowd, &variant_ours) - last(ALONE, &variant_ours) -
	       (last(crowd, &variant_empty) - last(ALONE, &variant_empty));
}

void scenario_crowd(const struct bench *b)
{
	const struct load full = {.calls = 10000, .read_late = true};
	struct load load = run_scaled(b, &full);

	if (b->cpu_worker == b->cpu_consumer) {
		report_note("crowd: left out, because there is only one CPU");
		return;
	}
	for (unsigned round = 0; round < b->rounds; round++) {
		double p50[CROWDS][VARIANTS][PASSES];

		fprintf(stderr, "bench: crowd, round %u of %u\n", round + 1, b->rounds);
		for (unsigned i = 0; i < CROWDS * VARIANTS * PASSES; i++) {
			unsigned at = (i + round) % VARIANTS, crowd = i / VARIANTS % CROWDS;

			p50[crowd][at][i / VARIANTS / CROWDS] =
				one(b, variants[at], (int)crowd, &load);
		}
		for (int crowd = 0; crowd < CROWDS; crowd++)
			for (unsigned i = 0; i < VARIANTS; i++)
				report_add(NAME, loads[crowd], variants[i]->name, FIGURE, "ns",
					   median(p50[crowd][i], PASSES));
		for (int crowd = 1; crowd < CROWDS; crowd++)
			report_ratio(NAME, loads[crowd], "ns that the other adds to (d) alone",
				     (double)NAN, added(crowd));
	}
}
