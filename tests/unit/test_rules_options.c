/* SPDX-License-Identifier: Apache-2.0 */
/* Options of rules with a synthetic tracer, and what stands in for a set that has no memory. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "fail.h"
#include "unit.h"

#define HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_RULES)
#define ALLOW AGENTSH_EBPF_RULE_ALLOW
#define DENY AGENTSH_EBPF_RULE_DENY
#define ALLOWED AGENTSH_EBPF_VERDICT_ALLOWED
#define DENIED AGENTSH_EBPF_VERDICT_DENIED
#define WOULD_DENY AGENTSH_EBPF_VERDICT_WOULD_DENY

#define RULES_MAX 131071

static struct agentsh_ebpf_tracer *open_with(uint32_t hooks)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.hooks = hooks,
	};

	return unit_open(&options);
}

static int judge(const struct agentsh_ebpf_rules *rules, uint8_t last_byte, uint16_t port)
{
	const struct agentsh_ebpf_address remote = {
		.family = AF_INET,
		.port = port,
		.addr = {192, 0, 2, last_byte},
	};

	return agentsh_ebpf_rules_judge(rules, &remote, IPPROTO_TCP, NULL);
}

/* ---- flags --------------------------------------------------------------------- */

/* What a flag needs, and the words of the message if the tracer lacks it. */
static const struct {
	uint32_t flags, hooks;
	int ret;
	const char *words[2];
} flag_cases[] = {
	{AGENTSH_EBPF_RULES_STRICT_SOCKETS,
	 0,
	 -EOPNOTSUPP,
	 {"STRICT_SOCKETS (4)", "SOCK_CREATE (512)"}},
	{AGENTSH_EBPF_RULES_EGRESS, 0, -EOPNOTSUPP, {"EGRESS (8)", "EGRESS (1024)"}},
	{AGENTSH_EBPF_RULES_STRICT_SOCKETS,
	 AGENTSH_EBPF_HOOK_EGRESS,
	 -EOPNOTSUPP,
	 {"STRICT_SOCKETS (4)", "SOCK_CREATE (512)"}},
	{AGENTSH_EBPF_RULES_EGRESS,
	 AGENTSH_EBPF_HOOK_SOCK_CREATE,
	 -EOPNOTSUPP,
	 {"EGRESS (8)", "EGRESS (1024)"}},
	{AGENTSH_EBPF_RULES_STRICT_SOCKETS, AGENTSH_EBPF_HOOK_SOCK_CREATE, 0, {""}},
	{AGENTSH_EBPF_RULES_EGRESS, AGENTSH_EBPF_HOOK_EGRESS, 0, {""}},
	{15, AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS, 0, {""}},
	{AGENTSH_EBPF_RULES_REFUSE | AGENTSH_EBPF_RULES_AUDIT, 0, 0, {""}},
	{16, AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS, -EINVAL, {"flags", "0x10"}},
	{1U << 31, 0, -EINVAL, {"flags", "0x80000000"}},
};

