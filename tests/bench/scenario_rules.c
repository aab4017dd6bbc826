/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of a set of rules: to find what holds for a destination, compared with an LPM trie of
 * the same prefixes, to compile the set, and its memory.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "report.h"
#include "rules/build.h"
#include "rules.skel.h"
#include "run.h"
#include "scenario.h"
#include "util.h"

static const char NAME[] = "rules";

enum { DESTINATIONS = 8192, RULES_MAX = 10000, NODES = 20000, RUNS = 1000000, PASSES = 3 };
enum { NOTHING, RULES, TRIE, SUBJECTS };

static const char *const subjects[SUBJECTS] = {
	[NOTHING] = "(0) destination alone",
	[RULES] = "(r) compiled rules",
	[TRIE] = "(l) LPM trie",
};

static const struct size {
	const char *load;
	size_t count;
	bool ipv6;
	double target; /* ns added by the search; NAN: for information only */
} sizes[] = {
	{"IPv4, no rule", 0, false, (double)NAN}, {"IPv4, 10 rules", 10, false, (double)NAN},
	{"IPv4, 1,000 rules", 1000, false, 100},  {"IPv4, 10,000 rules", 10000, false, 220},
	{"IPv6, no rule", 0, true, (double)NAN},  {"IPv6, 10 rules", 10, true, (double)NAN},
	{"IPv6, 1,000 rules", 1000, true, 150},	  {"IPv6, 10,000 rules", 10000, true, 260},
};

static struct rules_bpf *skel;
static struct agentsh_rule rules[RULES_MAX];
static struct agentsh_rules_key *destinations;
static struct agentsh_rules_node *nodes;

static uint32_t random32(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32);
}

static void *map_memory(const struct bpf_map *map, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		die("mmap: %m");
	return memory;
}

static void load(void)
{
	skel = rules_bpf__open();
	if (!skel || bpf_map__set_max_entries(skel->maps.nodes, NODES) || rules_bpf__load(skel))
		die("programs for rules: %m");
	destinations = map_memory(skel->maps.destinations, DESTINATIONS * sizeof(*destinations));
	nodes = map_memory(skel->maps.nodes, NODES * sizeof(*nodes));
}

static void unload(void)
{
	munmap(destinations, DESTINATIONS * sizeof(*destinations));
	munmap(nodes, NODES * sizeof(*nodes));
	rules_bpf__destroy(skel);
}

/* An address within one network. */
static void random_address(bool ipv6, uint8_t addr[16])
{
	static const uint8_t network[2][4] = {{10}, {0x20, 0x01, 0x0d, 0xb8}};
	uint32_t random = random32();

	memset(addr, 0, 16);
	memcpy(addr, network[ipv6], 4);
	memcpy(addr + (ipv6 ? 4 : 1), &random, ipv6 ? 4 : 3);
}

/* Prefixes of networks and hosts, each with an id of its own. */
static void make_rules(const struct size *size)
{
	for (size_t i = 0; i < size->count; i++) {
		rules[i] = (struct agentsh_rule){
			.family = size->ipv6 ? AF_INET6 : AF_INET,
			.prefix =
				(uint8_t)(size->ipv6 ? 48 + random32() % 17 : 24 + random32() % 9),
			.protocol = AGENTSH_RULE_TCP,
			.first_port = 443,
			.last_port = 443,
			.rule_id = (uint32_t)i,
		};
		random_address(size->ipv6, rules[i].addr);
	}
}

/* Half of them match a rule. */
static void make_destinations(const struct size *size)
{
	for (size_t i = 0; i < DESTINATIONS; i++) {
		uint32_t host = random32();
		uint8_t addr[16];

		random_address(size->ipv6, addr);
		if (i % 2 && size->count)
			memcpy(addr, rules[random32() % size->count].addr, sizeof(addr));
		if (size->ipv6)
			memcpy(addr + 12, &host, sizeof(host));
		destinations[i] = agentsh_rules_key_of(size->ipv6 ? AF_INET6 : AF_INET, addr);
	}
}

static void fill_trie(const struct size *size)
{
	struct bpf_map *map = size->ipv6 ? skel->maps.trie6 : skel->maps.trie4;
	struct {
		uint32_t prefix;
		uint8_t addr[16];
	} key;
	char first[20];

	while (!bpf_map_get_next_key(bpf_map__fd(map), NULL, first))
		if (bpf_map_delete_elem(bpf_map__fd(map), first))
			die("LPM trie: %m");
	for (size_t i = 0; i < size->count; i++) {
		uint32_t value = rules[i].rule_id;

		key.prefix = rules[i].prefix;
		memcpy(key.addr, rules[i].addr, sizeof(key.addr));
		if (bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY))
			die("LPM trie: %m");
	}
}

