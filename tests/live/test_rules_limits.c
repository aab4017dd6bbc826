/* SPDX-License-Identifier: Apache-2.0 */
/* Sets at the limits of their memory, and many of them. */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
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

#define MANY 200

/* Each of many sessions has rules of its own. */
START_TEST(many_sessions)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS,
		.required_hooks = RULES_HOOKS,
		.rules_bytes = 16 << 20,
	};
	static struct live_cgroup cgroups[MANY];
	static struct agentsh_ebpf_rule list[1000];

	tracer = live_open(&options);
	fill(list, LIVE_COUNT(list));
	for (uint32_t i = 0; i < MANY; i++) {
		struct agentsh_ebpf_session_options of = {
			.size = sizeof(of),
			.session_id = i,
		};

		list[500] = (struct agentsh_ebpf_rule){
			.addr = {127, 0, 0, (uint8_t)(i + 1)},
			.family = AF_INET,
			.prefix_len = 32,
			.action = ALLOW,
			.rule_id = 5000 + i,
		};
		live_cgroup_make(&cgroups[i], NULL);
		of.rules = rules_create(tracer, list, LIVE_COUNT(list), DENY, 0);
		live_attach_with(tracer, &cgroups[i], &of);
	}
	for (uint32_t i = 0; i < MANY; i += 7) {
		live_worker_start(&worker, &cgroups[i]);
		live_seen.count = 0;
		ck_assert_int_eq(connect_to(i + 1), 0);
		ck_assert_int_eq(connect_to(i + 2), EPERM);
		live_worker_stop(&worker);
		ck_assert_uint_eq(live_drain(tracer), 2);
		ck_assert_uint_eq(live_seen.list[0].rule_id, 5000 + i);
		ck_assert_uint_eq(live_seen.list[1].rule_id, 0);
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
	tcase_add_test(tc, many_sessions);
	tcase_add_test(tc, clock_of_a_time_namespace);
	return live_main(s);
}
