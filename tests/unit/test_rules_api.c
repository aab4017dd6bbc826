/* SPDX-License-Identifier: Apache-2.0 */
/* The calls about rules with a synthetic tracer: arguments, errors, life, and short memory. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail.h"
#include "unit.h"

#define HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_RULES)
#define ALLOW AGENTSH_EBPF_RULE_ALLOW
#define DENY AGENTSH_EBPF_RULE_DENY
#define ALLOWED AGENTSH_EBPF_VERDICT_ALLOWED
#define DENIED AGENTSH_EBPF_VERDICT_DENIED
#define WOULD_DENY AGENTSH_EBPF_VERDICT_WOULD_DENY

static const struct agentsh_ebpf_tracer_options with_rules = {
	.size = sizeof(with_rules),
	.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
	.hooks = HOOKS,
};
static const struct agentsh_ebpf_rule allow_one = {
	.addr = {192, 0, 2, 1},
	.family = AF_INET,
	.prefix_len = 32,
	.rule_id = 9,
	.action = ALLOW,
};

static struct agentsh_ebpf_rules *create(struct agentsh_ebpf_tracer *tracer,
					 const struct agentsh_ebpf_rule *list, size_t count,
					 uint32_t default_action, uint32_t flags)
{
	const struct agentsh_ebpf_rules_options options = {
		.size = sizeof(options),
		.flags = flags,
		.default_action = default_action,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_rules *rules;
	int ret = agentsh_ebpf_rules_create(tracer, list, count, &options, &rules, &err);

	ck_assert_msg(!ret, "%d %s", ret, err.message);
	unit_expect_no_error(&err);
	return rules;
}

static int judge(const struct agentsh_ebpf_rules *rules, uint8_t last_byte, uint16_t protocol,
		 uint16_t port)
{
	const struct agentsh_ebpf_address remote = {
		.family = AF_INET,
		.port = port,
		.addr = {192, 0, 2, last_byte},
	};

	return agentsh_ebpf_rules_judge(rules, &remote, protocol, NULL);
}

/* ---- malformed rules ---------------------------------------------------------- */

static const struct malformed {
	struct agentsh_ebpf_rule rule;
	const char *member;
} malformed[] = {
	{{.action = 0}, "action"},
	{{.action = 3}, "action"},
	{{.action = ALLOW, .family = 1}, "family"},
	{{.action = ALLOW, .family = 256 + AF_INET}, "family"},
	{{.action = ALLOW, .prefix_len = 1}, "prefix_len"},
	{{.action = ALLOW, .family = AF_INET, .prefix_len = 33}, "prefix_len"},
	{{.action = ALLOW, .family = AF_INET6, .prefix_len = 129}, "prefix_len"},
	{{.action = ALLOW, .protocol = IPPROTO_SCTP}, "protocol"},
	{{.action = ALLOW, .protocol = 254}, "protocol"},
	{{.action = ALLOW, .first_port = 2, .last_port = 1}, "last_port"},
	{{.action = ALLOW, .protocol = AGENTSH_EBPF_RULE_OTHER_PROTOCOLS, .first_port = 1},
	 "first_port"},
	{{.action = ALLOW, .protocol = AGENTSH_EBPF_RULE_OTHER_PROTOCOLS, .last_port = 65535},
	 "last_port"},
	{{.action = ALLOW, .flags = 2}, "flags"},
	{{.action = ALLOW, .reserved = 1}, "reserved"},
};

