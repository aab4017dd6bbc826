/* SPDX-License-Identifier: Apache-2.0 */
/* Names of checks to a mask, and the two environment variables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define CHECKS 24
#define MODE "AGENTSH_EBPF"
#define MISSING "AGENTSH_EBPF_SIMULATE_MISSING"
#define UNTOUCHED 0x1234567890abcdefULL

static struct agentsh_ebpf_error err;

static void setup(void)
{
	memset(&err, 0xa5, sizeof(err));
	err.size = sizeof(err);
	unsetenv(MODE);
	unsetenv(MISSING);
}

static void expect_parsed(const char *names, uint64_t want)
{
	uint64_t mask = UNTOUCHED;

	ck_assert_int_eq(agentsh_ebpf_checks_parse(names, &mask, &err), 0);
	ck_assert_msg(mask == want, "'%s' is 0x%llx", names, (unsigned long long)mask);
	unit_expect_no_error(&err);
	ck_assert_int_eq(agentsh_ebpf_checks_parse(names, &mask, NULL), 0);
}

/* The message contains text, and lists all valid names. */
static void expect_refused(const char *names, const char *text)
{
	uint64_t mask = UNTOUCHED;

	ck_assert_int_eq(agentsh_ebpf_checks_parse(names, &mask, &err), -EINVAL);
	ck_assert_uint_eq(mask, UNTOUCHED);
	unit_expect_error(&err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS, text);
	for (uint32_t i = 0; i < CHECKS; i++)
		ck_assert_msg(strstr(err.message, agentsh_ebpf_check_name(i)),
			      "'%s' does not list %s", err.message, agentsh_ebpf_check_name(i));
	for (const char *c = err.message; *c; c++)
		ck_assert_msg((unsigned char)*c >= ' ' && *c != 0x7f,
			      "0x%02x in the message, which goes into logs", *c);
	ck_assert_int_eq(agentsh_ebpf_checks_parse(names, &mask, NULL), -EINVAL);
}

START_TEST(every_name)
{
	char all[512] = "";

	for (uint32_t i = 0; i < CHECKS; i++) {
		const char *name = agentsh_ebpf_check_name(i);
		char cut[32], more[40];

		expect_parsed(name, 1ULL << i);
		snprintf(cut, sizeof(cut), "%.*s", (int)strlen(name) - 1, name);
		if (strcmp(cut, "connect") && strcmp(cut, "sendmsg") && strcmp(cut, "bind"))
			expect_refused(cut, "is not one of");
		snprintf(more, sizeof(more), "%sx", name);
		expect_refused(more, "is not one of");
		strcat(strcat(all, i ? "," : ""), name);
	}
	expect_parsed(all, (1ULL << CHECKS) - 1);
}
END_TEST

START_TEST(lists)
{
	char longest[100001];

	expect_parsed("", 0);
	expect_parsed(",", 0);
	expect_parsed(",,,,", 0);
	expect_parsed(",btf", 1 << 7);
	expect_parsed("btf,", 1 << 7);
	expect_parsed("btf,,btf,btf", 1 << 7);
	expect_parsed("connect6,btf", 1 << 17 | 1 << 7);
	for (size_t i = 0; i < sizeof(longest) - 1; i++)
		longest[i] = "jit,"[i % 4];
	longest[sizeof(longest) - 1] = '\0';
	expect_parsed(longest, 1 << 15);
}
END_TEST

START_TEST(unknown_names)
{
	char longest[5000];

	expect_refused("nonsense", "'nonsense'");
	expect_refused("btf,nonsense,jit", "'nonsense'");
	expect_refused("unknown", "'unknown'");
	expect_refused("BTF", "'BTF'");
	expect_refused("btf jit", "'btf jit'");
	expect_refused(" btf", "' btf'");
	expect_refused("btf;jit", "'btf;jit'");
	expect_refused("%s%n", "'%s%n'");
	expect_refused("\n\x1b[31m\r\t\x7f", "'");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	expect_refused(longest, "'xxxx");
}
END_TEST

START_TEST(parse_arguments)
{
	struct agentsh_ebpf_error odd = {.size = 3, .code = 77};
	uint64_t mask = UNTOUCHED;

	ck_assert_int_eq(agentsh_ebpf_checks_parse(NULL, &mask, &err), -EFAULT);
	unit_expect_error(&err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "names");
	ck_assert_int_eq(agentsh_ebpf_checks_parse("btf", NULL, &err), -EFAULT);
	unit_expect_error(&err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "mask");
	ck_assert_int_eq(agentsh_ebpf_checks_parse("btf", &mask, &odd), -EINVAL);
	ck_assert_int_eq(odd.code, 77);
	ck_assert_uint_eq(mask, UNTOUCHED);
}
END_TEST

/* ---- environment -------------------------------------------------------- */

struct setting {
	const char *mode, *missing; /* NULL: not set */
	int ret;
	uint32_t want; /* the mode afterwards; before it is 2 */
	uint64_t mask;
	const char *words;
};