/* A choice for short memory does not hide that the tracer cannot do what is asked. */
START_TEST(flags_need_hooks)
{
	struct agentsh_ebpf_tracer *tracer = open_with(HOOKS | flag_cases[_i].hooks);
	struct agentsh_ebpf_rules_options o = {
		.size = sizeof(o),
		.flags = flag_cases[_i].flags,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	for (o.on_exhaustion = 0; o.on_exhaustion <= DENY; o.on_exhaustion++) {
		struct agentsh_ebpf_rules *rules = (void *)&err;

		ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, NULL, 0, &o, &rules, &err),
				 flag_cases[_i].ret);
		if (!flag_cases[_i].ret) {
			unit_expect_no_error(&err);
			ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
			continue;
		}
		ck_assert_ptr_null(rules);
		for (size_t i = 0; i < 2; i++)
			unit_expect_error(&err, flag_cases[_i].ret, AGENTSH_EBPF_STEP_OPTIONS,
					  flag_cases[_i].words[i]);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- short memory ---------------------------------------------------------------- */

/* What judge() says of the set that stands in. */
static const struct {
	uint32_t action, flags;
	int verdict;
} spare_cases[] = {
	{DENY, 0, DENIED},
	{ALLOW, 0, ALLOWED},
	{DENY, AGENTSH_EBPF_RULES_AUDIT, WOULD_DENY},
	{ALLOW, AGENTSH_EBPF_RULES_AUDIT, ALLOWED},
	{DENY, AGENTSH_EBPF_RULES_REFUSE, DENIED},
};

/* Rules that expire for one destination: more than a set can have. */
#define TOO_MANY_EXPIRE 9

static struct agentsh_ebpf_rule list[RULES_MAX + 1];

/* Each rule says the opposite of the set that stands in, as does the default. */
static void fill(size_t count, uint32_t stands_in)
{
	memset(list, 0, sizeof(list));
	for (size_t i = 0; i < count; i++) {
		list[i].action = stands_in == DENY ? ALLOW : DENY;
		list[i].flags = i == 0 ? AGENTSH_EBPF_RULE_LISTED : 0;
		list[i].rule_id = (uint32_t)i;
		if (count == TOO_MANY_EXPIRE)
			list[i].expires_boottime_ns = UINT64_MAX - i;
	}
}

static struct agentsh_ebpf_rules_options spare_options(size_t number)
{
	return (struct agentsh_ebpf_rules_options){
		.size = sizeof(struct agentsh_ebpf_rules_options),
		.flags = spare_cases[number].flags,
		.default_action = spare_cases[number].action == DENY ? ALLOW : DENY,
		.on_exhaustion = spare_cases[number].action,
	};
}

/* The set has no rule and no list, and a session can have it. */
static void expect_spare(struct agentsh_ebpf_tracer *tracer, struct agentsh_ebpf_rules *rules,
			 int verdict)
{
	struct agentsh_ebpf_session_options o = {.size = sizeof(o), .rules = rules};
	const struct agentsh_ebpf_address remote = {.family = AF_INET6, .addr = {0x20, 1}};
	struct agentsh_ebpf_session *session;
	uint32_t rule_id = 7;

	ck_assert_int_eq(judge(rules, 1, 443), verdict);
	ck_assert_int_eq(agentsh_ebpf_rules_judge(rules, &remote, IPPROTO_ICMPV6, &rule_id),
			 verdict);
	ck_assert_uint_eq(rule_id, 0);
	ck_assert_int_eq(agentsh_ebpf_rules_address(rules, 0, AF_INET, "abcd", UINT64_MAX),
			 -ENOENT);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, &o, &session, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_rules_free(rules), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, NULL, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
}

START_TEST(sets_that_do_not_fit)
{
	static const struct {
		size_t count;
		const char *why;
	} sizes[] = {
		{RULES_MAX + 1, "131072 rules are too many"},
		{TOO_MANY_EXPIRE, "9 rules do not fit"},
	};
	struct agentsh_ebpf_tracer *tracer = open_with(HOOKS);
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		struct agentsh_ebpf_rules_options o = spare_options((size_t)_i);
		struct agentsh_ebpf_rules *rules = (void *)&err, *second;

		fill(sizes[i].count, o.on_exhaustion);
		ck_assert_int_eq(
			agentsh_ebpf_rules_create(tracer, list, sizes[i].count, &o, &rules, &err),
			1);
		unit_expect_error(&err, -ENOSPC, AGENTSH_EBPF_STEP_RULES, sizes[i].why);
		/* two of them at the same time, and without err */
		ck_assert_int_eq(
			agentsh_ebpf_rules_create(tracer, list, sizes[i].count, &o, &second, NULL),
			1);
		expect_spare(tracer, rules, spare_cases[_i].verdict);
		ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
		expect_spare(tracer, second, spare_cases[_i].verdict);
		ck_assert_int_eq(agentsh_ebpf_rules_free(second), 0);

		/* without a choice there is no set */
		o.on_exhaustion = 0;
		rules = (void *)&err;
		ck_assert_int_eq(
			agentsh_ebpf_rules_create(tracer, list, sizes[i].count, &o, &rules, &err),
			-ENOSPC);
		ck_assert_ptr_null(rules);
		unit_expect_error(&err, -ENOSPC, AGENTSH_EBPF_STEP_RULES, sizes[i].why);
	}
	agentsh_ebpf_tracer_close(tracer); /* frees what is left, too */
}
END_TEST

