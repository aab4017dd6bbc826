/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names cost in the reader's process: a DNS question with its answer, an event that has a
 * name, and the memory of a session that knows 1,000 names.
 */
#include <agentsh/ebpf.h>
#include <math.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "footprint.h"
#include "report.h"
#include "resolver.h"
#include "run.h"
#include "util.h"

static const char NAME[] = "answers";
static const char ANSWER[] = "question and answer";

enum { BATCH = 100, BATCHES = 9, MEMORY_NAMES = 1000 };

#define HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE)

static const struct {
	enum answer_kind kind;
	const char *name, *fresh, *again;
} kinds[] = {
	{ANSWER_A, "one A", "us of an answer, one A, new name",
	 "us of an answer, one A, known name"},
	{ANSWER_CHAIN, "a CNAME and 4 A", "us of an answer, a CNAME and 4 A, new name",
	 "us of an answer, a CNAME and 4 A, known name"},
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

/* A session, and what fills it. */
struct subject {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	struct resolver resolver;
	struct cgroup cg;
	uint64_t answers; /* that were asked for */
};

static bool copies; /* whether on_event() copies the name */

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct agentsh_ebpf_name name = {.size = sizeof(name)};
	struct subject *s = ctx;

	touch(event, event->timestamp_ns);
	if (copies && agentsh_ebpf_event_name(s->tracer, event, &name))
		die("an event has no name");
	return 0;
}