START_TEST(malformed_rules)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(&with_rules);
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_rules *rules = (void *)&err;
	struct agentsh_ebpf_rule list[2] = {allow_one};
	char where[64];

	list[1] = malformed[_i].rule;
	snprintf(where, sizeof(where), "rules[1].%s", malformed[_i].member);
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, list, 2, NULL, &rules, &err), -EINVAL);
	ck_assert_ptr_null(rules);
	unit_expect_error(&err, -EINVAL, AGENTSH_EBPF_STEP_RULES, where);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(arguments)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(&with_rules),
				   *other = unit_open(&with_rules);
	struct agentsh_ebpf_tracer *without = unit_open(NULL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_rules_options o = {.size = sizeof(o), .flags = 1U << 4};
	struct agentsh_ebpf_session_options attach = {.size = sizeof(attach)};
	struct agentsh_ebpf_session *none;
	struct agentsh_ebpf_rules *rules;

	ck_assert_int_eq(agentsh_ebpf_rules_create(NULL, NULL, 0, NULL, &rules, &err), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, NULL, 1, NULL, &rules, &err), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, NULL, 0, NULL, NULL, &err), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, NULL, 0, &o, &rules, &err), -EINVAL);
	o.flags = 0;
	o.default_action = 3;
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, NULL, 0, &o, &rules, &err), -ERANGE);
	o.default_action = 0;
	o.on_exhaustion = 3;
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, NULL, 0, &o, &rules, &err), -ERANGE);
	o.on_exhaustion = 0;
	o.size = 3;
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, NULL, 0, &o, &rules, &err), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_rules_create(without, NULL, 0, NULL, &rules, &err),
			 -EOPNOTSUPP);
	unit_expect_error(&err, -EOPNOTSUPP, AGENTSH_EBPF_STEP_OPTIONS, "RULES");
	ck_assert_int_eq(agentsh_ebpf_rules_free(NULL), 0);

	rules = create(other, NULL, 0, 0, 0);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(NULL, rules, &err), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, rules, &err), -EINVAL);
	unit_expect_error(&err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS, "another tracer");
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(unit_attach(without, 2), NULL, &err),
			 -EOPNOTSUPP);
	attach.rules = rules;
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, &attach, &none, &err), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_session_attach(without, 0, &attach, &none, &err),
			 -EOPNOTSUPP);

	ck_assert_int_eq(agentsh_ebpf_rules_address(NULL, 1, AF_INET, "abcd", 1), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_rules_address(rules, 1, AF_INET, NULL, 1), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_rules_address(rules, 1, AF_UNIX, "abcd", 1), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_rules_judge(NULL, NULL, 6, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_rules_judge(rules, NULL, 6, NULL), -EFAULT);
	ck_assert_int_eq(
		agentsh_ebpf_rules_judge(rules, &(struct agentsh_ebpf_address){0}, 6, NULL),
		-EINVAL);
	agentsh_ebpf_tracer_close(tracer);
	agentsh_ebpf_tracer_close(other);
	agentsh_ebpf_tracer_close(without);
}
END_TEST

/* ---- what rules mean ------------------------------------------------------------- */

START_TEST(ports_and_protocols)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(&with_rules);
	struct agentsh_ebpf_rule rule = allow_one;
	struct agentsh_ebpf_rules *rules = create(tracer, &rule, 1, DENY, 0);

	/* no ports: every port, and protocols without ports */
	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 0), ALLOWED);
	ck_assert_int_eq(judge(rules, 1, 262, 443), ALLOWED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_UDP, 65535), ALLOWED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_SCTP, 5), ALLOWED);
	ck_assert_int_eq(judge(rules, 2, IPPROTO_TCP, 443), DENIED);

	/* one port */
	rule.first_port = 443;
	rules = create(tracer, &rule, 1, DENY, 0);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 443), ALLOWED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 442), DENIED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 444), DENIED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_SCTP, 443), DENIED);

	/* a range, of one protocol */
	rule.last_port = 500;
	rule.protocol = IPPROTO_UDP;
	rules = create(tracer, &rule, 1, DENY, 0);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_UDP, 500), ALLOWED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_UDPLITE, 443), ALLOWED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_UDP, 501), DENIED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 450), DENIED);

	rule.first_port = rule.last_port = 0;
	rule.protocol = AGENTSH_EBPF_RULE_OTHER_PROTOCOLS;
	rules = create(tracer, &rule, 1, DENY, 0);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_ICMP, 0), ALLOWED);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_UDP, 1), DENIED);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(audit_and_default)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(&with_rules);
	struct agentsh_ebpf_rules *rules = create(tracer, &allow_one, 1, 0, 0);
	const struct agentsh_ebpf_address one = {.family = AF_INET, .addr = {192, 0, 2, 1}};
	const struct agentsh_ebpf_address mapped = {
		.family = AF_INET6,
		.addr = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1},
	};
	uint32_t rule_id = 1;

	ck_assert_int_eq(judge(rules, 2, IPPROTO_TCP, 1), ALLOWED);
	rules = create(tracer, &allow_one, 1, DENY, AGENTSH_EBPF_RULES_AUDIT);
	ck_assert_int_eq(judge(rules, 2, IPPROTO_TCP, 1), WOULD_DENY);
	ck_assert_int_eq(agentsh_ebpf_rules_judge(rules, &one, IPPROTO_TCP, &rule_id), ALLOWED);
	ck_assert_uint_eq(rule_id, 9);
	ck_assert_int_eq(agentsh_ebpf_rules_judge(rules, &mapped, IPPROTO_TCP, &rule_id), ALLOWED);
	ck_assert_uint_eq(rule_id, 9);
	ck_assert_int_eq(agentsh_ebpf_rules_judge(create(tracer, NULL, 0, DENY, 0), &one,
						  IPPROTO_TCP, &rule_id),
			 DENIED);
	ck_assert_uint_eq(rule_id, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

static int list(struct agentsh_ebpf_rules *rules, uint32_t rule_id, uint8_t last_byte,
		uint64_t expires_ns)
{
	const uint8_t addr[4] = {192, 0, 2, last_byte};

	return agentsh_ebpf_rules_address(rules, rule_id, AF_INET, addr, expires_ns);
}

START_TEST(listed_addresses)
{
	struct agentsh_ebpf_rule listed = {
		.action = ALLOW,
		.flags = AGENTSH_EBPF_RULE_LISTED,
		.rule_id = 5,
	};
	struct agentsh_ebpf_tracer *tracer = unit_open(&with_rules);
	struct agentsh_ebpf_rules *rules = create(tracer, &listed, 1, DENY, 0);

	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 1), DENIED);
	ck_assert_int_eq(list(rules, 4, 1, UINT64_MAX), -ENOENT);
	ck_assert_int_eq(list(rules, 5, 1, 0), -ENOENT);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(list(rules, 5, (uint8_t)i, UINT64_MAX), 0);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 1), ALLOWED);
	ck_assert_int_eq(judge(rules, 199, IPPROTO_TCP, 1), ALLOWED);
	ck_assert_int_eq(judge(rules, 200, IPPROTO_TCP, 1), DENIED);
	ck_assert_int_eq(list(rules, 5, 1, 1), 0); /* expired long ago */
	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 1), DENIED);
	ck_assert_int_eq(list(rules, 5, 2, 0), 0);
	ck_assert_int_eq(judge(rules, 2, IPPROTO_TCP, 1), DENIED);
	ck_assert_int_eq(judge(rules, 3, IPPROTO_TCP, 1), ALLOWED);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- life --------------------------------------------------------------------------- */

