/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other tools that can report connects: strace, bpftrace, and a Go program that loads its eBPF
 * program once per session. Each is started as its users start it. Only with --peers.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attacher.h"
#include "footprint.h"
#include "peers.h"
#include "report.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "peers";
static const char ONE_MORE[] = "one more session";

enum { NONE, OURS, GO, BPFTRACE, SECCOMP, STRACE, VARIANTS, SESSIONS = 20 };

static const char *const names[VARIANTS] = {
	[NONE] = "nothing",
	[OURS] = "agentsh-ebpf, all defaults",
	[GO] = "Go, cilium/ebpf, a channel",
	[BPFTRACE] = "bpftrace, tracepoint",
	[SECCOMP] = "strace -f --seccomp-bpf",
	[STRACE] = "strace -f",
};

static const struct load loads[] = {
	{.name = "10000/s", .rate = 10000, .calls = 5000},
	{.name = "flat out", .calls = 10000},
};

/* The result of one run; NAN: unknown. */
struct seen {
	struct worker_times times;
	double events, cpu_ns, delay_p50, delay_p99;
};

static void run_ours(const struct bench *b, const struct variant *v, const struct load *load,
		     struct seen *seen)
{
	struct delays d = {.room = load->calls + WORKER_WARM};
	struct run run;

	d.ns = xrealloc(NULL, d.room * sizeof(*d.ns));
	run_one(b, v, load, (struct run_how){.delays = &d}, &run);
	seen->times = run.times;
	if (v->consume) {
		seen->events = (double)run.delivered;
		seen->cpu_ns = (double)run.cpu_ns;
		seen->delay_p50 = percentile(d.ns, d.n, 50);
		seen->delay_p99 = percentile(d.ns, d.n, 99);
	}
	free(d.ns);
}

static void run_strace(const struct bench *b, bool seccomp, const struct load *load,
		       const struct cgroup *cg, struct seen *seen)
{
	char *const plain[] = {"strace", "-f",	      "-e", "trace=connect",
			       "-o",	 "/dev/null", "--", NULL};
	char *const filter[] = {
		"strace", "-f", "--seccomp-bpf", "-e", "trace=connect", "-o", "/dev/null",
		"--",	  NULL};

	seen->cpu_ns = (double)worker_run_under(seccomp ? filter : plain, cg, b->cpu_worker,
						b->cpu_consumer, load, &seen->times);
	seen->events = (double)seen->times.made; /* strace stops every call */
}

/* Runs the worker while the tool watches. False: the tool did not start. */
static bool run_beside(const struct bench *b, char *const *argv, const char *ready, int signal,
		       const struct load *load, const struct cgroup *cg, struct seen *seen,
		       char **output)
{
	struct peer peer;
	bool ok = peer_start(&peer, argv, b->cpu_consumer, ready);

	if (ok) {
		uint64_t before;

		usleep(1000000); /* bpftrace prints this before it is attached */
		before = peer_cpu_ns(&peer);
		worker_run(cg, b->cpu_worker, load, &seen->times);
		usleep(300000);
		seen->cpu_ns = (double)(peer_cpu_ns(&peer) - before);
	}
	peer_end(&peer, signal);
	*output = peer_output(&peer);
	if (!ok)
		report_note("peers: %s did not start: %.150s", argv[0], *output);
	return ok;
}

static bool run_bpftrace(const struct bench *b, const struct load *load, const struct cgroup *cg,
			 struct seen *seen)
{
	char program[1024], *argv[] = {"bpftrace", "-e", program, NULL}, *output;
	bool ok;

	snprintf(program, sizeof(program),
		 "tracepoint:syscalls:sys_enter_connect /cgroup == cgroupid(\"%s\")/ "
		 "{ printf(\"event %%d %%s\\n\", pid, comm); }",
		 cg->path);
	ok = run_beside(b, argv, "Attaching", SIGINT, load, cg, seen, &output);
	seen->events = 0;
	for (char *at = output; (at = strstr(at, "event ")); at++)
		seen->events++;
	free(output);
	return ok;
}

static bool run_go(const struct bench *b, const struct load *load, struct cgroup *cg,
		   struct seen *seen)
{
	char *argv[] = {(char *)b->peer_go, (char *)b->peer_object, "read", cg->path, NULL};
	char *output, *figures;
	bool ok = run_beside(b, argv, "ready", SIGTERM, load, cg, seen, &output);

	figures = strstr(output, "figures ");
	if (ok && (!figures || sscanf(figures, "figures %lf %lf %lf", &seen->events,
				      &seen->delay_p50, &seen->delay_p99) != 3))
		die("the Go program gave no figures: %.200s", output);
	free(output);
	return ok;
}

static bool run_variant(const struct bench *b, int which, const struct load *load,
			struct seen *seen)
{
	struct cgroup cg;
	bool ok = true;