static void begin(const struct bench *b, struct subject *s, uint32_t hooks, uint32_t names_max)
{
	struct agentsh_ebpf_tracer_options opts = {.size = sizeof(opts),
						   .hooks = HOOKS | hooks,
						   .ring_size = (uint32_t)b->ring_size,
						   .ring_quota = 100,
						   .on_event = on_event,
						   .event_ctx = s};
	struct agentsh_ebpf_session_options session = {
		.size = sizeof(session), .names_max = names_max, .names_bytes = 1 << 20};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	*s = (struct subject){0};
	resolver_make(&s->resolver);
	if (hooks & AGENTSH_EBPF_HOOK_DNS)
		opts.dns_ports[0] = s->resolver.port;
	if (agentsh_ebpf_tracer_open(&opts, &s->tracer, &err))
		die("tracer_open: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
	cgroup_make(&s->cg, b->cgroup, NAME, 0);
	if (agentsh_ebpf_session_attach(s->tracer, s->cg.fd, &session, &s->session, &err))
		die("attach: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
	resolver_start(&s->resolver, &s->cg, b->cpu_worker);
}

static void end(struct subject *s)
{
	resolver_stop(&s->resolver);
	agentsh_ebpf_tracer_close(s->tracer);
	cgroup_remove(&s->cg);
}

static struct agentsh_ebpf_stats stats_of(const struct subject *s)
{
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

	if (agentsh_ebpf_session_stats(s->session, &stats))
		die("session_stats failed");
	return stats;
}

/* Takes everything from the ring; returns the CPU time. */
static double drain(const struct subject *s)
{
	uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	while (agentsh_ebpf_poll(s->tracer, 0) > 0)
		;
	return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin);
}

/* Asks for n names and reads the messages; returns the CPU time per question. */
static double read_answers(struct subject *s, enum answer_kind kind, uint32_t first, uint32_t n)
{
	struct agentsh_ebpf_stats stats;
	double took;

	resolver_ask(&s->resolver, kind, first, n);
	took = drain(s);
	if (kind != ANSWER_NONE)
		s->answers += n;
	stats = stats_of(s);
	if (stats.answers != s->answers)
		report_failure("answers: %llu of %llu were taken; %llu unasked, %llu malformed, "
			       "%llu skipped, %llu packets lost",
			       (unsigned long long)stats.answers, (unsigned long long)s->answers,
			       (unsigned long long)stats.answers_unasked,
			       (unsigned long long)stats.answers_malformed,
			       (unsigned long long)stats.messages_skipped,
			       (unsigned long long)stats.packets_lost);
	return took / n;
}

/*
 * Names that the session does not know, then the same names again, then questions without an
 * answer. An answer takes what a question with its answer takes more than a question alone.
 */
static void time_answers(const struct bench *b, unsigned at)
{
	double fresh[BATCHES], again[BATCHES], alone[BATCHES], question;
	const char *kind = kinds[at].name;
	struct subject s;

	begin(b, &s, AGENTSH_EBPF_HOOK_DNS, 2 * BATCH * BATCHES * CHAIN_ADDRESSES);
	read_answers(&s, kinds[at].kind, BATCHES * BATCH, BATCH / 2); /* warms up */
	for (uint32_t i = 0; i < BATCHES; i++)
		fresh[i] = read_answers(&s, kinds[at].kind, i * BATCH, BATCH);
	for (uint32_t i = 0; i < BATCHES; i++)
		again[i] = read_answers(&s, kinds[at].kind, i * BATCH, BATCH);
	end(&s);
	begin(b, &s, AGENTSH_EBPF_HOOK_DNS, 0); /* the number of messages per second is limited */
	read_answers(&s, ANSWER_NONE, BATCHES * BATCH,
		     5 * BATCH); /* the table of questions is full */
	for (uint32_t i = 0; i < BATCHES; i++)
		alone[i] = read_answers(&s, ANSWER_NONE, i * BATCH, BATCH);
	end(&s);
	question = median(alone, BATCHES);
	report_add(NAME, ANSWER, kind, "question alone", "ns", question);
	report_add(NAME, ANSWER, kind, "with answer, new name", "ns", median(fresh, BATCHES));
	report_add(NAME, ANSWER, kind, "with answer, known name", "ns", median(again, BATCHES));
	report_ratio(NAME, ANSWER, kinds[at].fresh, 2, (median(fresh, BATCHES) - question) / 1e3);
	report_ratio(NAME, ANSWER, kinds[at].again, 2, (median(again, BATCHES) - question) / 1e3);
}

static void measure_memory(const struct bench *b)
{
	struct agentsh_ebpf_name name = {.size = sizeof(name)};
	struct footprint before, after;
	struct subject s;
	unsigned known = 0;
	uint8_t addr[4];

	begin(b, &s, AGENTSH_EBPF_HOOK_DNS, 1024);
	before = footprint_now();
	for (uint32_t i = 0; i < MEMORY_NAMES; i += BATCH)
		read_answers(&s, ANSWER_A, i, BATCH);
	after = footprint_now();
	for (uint32_t i = 0; i < MEMORY_NAMES; i++) {
		resolver_address(ANSWER_A, i, 0, addr);
		known += agentsh_ebpf_session_name_lookup(s.session, AF_INET, addr, 0, &name) > 0;
	}
	end(&s);
	if (known != MEMORY_NAMES)
		report_failure("answers: %u of %u names are known", known, MEMORY_NAMES);
	report_add(NAME, "memory", "1,000 names", "heap", "KiB", (after.heap - before.heap) / 1024);
	report_ratio(NAME, "memory", "KiB of a session with 1,000 names", 200,
		     (after.heap - before.heap) / 1024);
}

enum { NO_HOOK, NO_NAME, NAMED, COPIED, READERS, PASSES = 3 };

static const char *const readers[READERS] = {
	[NO_HOOK] = "without the hook DNS",
	[NO_NAME] = "no event has a name",
	[NAMED] = "each event has a name",
	[COPIED] = "the host copies each name",
};

/* The CPU time for an event. The worker connects to 127.0.0.1, which a seed gives a name. */
static double read_events(const struct bench *b, int reader, const struct load *load)
{
	const uint8_t addr[4] = {127, 0, 0, 1};
	struct worker_times times;
	struct subject s;
	double took;

	begin(b, &s, reader == NO_HOOK ? 0 : AGENTSH_EBPF_HOOK_DNS, 0);
	if (reader >= NAMED &&
	    agentsh_ebpf_session_name_seed(s.session, AF_INET, addr, "localhost", 0))
		die("session_name_seed failed");
	worker_run(&s.cg, b->cpu_worker, load, &times);
	copies = reader == COPIED;
	took = drain(&s) / (double)stats_of(&s).delivered;
	copies = false;
	end(&s);
	return took;
}

static void time_events(const struct bench *b, unsigned round)
{
	const struct load full = {.calls = 40000, .read_late = true};
	struct load load = run_scaled(b, &full);
	double took[READERS][PASSES];

	for (unsigned i = 0; i < READERS * PASSES; i++) {
		unsigned at = (i + round) % READERS;

		took[at][i / READERS] = read_events(b, (int)at, &load);
	}
	for (unsigned i = 0; i < READERS; i++)
		report_add(NAME, "events", readers[i], "reader CPU per event", "ns",
			   median(took[i], PASSES));
}

void scenario_answers(const struct bench *b)
{
	pin(b->cpu_consumer);
	for (unsigned round = 0; round < b->rounds; round++) {
		fprintf(stderr, "bench: answers, round %u of %u\n", round + 1, b->rounds);
		for (unsigned i = 0; i < KINDS; i++)
			time_answers(b, i);
		measure_memory(b);
		time_events(b, round);
	}
	unpin();
}
