/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often the kernel runs a host that waits for events of an idle session: once directly after
 * open, and once after a busy second.
 */
#include <agentsh/ebpf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "idle";
static const char LOAD[] = "10 s, nothing happens";
static const char FIGURE[] = "context switches of the host";

/* Below this percentage, the run only shows that the benchmark works. */
enum { SMOKE = 20 };

enum { FRESH, BUSY, HOSTS, SECONDS = 10 };

static const char *const names[HOSTS] = {
	[FRESH] = "(d) just opened",
	[BUSY] = "(d) after 10000/s",
};

struct host {
	struct cgroup cg;
	pid_t pid;
};

static _Noreturn void be_host(const struct cgroup *cg, int cpu, int ready)
{
	struct variant v = variant_ours;
	void *state;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(cpu);
	state = v.open(1 << 20);
	v.attach(state, cg->fd);
	if (write(ready, "", 1) != 1)
		die("the idle host cannot report: %m");
	for (;;)
		if (v.consume(state, -1) < 0)
			die("the idle host cannot read");
}

static void start(const struct bench *b, struct host *h, unsigned number)
{
	int ready[2];
	char byte;

	cgroup_make(&h->cg, b->cgroup, NAME, number);
	if (pipe2(ready, O_CLOEXEC))
		die("pipe: %m");
	h->pid = fork();
	if (h->pid < 0)
		die("fork: %m");
	if (!h->pid)
		be_host(&h->cg, b->cpu_consumer, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		die("the idle host did not start");
	close(ready[0]);
}

static void stop(struct host *h)
{
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	cgroup_remove(&h->cg);
}

/* The host has one thread. A second one would be a fault of the library. */
static double switches(pid_t pid)
{
	char path[64], line[128];
	double sum = 0, n;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	in = fopen(path, "re");
	if (!in)
		die("%s: %m", path);
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "Threads: %lf", &n) == 1 && n != 1)
			report_note("idle: the host has %.0f threads", n);
		if (sscanf(line, "voluntary_ctxt_switches: %lf", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %lf", &n) == 1)
			sum += n;
	}
	fclose(in);
	return sum;
}

void scenario_idle(const struct bench *b)
{
	const struct load full = {.rate = 10000, .calls = 10000};
	struct load load = run_scaled(b, &full);

	for (unsigned round = 0; round < b->rounds; round++) {
		struct worker_times times;
		struct host hosts[HOSTS];
		double before[HOSTS];

		fprintf(stderr, "bench: idle, round %u of %u\n", round + 1, b->rounds);
		for (unsigned i = 0; i < HOSTS; i++)
			start(b, &hosts[i], i);
		worker_run(&hosts[BUSY].cg, b->cpu_worker, &load, &times);
		usleep(100000);
		for (unsigned i = 0; i < HOSTS; i++)
			before[i] = switches(hosts[i].pid);
		usleep(SECONDS * 10000 * (b->percent < SMOKE ? b->percent : 100));
		for (unsigned i = 0; i < HOSTS; i++) {
			double n = switches(hosts[i].pid) - before[i];

			report_add(NAME, LOAD, names[i], FIGURE, "", n);
			report_ratio(NAME, LOAD, names[i], 0, n);
			stop(&hosts[i]);
		}
	}
	if (b->percent < SMOKE)
		report_note("idle: %u percent of 10 s only", b->percent);
}