	*seen = (struct seen){.events = NAN, .cpu_ns = NAN, .delay_p50 = NAN, .delay_p99 = NAN};
	if (which == NONE || which == OURS) {
		run_ours(b, which == NONE ? &variant_none : &variant_ours_default, load, seen);
		return true;
	}
	cgroup_make(&cg, b->cgroup, NAME, 0);
	if (which == GO)
		ok = run_go(b, load, &cg, seen);
	else if (which == BPFTRACE)
		ok = run_bpftrace(b, load, &cg, seen);
	else
		run_strace(b, which == SECCOMP, load, &cg, seen);
	cgroup_remove(&cg);
	return ok;
}

static void add(const char *load, const char *name, const char *figure, const char *unit,
		double value)
{
	if (isfinite(value))
		report_add(NAME, load, name, figure, unit, value);
}

static void add_seen(const char *load, const char *name, const struct seen *s)
{
	add(load, name, "connect p50", "ns", s->times.p50);
	add(load, name, "connect p99", "ns", s->times.p99);
	add(load, name, "CPU per connect", "us", s->cpu_ns / 1e3 / (double)s->times.made);
	add(load, name, "seen", "%", 100 * s->events / (double)s->times.made);
	add(load, name, "delay p50", "us", s->delay_p50 / 1e3);
	add(load, name, "delay p99", "us", s->delay_p99 / 1e3);
}

static void sessions_ours(struct cgroup *cgs)
{
	void *state = attacher_ours.open(1 << 20), *sessions[SESSIONS];
	struct footprint was = footprint_now(), is;
	uint32_t ns[SESSIONS];

	for (int i = 0; i < SESSIONS; i++) {
		uint64_t begin = now_ns();

		sessions[i] = attacher_ours.attach(state, &cgs[i]);
		ns[i] = (uint32_t)(now_ns() - begin);
	}
	is = footprint_now();
	for (int i = 0; i < SESSIONS; i++)
		attacher_ours.detach(state, sessions[i]);
	attacher_ours.close(state);
	add(ONE_MORE, names[OURS], "time", "us", percentile(ns, SESSIONS, 50) / 1e3);
	add(ONE_MORE, names[OURS], "fds", "", (is.fds - was.fds) / SESSIONS);
	add(ONE_MORE, names[OURS], "threads", "", (is.threads - was.threads) / SESSIONS);
}

static void sessions_go(const struct bench *b, struct cgroup *cgs)
{
	char *argv[3 + SESSIONS + 1] = {(char *)b->peer_go, (char *)b->peer_object, "sessions"};
	double ns = NAN, fds = NAN, threads = NAN;
	struct peer peer;
	char *output, *figures;

	for (int i = 0; i < SESSIONS; i++)
		argv[3 + i] = cgs[i].path;
	peer_start(&peer, argv, b->cpu_consumer, "figures ");
	peer_end(&peer, 0);
	output = peer_output(&peer);
	figures = strstr(output, "figures ");
	if (!figures || sscanf(figures, "figures %lf %lf %lf", &ns, &fds, &threads) != 3)
		report_note("peers: the Go program did not run: %.150s", output);
	free(output);
	add(ONE_MORE, names[GO], "time", "us", ns / 1e3);
	add(ONE_MORE, names[GO], "fds", "", fds);
	add(ONE_MORE, names[GO], "threads", "", threads);
}

static bool there(const struct bench *b, int which)
{
	if (which == GO && !b->peer_go) {
		report_note("peers: %s is skipped: %s", names[GO],
			    b->peer_no_go ? b->peer_no_go : "run.sh builds it");
		return false;
	}
	if (which == BPFTRACE && !peer_there("bpftrace")) {
		report_note("peers: bpftrace is skipped: not in PATH (package bpftrace)");
		return false;
	}
	if ((which == STRACE || which == SECCOMP) && !peer_there("strace")) {
		report_note("peers: strace is skipped: not in PATH (package strace)");
		return false;
	}
	return true;
}

void scenario_peers(const struct bench *bench)
{
	struct bench b = *bench;
	struct cgroup cgs[SESSIONS];
	bool run[VARIANTS];

	b.ring_size = 1 << 20;
	for (int i = 0; i < VARIANTS; i++)
		run[i] = there(&b, i);
	for (unsigned i = 0; i < SESSIONS; i++)
		cgroup_make(&cgs[i], b.cgroup, "peers-session", i);
	for (unsigned round = 0; round < b.rounds; round++) {
		for (size_t l = 0; l < sizeof(loads) / sizeof(*loads); l++) {
			struct load load = run_scaled(&b, &loads[l]);

			fprintf(stderr, "bench: peers, round %u of %u, %s\n", round + 1, b.rounds,
				load.name);
			for (unsigned i = 0; i < VARIANTS; i++) {
				int at = (int)((i + round) % VARIANTS);
				struct seen seen;

				if (!run[at])
					continue;
				run[at] = run_variant(&b, at, &load, &seen);
				if (run[at])
					add_seen(load.name, names[at], &seen);
			}
		}
		sessions_ours(cgs);
		if (run[GO])
			sessions_go(&b, cgs);
	}
	for (unsigned i = 0; i < SESSIONS; i++)
		cgroup_remove(&cgs[i]);
}