/* Compiles the rules into the map. */
static void fill_nodes(const struct size *size)
{
	struct agentsh_rules_table table;
	uint64_t started = now_ns();
	int err = agentsh_rules_compile(rules, size->count, AGENTSH_RULE_ALLOW, NODES, &table);

	if (err)
		die("rules: %s", strerror(-err));
	memcpy(nodes, table.nodes, table.count * sizeof(*nodes));
	report_add(NAME, size->load, subjects[RULES], "compile and copy", "us",
		   (double)(now_ns() - started) / 1e3);
	report_add(NAME, size->load, subjects[RULES], "memory", "B",
		   (double)table.count * sizeof(*nodes));
	if (size->count == RULES_MAX) {
		report_ratio(NAME, size->load, "ms to compile and copy", 10,
			     (double)(now_ns() - started) / 1e6);
		report_ratio(NAME, size->load, "bytes per rule", 64,
			     (double)table.count * sizeof(*nodes) / (double)size->count);
	}
	agentsh_rules_table_free(&table);
}

/* The kernel's time for one run, in ns. */
static double time_one(const struct bpf_program *prog, int runs)
{
	char packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = runs);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		die("run of a program: %m");
	return opts.duration;
}

static void time_size(const struct bench *b, const struct size *size)
{
	const struct bpf_program *progs[SUBJECTS] = {
		[NOTHING] = skel->progs.bench_nothing,
		[RULES] = skel->progs.bench_rules,
		[TRIE] = skel->progs.bench_trie,
	};
	double ns[SUBJECTS][PASSES], added[2];
	int runs = (int)((long)RUNS * b->percent / 100) + 1;

	make_rules(size);
	make_destinations(size);
	fill_trie(size);
	fill_nodes(size);
	skel->bss->bench_ipv6 = size->ipv6;
	for (int i = 0; i < PASSES; i++)
		for (int subject = 0; subject < SUBJECTS; subject++)
			ns[subject][i] = time_one(progs[subject], runs);
	for (int subject = 0; subject < SUBJECTS; subject++)
		report_add(NAME, size->load, subjects[subject], "time per run", "ns",
			   median(ns[subject], PASSES));
	for (int i = 0; i < 2; i++)
		added[i] = median(ns[RULES + i], PASSES) - median(ns[NOTHING], PASSES);
	report_ratio(NAME, size->load, "ns added by (r)", size->target, added[0]);
	report_ratio(NAME, size->load, "ns added by (l)", (double)NAN, added[1]);
}

/* ---- connect() ------------------------------------------------------------------ */

enum { CONNECT_PASSES = 5 };

static const struct {
	const struct variant *variant;
	double target; /* ns more than without the hook; NAN: for information only */
} connectors[] = {
	{&variant_ours_udp, (double)NAN},
	{&variant_ours_unruled, (double)NAN},
	{&variant_ours_1000_rules, 100},
	{&variant_ours_10000_rules, 220},
};

enum { CONNECTORS = sizeof(connectors) / sizeof(*connectors) };

/* The median over the passes, whose runs were next to each other. */
static double more(double ours[CONNECT_PASSES], double base[CONNECT_PASSES])
{
	double ns[CONNECT_PASSES];

	for (unsigned i = 0; i < CONNECT_PASSES; i++)
		ns[i] = ours[i] - base[i];
	return median(ns, CONNECT_PASSES);
}

static void time_connects(const struct bench *b, unsigned round)
{
	const struct load full = {
		.name = "connect(), read afterwards",
		.calls = 40000,
		.passes = CONNECT_PASSES,
		.read_late = true,
	};
	struct load load = run_scaled(b, &full);
	double p50[CONNECTORS][CONNECT_PASSES];

	for (unsigned i = 0; i < CONNECTORS * CONNECT_PASSES; i++) {
		unsigned at = (i + round) % CONNECTORS;
		struct run run;

		run_one(b, connectors[at].variant, &load, (struct run_how){0}, &run);
		p50[at][i / CONNECTORS] = run.times.p50;
	}
	report_ratio(NAME, load.name, "p50, no rules / no RULES", 1.05,
		     median((double[CONNECT_PASSES]){p50[1][0] / p50[0][0], p50[1][1] / p50[0][1],
						     p50[1][2] / p50[0][2], p50[1][3] / p50[0][3],
						     p50[1][4] / p50[0][4]},
			    CONNECT_PASSES));
	for (unsigned i = 1; i < CONNECTORS; i++)
		report_ratio(NAME, load.name,
			     i == 1   ? "ns added by (u)"
			     : i == 2 ? "ns added by (r)"
				      : "ns added by (s)",
			     connectors[i].target, more(p50[i], p50[0]));
	for (unsigned i = 0; i < CONNECTORS; i++)
		report_add(NAME, load.name, connectors[i].variant->name, "p50", "ns",
			   median(p50[i], CONNECT_PASSES));
}

void scenario_rules(const struct bench *b)
{
	load();
	pin(b->cpu_worker);
	for (unsigned round = 0; round < b->rounds; round++) {
		fprintf(stderr, "bench: rules, round %u of %u\n", round + 1, b->rounds);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			time_size(b, &sizes[i]);
	}
	unpin();
	unload();
	for (unsigned round = 0; round < b->rounds; round++)
		time_connects(b, round);
}
