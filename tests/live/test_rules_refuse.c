/* SPDX-License-Identifier: Apache-2.0 */
/* REFUSE: calls that the rules deny fail as if nobody listened. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "rules.h"
#include "rules_ways.h"

#define REFUSE AGENTSH_EBPF_RULES_REFUSE
#define AUDIT AGENTSH_EBPF_RULES_AUDIT
#define STRICT AGENTSH_EBPF_RULES_STRICT_SOCKETS
#define EGRESS AGENTSH_EBPF_RULES_EGRESS
#define WITHOUT_SET_RETVAL (1ULL << AGENTSH_EBPF_CHECK_SET_RETVAL)
#define HOOKS (RULES_HOOKS | AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS)

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;
static struct live_worker worker;

/* Whether the probe says that programs can choose the error. */
static bool kernel_can(void)
{
	static struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps)};

	ck_assert_int_eq(agentsh_ebpf_capability_probe(&caps), 0);
	return caps.checks[AGENTSH_EBPF_CHECK_SET_RETVAL].status == AGENTSH_EBPF_STATUS_AVAILABLE;
}

static void begin(uint64_t missing)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = HOOKS,
		.required_hooks = HOOKS,
		.flags = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP,
		.simulate_missing = missing,
	};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
}

static int go(uint32_t number)
{
	const struct way_try arg = {.number = number};
	struct way_result result;

	live_seen.count = 0;
	live_worker_call(&worker, way_go, &arg, sizeof(arg), &result, sizeof(result));
	live_drain(tracer);
	return result.error;
}

/* Denies everything; all ways but those of ping sockets, which this namespace forbids. */
static void expect_all(uint32_t flags, int error)
{
	uint32_t verdict =
		flags & AUDIT ? AGENTSH_EBPF_VERDICT_WOULD_DENY : AGENTSH_EBPF_VERDICT_DENIED;
	size_t tried = 0;

	rules_set(session, rules_create(tracer, NULL, 0, DENY, flags));
	for (uint32_t i = 0; i < ways_count; i++) {
		int got;

		if (way_protocol(&ways[i]) == AGENTSH_EBPF_RULE_OTHER_PROTOCOLS)
			continue;
		got = go(i);
		if (got == WAY_ABSENT)
			continue;
		tried++;
		LIVE_CHECK(live_seen.count && live_seen.list[0].verdict == verdict,
			   "%s: %zu events, verdict %u", ways[i].name, live_seen.count,
			   live_seen.list[0].verdict);
		/* nobody listens: TCP gets the same error from the peer */
		if (flags & AUDIT)
			LIVE_CHECK(got == 0 || (got == ECONNREFUSED && ways[i].type == SOCK_STREAM),
				   "%s: %s", ways[i].name, strerror(got));
		else
			LIVE_CHECK(got == error, "%s: %s", ways[i].name, strerror(got));
	}
	ck_assert_uint_ge(tried, 20);
}

START_TEST(each_way)
{
	begin(0);
	expect_all(0, EPERM);
	if (kernel_can()) {
		expect_all(REFUSE, ECONNREFUSED);
		expect_all(REFUSE | EGRESS | STRICT, ECONNREFUSED);
		expect_all(REFUSE | AUDIT, 0);
		expect_all(0, EPERM);
	}
	live_worker_stop(&worker);
}
END_TEST

static int create(uint32_t flags, struct agentsh_ebpf_error *err)
{
	const struct agentsh_ebpf_rules_options options = {.size = sizeof(options), .flags = flags};
	struct agentsh_ebpf_rules *rules = NULL;
	int ret = agentsh_ebpf_rules_create(tracer, NULL, 0, &options, &rules, err);

	ck_assert((ret == 0) == (rules != NULL));
	if (rules)
		ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
	return ret;
}

static bool is_6_1_or_later(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	ck_assert(!uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2);
	return major > 6 || (major == 6 && minor >= 1);
}

START_TEST(exactly_if_the_probe_says_so)
{
	struct agentsh_ebpf_error err = LIVE_ERROR;

	begin(0);
	/* the kernels of the tests have what Linux had at that version */
	ck_assert_int_eq(kernel_can(), is_6_1_or_later());
	ck_assert_int_eq(create(REFUSE, &err), kernel_can() ? 0 : -EOPNOTSUPP);
	if (!kernel_can())
		live_expect_message(&err, "REFUSE,6.1");
	live_worker_stop(&worker);
}
END_TEST

/* As on an older kernel: the programs load without the function, and refuse with EPERM. */
START_TEST(simulated_missing)
{
	struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps),
						 .simulate_missing = WITHOUT_SET_RETVAL};
	struct agentsh_ebpf_error err = LIVE_ERROR;

	ck_assert_int_eq(agentsh_ebpf_capability_probe(&caps), 0);
	ck_assert_int_eq(caps.checks[AGENTSH_EBPF_CHECK_SET_RETVAL].status,
			 AGENTSH_EBPF_STATUS_SIMULATED);
	begin(WITHOUT_SET_RETVAL);
	ck_assert_int_eq(create(REFUSE, &err), -EOPNOTSUPP);
	live_expect_message(&err, "REFUSE,6.1");
	ck_assert_int_eq(create(REFUSE | AUDIT, &err), -EOPNOTSUPP);
	expect_all(0, EPERM);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(without_perfmon)
{
	begin(1ULL << AGENTSH_EBPF_CHECK_CAP_PERFMON);
	expect_all(0, EPERM);
	if (kernel_can())
		expect_all(REFUSE, ECONNREFUSED);
	live_worker_stop(&worker);
}
END_TEST

/* The program of the inner session runs first, and its error stays if both refuse. */
START_TEST(nested_sessions)
{
	struct agentsh_ebpf_session *inner;
	struct live_cgroup child;

	begin(0);
	live_worker_stop(&worker);
	if (!kernel_can())
		return;
	live_cgroup_make(&child, &cgroup);
	inner = live_attach(tracer, &child, 2);
	live_worker_start(&worker, &child);
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
	rules_set(session, rules_create(tracer, NULL, 0, DENY, 0));
	rules_set(inner, rules_create(tracer, NULL, 0, DENY, REFUSE));
	ck_assert_int_eq(go(0), ECONNREFUSED);
	rules_set(inner, NULL);
	ck_assert_int_eq(go(0), EPERM);
	rules_set(inner, rules_create(tracer, NULL, 0, ALLOW, REFUSE));
	ck_assert_int_eq(go(0), EPERM);
	rules_set(session, rules_create(tracer, NULL, 0, DENY, REFUSE));
	rules_set(inner, rules_create(tracer, NULL, 0, ALLOW, 0));
	ck_assert_int_eq(go(0), ECONNREFUSED);
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("refused connections");
	TCase *tc = live_case(s, "refuse");

	tcase_add_test(tc, each_way);
	tcase_add_test(tc, exactly_if_the_probe_says_so);
	tcase_add_test(tc, simulated_missing);
	tcase_add_test(tc, without_perfmon);
	tcase_add_test(tc, nested_sessions);
	return live_main(s);
}
