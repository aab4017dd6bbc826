/* SPDX-License-Identifier: Apache-2.0 */
/* run.sh starts this program, and makes and removes its cgroup. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "report.h"
#include "scenario.h"
#include "util.h"
#include "worker.h"

static const struct {
	const char *name;
	void (*run)(const struct bench *bench);
} scenarios[] = {
	{"connect", scenario_connect}, {"paced", scenario_paced},   {"drain", scenario_drain},
	{"loss", scenario_loss},       {"idle", scenario_idle},	    {"crowd", scenario_crowd},
	{"tcp", scenario_tcp},	       {"attach", scenario_attach}, {"open", scenario_open},
	{"packets", scenario_packets}, {"names", scenario_names},   {"answers", scenario_answers},
	{"rules", scenario_rules},     {"egress", scenario_egress}, {"peers", scenario_peers},
};

enum { SCENARIOS = sizeof(scenarios) / sizeof(*scenarios), PEERS = 1u << (SCENARIOS - 1) };

static const char usage[] =
	"  --rounds N        rounds of each measurement, 1 to 1000 (default 5)\n"
	"  --scenario NAME   connect, paced, drain, loss, idle, crowd, tcp, attach, open, "
	"packets,\n"
	"                    names, answers, rules, egress or peers; may be repeated (default: all "
	"but "
	"peers)\n"
	"  --peers           add the scenario peers: other tools that can watch connects\n"
	"  --json FILE       also write everything as JSON, with the value of each round\n"
	"  --percent N       calls per round, in percent of the full number (default 100)\n"
	"  --ring-size N     bytes, a power of two (default 16777216)\n"
	"  --sessions N      sessions of the scenario attach (default 3000)\n";

static unsigned long number(const char *option, const char *text, unsigned long min,
			    unsigned long max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n < min || n > max)
		die("--%s %s: a number from %lu to %lu is wanted", option, text, min, max);
	return n;
}

static unsigned scenario_bit(const char *name)
{
	for (unsigned i = 0; i < SCENARIOS; i++)
		if (!strcmp(scenarios[i].name, name))
			return 1u << i;
	die("--scenario %s: unknown; --help lists the scenarios", name);
}

/* The first two CPUs that this process may run on; the same CPU twice if there is only one. */
static void choose_cpus(struct bench *b)
{
	cpu_set_t set;
	int found = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		die("sched_getaffinity: %m");
	for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		if (!found++)
			b->cpu_worker = cpu;
		b->cpu_consumer = cpu;
	}
}

/* A session needs a descriptor per program and one of its cgroup; the benchmark keeps one. */
static void raise_limits(const struct bench *b)
{
	unsigned long wanted = b->sessions * 6ul + 5 * BENCH_ATTACH_TIMES + 200;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit: %m");
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < wanted)
		die("--sessions %u needs %lu descriptors, the hard limit is %lu", b->sessions,
		    wanted, (unsigned long)limit.rlim_cur);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"cgroup", required_argument, NULL, 'c'},
		{"rounds", required_argument, NULL, 'r'},
		{"scenario", required_argument, NULL, 's'},
		{"json", required_argument, NULL, 'j'},
		{"percent", required_argument, NULL, 'p'},
		{"ring-size", required_argument, NULL, 'z'},
		{"sessions", required_argument, NULL, 'n'},
		{"peers", no_argument, NULL, 'P'},
		{"peer-go", required_argument, NULL, 'G'},
		{"peer-no-go", required_argument, NULL, 'N'},
		{"peer-object", required_argument, NULL, 'O'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct bench b = {.rounds = 5, .percent = 100, .ring_size = 16 << 20, .sessions = 3000};
	const char *json = NULL;
	unsigned chosen = 0;
	bool peers = false;
	int c, at = 0;

	if (argc == 3 && !strcmp(argv[1], "--worker"))
		return worker_main(argv[2]);
	while ((c = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (c == 'c')
			b.cgroup = optarg;
		else if (c == 'r')
			b.rounds = (unsigned)number(options[at].name, optarg, 1, 1000);
		else if (c == 's')
			chosen |= scenario_bit(optarg);
		else if (c == 'j')
			json = optarg;
		else if (c == 'p')
			b.percent = (unsigned)number(options[at].name, optarg, 1, 10000);
		else if (c == 'z')
			b.ring_size = number(options[at].name, optarg, 1 << 18, 1 << 30);
		else if (c == 'P')
			peers = true;
		else if (c == 'G')
			b.peer_go = optarg;
		else if (c == 'N')
			b.peer_no_go = optarg;
		else if (c == 'O')
			b.peer_object = optarg;
		else if (c == 'n')
			b.sessions = (unsigned)number(options[at].name, optarg, 1, 4096);
		else {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind < argc)
		die("%s: not an option", argv[optind]);
	if (!b.cgroup)
		die("--cgroup DIRECTORY is missing: start this through run.sh");
	if (b.rounds < 5)
		report_note("fewer than 5 rounds: only a rough estimate");

	if (!chosen)
		chosen = PEERS - 1;
	if (peers)
		chosen |= PEERS;
	/* other processes of the machine should not show in the figures */
	if (setpriority(PRIO_PROCESS, 0, -20))
		report_note("no higher priority: %s", strerror(errno));
	choose_cpus(&b);
	raise_limits(&b);
	conditions(&b);
	for (unsigned i = 0; i < SCENARIOS; i++)
		if (chosen & 1u << i)
			scenarios[i].run(&b);

	report_table(stdout);
	if (json && report_json(json))
		die("%s: %m", json);
	return report_get()->failed;
}
