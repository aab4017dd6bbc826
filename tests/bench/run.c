/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "consumer.h"
#include "record.h"
#include "report.h"
#include "run.h"
#include "util.h"

/*
 * A program attached anywhere makes every connect() of the machine take the path with hooks.
 * Only without such programs is variant (a) what its name says.
 */
static void look_for_others(void)
{
	if (progs_at_sock_addr())
		report_note("other eBPF programs were loaded while (a) ran; if they are attached, "
			    "(a) and its ratios are some 200 ns too high");
}

/* Waits until the reader sleeps: before the first call, or after the last events. */
static void settle(void)
{
	usleep(20000);
}

static void check_account(const struct variant *v, const struct run *run)
{
	unsigned long long all = run->delivered + run->lost;

	/* a connection has up to three events */
	if (run->lost != UINT64_MAX && (all < run->times.made || all > 3 * run->times.made))
		report_failure("%s: delivered %lu + lost %llu is not the %lu calls made", v->name,
			       run->delivered, (unsigned long long)run->lost, run->times.made);
}

static void read_all(const struct variant *v, struct consumer *c, const struct load *load,
		     struct run *run)
{
	if (load->read_late)
		consumer_start(c);
	consumer_stop(c);
	variant_delays = NULL;
	run->delivered = c->delivered;
	run->lost = v->lost(c->state);
	check_account(v, run);
}

void run_one(const struct bench *b, const struct variant *v, const struct load *load,
	     struct run_how how, struct run *run)
{
	struct consumer consumer = {.variant = v, .cpu = b->cpu_consumer};
	bool reads = v->consume && !load->read_late;
	void *under = NULL;
	struct cgroup cg;
	int stats = -1;

	*run = (struct run){0};
	cgroup_make(&cg, b->cgroup, "worker", 0);
	if (v->open) {
		consumer.state = v->open(b->ring_size);
		v->attach(consumer.state, cg.fd);
	}
	if (how.under) {
		under = how.under->open(b->ring_size);
		how.under->attach(under, cg.fd);
	}
	variant_delays = how.delays;
	if (reads) {
		consumer_start(&consumer);
		settle();
		run->cpu_ns = consumer_cpu_ns(&consumer);
	}
	if (how.timing)
		stats = progs_timing_on();
	if (!v->open)
		look_for_others();
	worker_run(&cg, b->cpu_worker, load, &run->times);
	if (!v->open)
		look_for_others();
	if (how.timing) {
		run->prog = progs_time(cg.fd, BPF_CGROUP_INET4_CONNECT);
		close(stats);
	}
	if (reads) {
		settle();
		run->cpu_ns = consumer_cpu_ns(&consumer) - run->cpu_ns;
	}
	if (v->consume)
		read_all(v, &consumer, load, run);
	if (under)
		how.under->close(under);
	if (v->open)
		v->close(consumer.state);
	cgroup_remove(&cg);
}

struct load run_scaled(const struct bench *b, const struct load *load)
{
	/* what fits for certain if no reader consumes anything */
	unsigned long fits = b->ring_size / AGENTSH_RECORD_RING_BYTES(struct agentsh_record) - 1;
	struct load l = *load;

	l.calls = l.calls * b->percent / 100;
	if (fits < 2 * WORKER_WARM)
		die("the ring is too small for a benchmark");
	if (l.read_late && l.calls > fits - WORKER_WARM)
		l.calls = fits - WORKER_WARM;
	if (!l.calls)
		l.calls = 1;
	return l;
}
