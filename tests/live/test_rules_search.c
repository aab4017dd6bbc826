/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search in compiled rules as an eBPF program: the verifier accepts it with CAP_BPF and
 * CAP_NET_ADMIN alone, and it finds what the library finds. Several sets are in the map at once.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "host_limits.h"
#include "live.h"
#include "rules_random.h"
#include "rules_listed.h"
#include "rules_search_query.h" /* before the next, which uses it */
#include "rules_search.skel.h"

#define SETS 40
#define RULES_AT_MOST 2000
#define DESTINATIONS 200
#define MAP_NODES 40000

struct set {
	struct agentsh_rule rules[RULES_AT_MOST];
	size_t count;
	struct agentsh_rules_table table;
	uint32_t first_node;
	uint8_t action;
};

static struct rules_search_bpf *skel;
static struct agentsh_rules_node *nodes; /* the map */
static struct set sets[SETS];

static int print_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_WARN)
		return 0;
	return vfprintf(stderr, format, args);
}

static void load(void)
{
	libbpf_set_print(print_warning);
	skel = rules_search_bpf__open();
	LIVE_CHECK(skel, "open: %s", strerror(errno));
	LIVE_CHECK(!bpf_map__set_max_entries(skel->maps.rules_nodes, MAP_NODES), "max_entries");
	LIVE_CHECK(!rules_search_bpf__load(skel), "load: %s", strerror(errno));
	nodes = mmap(NULL, MAP_NODES * sizeof(*nodes), PROT_READ | PROT_WRITE, MAP_SHARED,
		     bpf_map__fd(skel->maps.rules_nodes), 0);
	LIVE_CHECK(nodes != MAP_FAILED, "mmap: %s", strerror(errno));
}

static void unload(void)
{
	munmap(nodes, MAP_NODES * sizeof(*nodes));
	rules_search_bpf__destroy(skel);
}

static void make_sets(void)
{
	uint32_t used = 0;

	for (size_t i = 0; i < SETS; i++) {
		struct set *set = &sets[i];
		int err;

		set->count = i % 4 ? i : i * RULES_AT_MOST / SETS;
		set->action = i & 1;
		set->first_node = used;
		do {
			rules_random_set(set->rules, set->count);
			err = agentsh_rules_compile(set->rules, set->count, set->action,
						    MAP_NODES - used, &set->table);
		} while (err == -ENOSPC); /* too many rules are conditional */
		LIVE_CHECK(!err, "set %zu: %s", i, strerror(-err));
		memcpy(&nodes[used], set->table.nodes, set->table.count * sizeof(*nodes));
		used += set->table.count;
	}
}

/* Lists the address for the rules for which the model says so, and as expired for the others. */
static void list_address(const struct set *set, const struct agentsh_rules_key *key)
{
	for (size_t i = 0; i < set->count; i++) {
		uint32_t rule_id = set->rules[i].rule_id;
		struct agentsh_rules_listed listed = {
			.set = set->first_node,
			.rule_id = rule_id,
			.high = key->high,
			.low = key->low,
		};
		uint64_t expires_ns = RULES_NOW + model_listed(rule_id, key);

		if (set->rules[i].listed && (expires_ns > RULES_NOW || rule_id & 1))
			LIVE_CHECK(!bpf_map_update_elem(bpf_map__fd(skel->maps.rules_addresses),
							&listed, &expires_ns, BPF_ANY),
				   "listed address: %s", strerror(errno));
	}
}

/* Asks the program, whose answer is in skel->bss->answer. */
static void ask(const struct set *set, const struct destination *to)
{
	struct agentsh_rules_key key = model_key(to);
	struct rules_query query = {
		.first_node = set->first_node,
		.high = key.high,
		.low = key.low,
		.now_ns = RULES_NOW,
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &query, .data_size_in = sizeof(query));

	list_address(set, &key);
	query.class_and_port = (uint64_t)(to->protocol - AGENTSH_RULE_TCP)
			       << AGENTSH_RULES_CLASS_SHIFT;
	if (to->protocol != AGENTSH_RULE_OTHER)
		query.class_and_port |= to->port;
	LIVE_CHECK(!bpf_prog_test_run_opts(bpf_program__fd(skel->progs.rules_search), &run),
		   "test run: %s", strerror(errno));
}

static void search(const void *unprivileged, void *out)
{
	uint32_t *compared = out;

	host_memlock_unlimited();
	if (*(const bool *)unprivileged)
		LIVE_CHECK(!host_nobody() && !host_keep_caps(CAPS_BPF_AND_NET), "caps: %s",
			   strerror(errno));
	load();
	make_sets();
	for (size_t i = 0; i < SETS; i++) {
		const struct set *set = &sets[i];

		for (int j = 0; j < DESTINATIONS; j++) {
			struct destination to = rules_random_destination(set->rules, set->count);
			const struct rules_answer *got = &skel->bss->answer;
			struct agentsh_rules_verdict want =
				model_judge(set->rules, set->count, set->action, &to, RULES_NOW);

			ask(set, &to);
			LIVE_CHECK(got->found, "set %zu: the set is damaged", i);
			LIVE_CHECK(
				got->rule_id == want.rule_id &&
					!(got->flags & AGENTSH_RULES_DENY) == !want.denied &&
					!(got->flags & AGENTSH_RULES_DEFAULT) == want.matched,
				"set %zu of %zu rules: rule %u, flags %u, not rule %u, denied %d",
				i, set->count, got->rule_id, got->flags, want.rule_id, want.denied);
			++*compared;
		}
		agentsh_rules_table_free(&sets[i].table);
	}
	unload();
}

START_TEST(program_finds_the_rules)
{
	bool unprivileged = _i;
	uint32_t compared = 0;

	live_forked(0, search, &unprivileged, &compared, sizeof(compared));
	ck_assert_uint_eq(compared, SETS * DESTINATIONS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("search in rules");
	TCase *tc = live_case(suite, "search");

	tcase_add_loop_test(tc, program_finds_the_rules, 0, 2);
	return live_main(suite);
}