START_TEST(sets_in_use_stay)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(&with_rules);
	struct agentsh_ebpf_rules *first = create(tracer, &allow_one, 1, DENY, 0);
	struct agentsh_ebpf_rules *second = create(tracer, NULL, 0, DENY, 0);
	struct agentsh_ebpf_session_options o = {.size = sizeof(o), .rules = first};
	struct agentsh_ebpf_session *a, *b;

	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, &o, &a, NULL), 0);
	b = unit_attach(tracer, 2);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(b, first, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(b, first, NULL), 0); /* once more */
	ck_assert_int_eq(agentsh_ebpf_rules_free(first), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(b, second, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_rules_free(first), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_session_detach(a), 0);
	ck_assert_int_eq(agentsh_ebpf_rules_free(first), 0);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(a, second, NULL), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_rules_free(second), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(b, NULL, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_rules_free(second), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(forked_child)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(&with_rules);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_rules *rules = create(tracer, &allow_one, 1, DENY, 0), *none;
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		bool refused =
			agentsh_ebpf_rules_create(tracer, NULL, 0, NULL, &none, NULL) == -EPERM &&
			agentsh_ebpf_session_set_rules(session, rules, NULL) == -EPERM &&
			agentsh_ebpf_rules_free(rules) == -EPERM &&
			list(rules, 9, 1, 1) == -EPERM && judge(rules, 1, 6, 1) == -EPERM;

		agentsh_ebpf_tracer_close(tracer);
		_exit(!refused);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(judge(rules, 1, IPPROTO_TCP, 1), ALLOWED);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Without memory a call fails and leaves nothing behind. */
START_TEST(no_memory)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(&with_rules);
	struct agentsh_ebpf_rule list_of[2] = {allow_one, allow_one};
	const char *failed = "";
	long blocks = fail_blocks();

	list_of[1].flags = AGENTSH_EBPF_RULE_LISTED;
	if (!fail_has_allocations()) {
		agentsh_ebpf_tracer_close(tracer);
		return; /* a sanitizer or valgrind has the allocator; the plain build fails them */
	}
	for (unsigned int nth = 1; failed; nth++) {
		struct agentsh_ebpf_error err = {.size = sizeof(err)};
		struct agentsh_ebpf_rules *rules;
		int ret;

		fail_arm(nth, ENOMEM);
		ret = agentsh_ebpf_rules_create(tracer, list_of, 2, NULL, &rules, &err);
		if (!ret)
			ret = list(rules, 9, 1, UINT64_MAX);
		fail_disarm(&failed);
		ck_assert_int_eq(ret, failed ? -ENOMEM : 0);
		ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
		ck_assert_int_eq(fail_blocks(), blocks);
		ck_assert(nth > 5 || failed);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("calls about rules");
	TCase *tc = unit_case(suite, "calls");

	tcase_add_loop_test(tc, malformed_rules, 0, (int)UNIT_COUNT(malformed));
	tcase_add_test(tc, arguments);
	tcase_add_test(tc, ports_and_protocols);
	tcase_add_test(tc, audit_and_default);
	tcase_add_test(tc, listed_addresses);
	tcase_add_test(tc, sets_in_use_stay);
	tcase_add_test(tc, forked_child);
	tcase_add_test(tc, no_memory);
	return unit_main(suite);
}
