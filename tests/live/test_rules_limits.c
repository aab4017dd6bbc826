/* SPDX-License-Identifier: Apache-2.0 */
/* Sets at the limits of their memory, and many of them. */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "rules.h"

#ifndef CLONE_NEWTIME /* musl, and glibc before 2.36 */
#define CLONE_NEWTIME 0x80
#endif

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;
static struct live_worker worker;

/* Rules for hosts in one network, to which no test connects. */
static void fill(struct agentsh_ebpf_rule *list, size_t count)
{
	for (uint32_t i = 0; i < count; i++)
		list[i] = (struct agentsh_ebpf_rule){
			.addr = {10, (uint8_t)(i >> 8), (uint8_t)i, 1},
			.family = AF_INET,
			.prefix_len = 32,
			.action = ALLOW,
			.rule_id = i,
		};
}

static int connect_to(uint32_t last_byte)
{
	return rules_connect(&worker, 0x7f000000U | last_byte);
}

START_TEST(a_set_that_does_not_fit_changes_nothing)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS,
		.required_hooks = RULES_HOOKS,
		.rules_bytes = 65536,
		.rules_addresses = 16,
	};
	static struct agentsh_ebpf_rule list[4000];
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_rules *rules, *large;
	const uint8_t address[4] = {127, 0, 0, 1};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	fill(list, LIVE_COUNT(list));
	list[0] = (struct agentsh_ebpf_rule){
		.action = ALLOW,
		.flags = AGENTSH_EBPF_RULE_LISTED,
	};
	rules = rules_create(tracer, list, 1000, DENY, 0);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, rules, NULL), 0);
	ck_assert_int_eq(
		agentsh_ebpf_rules_create(tracer, list, LIVE_COUNT(list), NULL, &large, &err),
		-ENOSPC);
	live_expect_message(&err, "4000 rules,rules_bytes");
	ck_assert_ptr_null(large);
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, list, 1000, NULL, &large, &err),
			 -ENOSPC);
	live_expect_message(&err, "1000 rules,rules_bytes 65536");
	ck_assert_int_eq(connect_to(1), EPERM);
	ck_assert_int_eq(agentsh_ebpf_rules_free(rules), -EBUSY);

	/* addresses */
	for (uint8_t i = 0; i < 16; i++) {
		const uint8_t other[4] = {127, 0, 1, i};

		ck_assert_int_eq(
			agentsh_ebpf_rules_address(rules, 0, AF_INET, other, i ? UINT64_MAX : 1),
			0);
	}
	/* one of them has expired */
	ck_assert_int_eq(agentsh_ebpf_rules_address(rules, 0, AF_INET, address, UINT64_MAX), 0);
	ck_assert_int_eq(connect_to(1), 0);
	ck_assert_int_eq(agentsh_ebpf_rules_address(rules, 0, AF_INET, &(uint8_t[4]){127, 0, 2, 1},
						    UINT64_MAX),
			 -ENOSPC);
	ck_assert_int_eq(connect_to(1), 0);

	/* the nodes of a set that was in force are used again */
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, NULL, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
	rules = rules_create(tracer, list + 1, 1000, DENY, 0);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, rules, NULL), 0);
	ck_assert_int_eq(connect_to(1), EPERM);
	live_worker_stop(&worker);
}
END_TEST

/* ---- short memory --------------------------------------------------------------- */

static struct agentsh_ebpf_rules *stand_in(uint32_t on_exhaustion, uint32_t flags)
{
	static struct agentsh_ebpf_rule list[4000];
	const struct agentsh_ebpf_rules_options options = {
		.size = sizeof(options),
		.flags = flags,
		.default_action = on_exhaustion == DENY ? ALLOW : DENY,
		.on_exhaustion = on_exhaustion,
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_rules *rules;

	fill(list, LIVE_COUNT(list));
	ck_assert_int_eq(
		agentsh_ebpf_rules_create(tracer, list, LIVE_COUNT(list), &options, &rules, &err),
		1);
	ck_assert_int_eq(err.code, -ENOSPC);
	live_expect_message(&err, "4000 rules,rules_bytes");
	return rules;
}

/* Creates sets that allow everything until the kernel memory for sets is used up. */
static size_t use_up_memory(void)
{
	const struct agentsh_ebpf_rule rule = {.action = ALLOW, .rule_id = 1};
	struct agentsh_ebpf_rules *rules;
	size_t count = 0;

	while (!agentsh_ebpf_rules_create(tracer, &rule, 1, NULL, &rules, NULL))
		count++;
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, &rule, 1, NULL, &rules, NULL), -ENOSPC);
	return count;
}

