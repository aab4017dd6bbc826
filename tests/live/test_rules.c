/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: each way to name a destination is judged, refused and reported as they say. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "rules.h"
#include "rules_ways.h"

#define SESSION_ID 15
#define RULE_ID 70000 /* more than 16 bits */

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;
static bool in_netns_of_host;

/* What the rules of a case say, and what is expected. */
struct verdict_case {
	const char *name;
	uint16_t action; /* of a rule for exactly the destination; 0: no rule */
	uint32_t default_action;
	uint32_t flags;
	uint32_t verdict;
};

static const struct verdict_case verdict_cases[] = {
	{"allowed by a rule", ALLOW, DENY, 0, AGENTSH_EBPF_VERDICT_ALLOWED},
	{"denied by a rule", DENY, ALLOW, 0, AGENTSH_EBPF_VERDICT_DENIED},
	{"allowed by default", 0, ALLOW, 0, AGENTSH_EBPF_VERDICT_ALLOWED},
	{"denied by default", 0, DENY, 0, AGENTSH_EBPF_VERDICT_DENIED},
	{"would be denied", DENY, ALLOW, AGENTSH_EBPF_RULES_AUDIT, AGENTSH_EBPF_VERDICT_WOULD_DENY},
};

/* A rule for the destination of the way, between rules for its neighbours that say the opposite. */
static struct agentsh_ebpf_rules *rules_for(const struct way *way, const struct verdict_case *c)
{
	struct agentsh_ebpf_address remote = way_remote(way);
	struct agentsh_ebpf_rule list[3];
	size_t count = 0;

	memset(list, 0, sizeof(list));
	for (int i = 0; i < 3; i++) {
		struct agentsh_ebpf_rule *rule = &list[count];

		if (i == 1 && !c->action)
			continue;
		memcpy(rule->addr, remote.addr, sizeof(rule->addr));
		rule->family = remote.family;
		rule->prefix_len = remote.family == AF_INET ? 32 : 128;
		rule->protocol = way_protocol(way);
		rule->first_port = way->port;
		rule->rule_id = RULE_ID + (uint32_t)i;
		rule->action = i == 1					    ? c->action
			       : c->verdict == AGENTSH_EBPF_VERDICT_ALLOWED ? DENY
									    : ALLOW;
		if (i == 0)
			rule->addr[remote.family == AF_INET ? 3 : 15] ^= 2;
		if (i == 2 && way->port)
			rule->first_port++;
		else if (i == 2)
			rule->protocol = IPPROTO_TCP;
		count++;
	}
	return rules_create(tracer, list, count, c->default_action, c->flags);
}

static void expect_event(const struct agentsh_ebpf_event *e, const struct way *way,
			 const struct verdict_case *c)
{
	struct agentsh_ebpf_address remote = way_remote(way);
	uint32_t rule_id = c->action ? RULE_ID + 1 : 0;

	LIVE_CHECK(e->kind == way->kind && e->verdict == c->verdict && e->rule_id == rule_id &&
			   e->session_id == SESSION_ID && e->family == remote.family &&
			   e->remote_port == way->port &&
			   !memcmp(e->remote_addr, remote.addr, sizeof(remote.addr)),
		   "%s, %s: kind %u, verdict %u, rule %u, port %u", way->name, c->name, e->kind,
		   e->verdict, e->rule_id, e->remote_port);
}

/* Only ping sockets, and only in the network namespace of the host, which the test leaves alone. */
static bool is_forbidden(const struct way *way, int error)
{
	if (error != WAY_FORBIDDEN)
		return false;
	LIVE_CHECK(in_netns_of_host && way_protocol(way) == AGENTSH_EBPF_RULE_OTHER_PROTOCOLS,
		   "%s: the socket is not allowed", way->name);
	printf("the network namespace of the host does not allow: %s\n", way->name);
	return true;
}