static const struct setting settings[] = {
	{NULL, NULL, 0, 2, UNTOUCHED, NULL},
	{"", "", 0, 2, UNTOUCHED, NULL},
	{"off", NULL, 0, AGENTSH_EBPF_MODE_DISABLED, UNTOUCHED, NULL},
	{"auto", NULL, 0, AGENTSH_EBPF_MODE_AUTO, UNTOUCHED, NULL},
	{"required", NULL, 0, AGENTSH_EBPF_MODE_REQUIRED, UNTOUCHED, NULL},
	{"off", "btf,connect4", 0, AGENTSH_EBPF_MODE_DISABLED, 1 << 7 | 1 << 16, NULL},
	{NULL, "cgroup2", 0, 2, 1 << 8, NULL},
	{"synthetic", NULL, -EINVAL, 2, UNTOUCHED, "'synthetic'"},
	{"disabled", NULL, -EINVAL, 2, UNTOUCHED, "off, auto or required"},
	{"OFF", NULL, -EINVAL, 2, UNTOUCHED, "'OFF'"},
	{"off ", NULL, -EINVAL, 2, UNTOUCHED, "'off '"},
	{"0", NULL, -EINVAL, 2, UNTOUCHED, "'0'"},
	{"off\nforged line", NULL, -EINVAL, 2, UNTOUCHED, "AGENTSH_EBPF"},
	{"1", "btf", -EINVAL, 2, UNTOUCHED, "'1'"},
	{"off", "nonsense", -EINVAL, 2, UNTOUCHED, "'nonsense'"},
	{"auto", "btf,nonsense", -EINVAL, 2, UNTOUCHED, "'nonsense'"},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaa",
	 NULL, -EINVAL, 2, UNTOUCHED, "off, auto or required"},
};

static void set(const char *name, const char *value)
{
	ck_assert_int_eq(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

START_TEST(environment)
{
	const struct setting *w = &settings[_i];
	uint64_t mask = UNTOUCHED;
	uint32_t mode = 2;

	set(MODE, w->mode);
	set(MISSING, w->missing);
	ck_assert_int_eq(agentsh_ebpf_mode_from_env(&mode, &mask, &err), w->ret);
	ck_assert_uint_eq(mode, w->want);
	ck_assert_uint_eq(mask, w->mask);
	if (w->ret)
		unit_expect_error(&err, w->ret, AGENTSH_EBPF_STEP_OPTIONS, w->words);
	else
		unit_expect_no_error(&err);
	mode = 2;
	ck_assert_int_eq(agentsh_ebpf_mode_from_env(&mode, &mask, NULL), w->ret);
	ck_assert_uint_eq(mode, w->want);
}
END_TEST

/* A host that does not ask for simulation is not affected by its variable. */
START_TEST(environment_without_simulation)
{
	uint32_t mode = 2;

	set(MODE, "off");
	set(MISSING, "nonsense");
	ck_assert_int_eq(agentsh_ebpf_mode_from_env(&mode, NULL, &err), 0);
	ck_assert_uint_eq(mode, AGENTSH_EBPF_MODE_DISABLED);
	unit_expect_no_error(&err);
}
END_TEST

START_TEST(environment_arguments)
{
	struct agentsh_ebpf_error odd = {.size = 0, .code = 77};
	uint64_t mask = UNTOUCHED;
	uint32_t mode = 2;

	set(MODE, "off");
	set(MISSING, "btf");
	ck_assert_int_eq(agentsh_ebpf_mode_from_env(NULL, &mask, &err), -EFAULT);
	unit_expect_error(&err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "mode");
	ck_assert_int_eq(agentsh_ebpf_mode_from_env(&mode, &mask, &odd), -EINVAL);
	ck_assert_int_eq(odd.code, 77);
	ck_assert_uint_eq(mode, 2);
	ck_assert_uint_eq(mask, UNTOUCHED);
}
END_TEST

/* Probe and open do not read the environment. */
START_TEST(environment_is_read_on_request_only)
{
	struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps)};

	set(MODE, "off");
	set(MISSING, "bpf,btf");
	agentsh_ebpf_tracer_close(unit_open(NULL));
	ck_assert_int_eq(agentsh_ebpf_capability_probe(&caps), 0);
	ck_assert_uint_eq(caps.simulate_missing, 0);
	for (uint32_t i = 0; i < caps.count; i++)
		ck_assert_uint_ne(caps.checks[i].status, AGENTSH_EBPF_STATUS_SIMULATED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mode");
	TCase *tcase = unit_case(suite, "words");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, every_name);
	tcase_add_test(tcase, lists);
	tcase_add_test(tcase, unknown_names);
	tcase_add_test(tcase, parse_arguments);
	tcase_add_loop_test(tcase, environment, 0, UNIT_COUNT(settings));
	tcase_add_test(tcase, environment_without_simulation);
	tcase_add_test(tcase, environment_arguments);
	tcase_add_test(tcase, environment_is_read_on_request_only);
	return unit_main(suite);
}