/* What a call that the worker makes is told, and what its event says. */
static void expect_verdict(uint32_t verdict)
{
	live_seen.count = 0;
	ck_assert_int_eq(connect_to(1), verdict == AGENTSH_EBPF_VERDICT_DENIED ? EPERM : 0);
	ck_assert_uint_eq(live_drain(tracer), 1);
	ck_assert_uint_eq(live_seen.list[0].verdict, verdict);
	ck_assert_uint_eq(live_seen.list[0].rule_id, 0);
}

/*
 * A host that fails closed gets sets that deny, also when no kernel memory is left. What it frees
 * of them does not become memory of other sets.
 */
START_TEST(a_host_that_fails_closed)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS,
		.required_hooks = RULES_HOOKS,
		.rules_bytes = 4096,
	};
	struct agentsh_ebpf_session_options with_rules = {.size = sizeof(with_rules)};
	struct agentsh_ebpf_rules *first, *second, *opens;
	struct live_cgroup other_cgroup;
	struct live_worker other;

	live_cgroup_make(&cgroup, NULL);
	live_cgroup_make(&other_cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);

	first = stand_in(DENY, 0);
	rules_set(session, first);
	expect_verdict(AGENTSH_EBPF_VERDICT_DENIED);
	rules_set(session, NULL);
	ck_assert_int_eq(agentsh_ebpf_rules_free(first), 0);
	ck_assert_uint_gt(use_up_memory(), 0);

	first = stand_in(DENY, 0);
	second = stand_in(DENY, AGENTSH_EBPF_RULES_AUDIT);
	opens = stand_in(ALLOW, 0);
	rules_set(session, first);
	expect_verdict(AGENTSH_EBPF_VERDICT_DENIED);
	with_rules.rules = first;
	live_attach_with(tracer, &other_cgroup, &with_rules);
	live_worker_start(&other, &other_cgroup);
	ck_assert_int_eq(rules_connect(&other, 0x7f000001), EPERM);
	live_worker_stop(&other);
	live_drain(tracer);
	rules_set(session, opens);
	expect_verdict(AGENTSH_EBPF_VERDICT_ALLOWED);
	rules_set(session, second);
	expect_verdict(AGENTSH_EBPF_VERDICT_WOULD_DENY);
	ck_assert_int_eq(agentsh_ebpf_rules_free(first), -EBUSY);
	live_worker_stop(&worker);
}
END_TEST

/* ---- many ---------------------------------------------------------------------- */

#define MANY 1000
#define RULES_EACH 1000
#define LOOPBACK(i) (0x7f000001U + (i)) /* the address that session i alone may use */

/* Descriptors of a session: its cgroup, twice, and the links of four programs. */
#define DESCRIPTORS_EACH 6

static struct live_cgroup cgroups[MANY];
static struct agentsh_ebpf_session *sessions[MANY];