/* A rule that is wrong is an error of the host, for which nothing stands in. */
START_TEST(malformed_rules_have_no_substitute)
{
	struct agentsh_ebpf_tracer *tracer = open_with(HOOKS);
	const struct agentsh_ebpf_rules_options o = {.size = sizeof(o), .on_exhaustion = DENY};
	const struct agentsh_ebpf_rule wrong = {.action = 3};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_rules *rules = (void *)&err;

	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, &wrong, 1, &o, &rules, &err), -EINVAL);
	ck_assert_ptr_null(rules);
	unit_expect_error(&err, -EINVAL, AGENTSH_EBPF_STEP_RULES, "rules[0].action");
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Each allocation fails once; only the first, of the handle, leaves the host without a set. */
START_TEST(no_memory)
{
	struct agentsh_ebpf_tracer *tracer = open_with(HOOKS);
	const struct agentsh_ebpf_rules_options o = spare_options((size_t)_i);
	unsigned int nth, stood_in = 0;
	const char *failed = "";
	long blocks;

	if (!fail_has_allocations()) {
		agentsh_ebpf_tracer_close(tracer);
		return; /* a sanitizer or valgrind has the allocator; the plain build fails them */
	}
	fill(3, o.on_exhaustion);
	list[1].addr[0] = 192;
	list[1].family = AF_INET;
	list[1].prefix_len = 8;
	blocks = fail_blocks();
	for (nth = 1; failed; nth++) {
		struct agentsh_ebpf_error err = {.size = sizeof(err)};
		struct agentsh_ebpf_rules *rules = NULL;
		int ret;

		fail_arm(nth, ENOMEM);
		ret = agentsh_ebpf_rules_create(tracer, list, 3, &o, &rules, &err);
		fail_disarm(&failed);
		ck_assert_int_eq(ret, !failed ? 0 : nth == 1 ? -ENOMEM : 1);
		if (failed)
			unit_expect_error(&err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY, "out of memory");
		else
			unit_expect_no_error(&err);
		if (ret == 1) {
			ck_assert_int_eq(judge(rules, 1, 443), spare_cases[_i].verdict);
			stood_in++;
		}
		ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
		ck_assert_int_eq(fail_blocks(), blocks);
	}
	ck_assert_uint_eq(stood_in, nth - 3); /* all but the first and the last round */
	ck_assert_uint_gt(stood_in, 5);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- counters ----------------------------------------------------------------------- */

/* A host of an older header has no room for the newest counters. */
START_TEST(counters_of_an_older_header)
{
	struct agentsh_ebpf_tracer *tracer = open_with(HOOKS);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_stats stats;

	for (int i = 0; i < 2; i++) {
		memset(&stats, 0xa5, sizeof(stats));
		stats.size =
			i ? sizeof(stats) : offsetof(struct agentsh_ebpf_stats, packets_denied);
		ck_assert_int_eq(agentsh_ebpf_session_stats(session, &stats), 0);
		ck_assert_uint_eq(stats.would_deny, 0);
		ck_assert_uint_eq(stats.packets_denied, i ? 0 : 0xa5a5a5a5a5a5a5a5);
		ck_assert_uint_eq(stats.packets_would_deny, i ? 0 : 0xa5a5a5a5a5a5a5a5);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options of rules");
	TCase *tc = unit_case(suite, "options");

	tcase_add_loop_test(tc, flags_need_hooks, 0, (int)UNIT_COUNT(flag_cases));
	tcase_add_loop_test(tc, sets_that_do_not_fit, 0, (int)UNIT_COUNT(spare_cases));
	tcase_add_test(tc, malformed_rules_have_no_substitute);
	tcase_add_loop_test(tc, no_memory, 0, (int)UNIT_COUNT(spare_cases));
	tcase_add_test(tc, counters_of_an_older_header);
	return unit_main(suite);
}