/* Goes one way and compares. Returns false if it cannot be tried. */
static bool try(struct live_worker *worker, uint32_t number, enum way_who who,
		const struct verdict_case *c)
{
	const struct way_try arg = {.number = number, .who = who};
	const struct way *way = &ways[number];
	struct agentsh_ebpf_stats before = live_session_stats(session), after;
	bool denied = c->verdict == AGENTSH_EBPF_VERDICT_DENIED;
	struct agentsh_ebpf_rules *rules = rules_for(way, c);
	struct agentsh_ebpf_address remote = way_remote(way);
	struct way_result result;
	uint32_t rule_id;

	rules_set(session, rules);
	live_seen.count = 0;
	live_worker_call(worker, way_go, &arg, sizeof(arg), &result, sizeof(result));
	live_drain(tracer);
	ck_assert_int_eq(
		agentsh_ebpf_rules_judge(rules, &remote, (uint16_t)way->protocol, &rule_id),
		(int)c->verdict);
	ck_assert_uint_eq(rule_id, c->action ? RULE_ID + 1 : 0);
	ck_assert_int_eq(agentsh_ebpf_rules_free(rules), -EBUSY);
	rules_set(session, NULL);
	ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
	if (is_forbidden(way, result.error))
		return false;
	if (result.error == WAY_ABSENT || (way->absent_before_6_1 && !live_seen.count)) {
		printf("this kernel does not have: %s\n", way->name);
		return false;
	}
	LIVE_CHECK((result.error == EPERM) == denied, "%s, %s: %s", way->name, c->name,
		   strerror(result.error));
	LIVE_CHECK(live_seen.count >= 1, "%s, %s: no event", way->name, c->name);
	expect_event(&live_seen.list[live_seen.count - 1], way, c);
	after = live_session_stats(session);
	/* the last way has a call more, which the default decides */
	if (number + 1 == ways_count)
		return true;
	LIVE_CHECK(live_seen.count == 1, "%s, %s: %zu events", way->name, c->name, live_seen.count);
	LIVE_CHECK(after.allowed - before.allowed == (c->verdict == AGENTSH_EBPF_VERDICT_ALLOWED) &&
			   after.denied - before.denied == denied &&
			   after.would_deny - before.would_deny ==
				   (c->verdict == AGENTSH_EBPF_VERDICT_WOULD_DENY),
		   "%s, %s: counters", way->name, c->name);
	return true;
}

static void try_all(struct live_worker *worker, enum way_who who)
{
	for (uint32_t i = 0; i < ways_count; i++)
		for (size_t j = 0; j < LIVE_COUNT(verdict_cases); j++)
			if (!try(worker, i, who, &verdict_cases[j]))
				break;
}

static void begin(uint64_t missing)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS,
		.required_hooks = RULES_HOOKS,
		.flags = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP,
		.simulate_missing = missing,
	};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, SESSION_ID);
}

static void start(struct live_worker *worker, const struct live_cgroup *at)
{
	live_worker_start(worker, at);
	live_worker_call(worker, way_own_netns, NULL, 0, NULL, 0);
}

START_TEST(each_way)
{
	struct live_worker worker;

	begin(0);
	start(&worker, &cgroup);
	try_all(&worker, BY_PROCESS);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(each_way_without_perfmon)
{
	struct live_worker worker;

	begin(1ULL << AGENTSH_EBPF_CHECK_CAP_PERFMON);
	start(&worker, &cgroup);
	try_all(&worker, BY_PROCESS);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(each_way_by_a_thread_in_a_child_cgroup)
{
	struct live_cgroup child, grandchild;
	struct live_worker worker;

	begin(0);
	live_cgroup_make(&child, &cgroup);
	live_cgroup_make(&grandchild, &child);
	start(&worker, &grandchild);
	try_all(&worker, BY_THREAD);
	live_worker_stop(&worker);
}
END_TEST

/* All other tests are in network namespaces of their own. */
START_TEST(each_way_in_the_netns_of_the_host)
{
	struct live_worker worker;

	begin(0);
	in_netns_of_host = true;
	live_worker_start(&worker, &cgroup);
	try_all(&worker, BY_PROCESS);
	live_worker_stop(&worker);
	in_netns_of_host = false;
}
END_TEST

/* Each try in one namespace more, which the session makes while it has the rules. */
START_TEST(each_way_by_a_child_in_a_new_netns)
{
	struct live_worker worker;

	begin(0);
	start(&worker, &cgroup);
	try_all(&worker, BY_CHILD);
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules");
	TCase *tc = live_case(s, "ways");

	tcase_add_test(tc, each_way);
	tcase_add_test(tc, each_way_without_perfmon);
	tcase_add_test(tc, each_way_by_a_thread_in_a_child_cgroup);
	tcase_add_test(tc, each_way_in_the_netns_of_the_host);
	tcase_add_test(tc, each_way_by_a_child_in_a_new_netns);
	return live_main(s);
}