/* The number of sessions for which this process may have descriptors. */
static uint32_t sessions_that_fit(void)
{
	const rlim_t needed = MANY * DESCRIPTORS_EACH + 200;
	struct rlimit limit;

	LIVE_CHECK(!getrlimit(RLIMIT_NOFILE, &limit), "getrlimit: %s", strerror(errno));
	if (limit.rlim_max < needed)
		limit.rlim_max = needed;
	if (limit.rlim_cur < needed)
		limit.rlim_cur = needed;
	if (!setrlimit(RLIMIT_NOFILE, &limit))
		return MANY;
	LIVE_CHECK(errno == EPERM && !getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_max > 400,
		   "setrlimit: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	LIVE_CHECK(!setrlimit(RLIMIT_NOFILE, &limit), "setrlimit: %s", strerror(errno));
	printf("this process may have only %llu descriptors, which is less than %d sessions need\n",
	       (unsigned long long)limit.rlim_max, MANY);
	return (uint32_t)((limit.rlim_max - 200) / DESCRIPTORS_EACH);
}

static void attach_with_own_rules(uint32_t i)
{
	static struct agentsh_ebpf_rule list[RULES_EACH];
	struct agentsh_ebpf_session_options of = {.size = sizeof(of), .session_id = i};
	uint32_t allowed = LOOPBACK(i);

	if (!i)
		fill(list, LIVE_COUNT(list));
	list[500] = (struct agentsh_ebpf_rule){
		.addr = {127, (uint8_t)(allowed >> 16), (uint8_t)(allowed >> 8), (uint8_t)allowed},
		.family = AF_INET,
		.prefix_len = 32,
		.action = ALLOW,
		.rule_id = 5000 + i,
	};
	live_cgroup_make(&cgroups[i], NULL);
	of.rules = rules_create(tracer, list, LIVE_COUNT(list), DENY, 0);
	sessions[i] = live_attach_with(tracer, &cgroups[i], &of);
}

struct two_errors {
	int own, other; /* errno values, or 0 */
};

/* live_fn: in each cgroup a connect() to its own address and one to that of the next session. */
static void connect_in_each(const void *arg, void *out)
{
	const uint32_t count = (uint32_t) * (const size_t *)arg;
	struct two_errors *errors = out;

	for (uint32_t i = 0; i < count; i++) {
		live_cgroup_enter(&cgroups[i]);
		errors[i].own = rules_connect_here(LOOPBACK(i));
		errors[i].other = rules_connect_here(LOOPBACK((i + 1) % count));
	}
}

static void expect_own(size_t i, const struct two_errors *errors)
{
	const struct agentsh_ebpf_event *own = &live_seen.list[2 * i], *other = own + 1;

	LIVE_CHECK(!errors->own && errors->other == EPERM, "session %zu: %d and %d", i, errors->own,
		   errors->other);
	LIVE_CHECK(own->session_id == i && own->rule_id == 5000 + i &&
			   own->verdict == AGENTSH_EBPF_VERDICT_ALLOWED,
		   "session %zu: verdict %u of rule %u", i, own->verdict, own->rule_id);
	LIVE_CHECK(other->session_id == i && !other->rule_id &&
			   other->verdict == AGENTSH_EBPF_VERDICT_DENIED,
		   "session %zu: verdict %u of rule %u", i, other->verdict, other->rule_id);
}

/* Each of many sessions has rules of its own. */
START_TEST(many_sessions)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS,
		.required_hooks = RULES_HOOKS,
		.max_sessions = MANY,
		.rules_bytes = MANY * RULES_EACH * 64, /* the header says 33 bytes per rule */
	};
	static struct two_errors errors[MANY];
	size_t count = sessions_that_fit();

	tracer = live_open(&options);
	for (uint32_t i = 0; i < count; i++)
		attach_with_own_rules(i);
	live_worker_start(&worker, NULL);
	live_seen.count = 0;
	live_worker_call(&worker, connect_in_each, &count, sizeof(count), errors,
			 count * sizeof(*errors));
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_drain(tracer), 2 * count);
	for (size_t i = 0; i < count; i++)
		expect_own(i, &errors[i]);
	/* one of them changes, and its neighbours stay as they are */
	rules_set(sessions[1], NULL);
	live_worker_start(&worker, &cgroups[1]);
	ck_assert_int_eq(rules_connect(&worker, LOOPBACK(2)), 0);
	live_worker_stop(&worker);
	for (uint32_t i = 0; i <= 2; i += 2) {
		live_worker_start(&worker, &cgroups[i]);
		ck_assert_int_eq(rules_connect(&worker, LOOPBACK(1)), EPERM);
		live_worker_stop(&worker);
	}
}
END_TEST

/* ---- time ---------------------------------------------------------------------- */

/* A rule that has not expired, as a host sees whose clock is a day ahead. */
static void judge_ahead(const void *expires_ns, void *verdict)
{
	const struct agentsh_ebpf_tracer_options options = {
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.hooks = RULES_HOOKS,
	};
	const struct agentsh_ebpf_rule rule = {
		.action = ALLOW,
		.expires_boottime_ns = *(const uint64_t *)expires_ns,
	};
	const struct agentsh_ebpf_address remote = {.family = AF_INET};

	tracer = live_open(&options);
	*(int *)verdict = agentsh_ebpf_rules_judge(rules_create(tracer, &rule, 1, DENY, 0), &remote,
						   IPPROTO_TCP, NULL);
	live_close(tracer);
}

static void in_time_namespace(const void *expires_ns, void *verdict)
{
	FILE *offsets;

	*(int *)verdict = -1;
	if (unshare(CLONE_NEWTIME))
		return;
	offsets = fopen("/proc/self/timens_offsets", "w");
	LIVE_CHECK(offsets && fputs("boottime 86400 5", offsets) >= 0 && !fclose(offsets),
		   "timens_offsets: %s", strerror(errno));
	live_forked(0, judge_ahead, expires_ns, verdict, sizeof(int));
}

START_TEST(clock_of_a_time_namespace)
{
	uint64_t expires_ns = live_clock_ns(CLOCK_BOOTTIME) + 3600ULL * 1000000000;
	int verdict;

	live_forked(0, in_time_namespace, &expires_ns, &verdict, sizeof(verdict));
	if (verdict < 0)
		printf("this kernel has no time namespaces\n");
	else
		ck_assert_int_eq(verdict, AGENTSH_EBPF_VERDICT_ALLOWED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("limits of rules");
	TCase *tc = live_case(s, "limits");

	tcase_add_test(tc, a_set_that_does_not_fit_changes_nothing);
	tcase_add_test(tc, a_host_that_fails_closed);
	tcase_add_test(tc, many_sessions);
	tcase_add_test(tc, clock_of_a_time_namespace);
	return live_main(s);
}
