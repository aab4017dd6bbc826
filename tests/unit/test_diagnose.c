/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reasons why the kernel refuses a call. Each test runs in a separate process (check
 * forks), so that it may drop its capabilities.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/system.h"
#include "checks/diagnose.h"
#include "unit.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

/* Drops all capabilities but these, which the process need not have. */
static void keep_capabilities(const int *keep, size_t count)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2], kept[2] = {{0}};

	ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
	for (size_t i = 0; i < count; i++) {
		struct __user_cap_data_struct *to = &kept[CAP_TO_INDEX(keep[i])];

		to->effective |= data[CAP_TO_INDEX(keep[i])].effective & CAP_TO_MASK(keep[i]);
		to->permitted = to->effective;
	}
	ck_assert_int_eq(syscall(SYS_capset, &header, kept), 0);
}

/* Asserts that the text is one line that fits. */
static bool diagnose(int errnum, char *text, size_t size)
{
	bool whole;

	memset(text, 0x7f, size);
	whole = agentsh_diagnose(errnum, text, size);
	ck_assert_ptr_nonnull(memchr(text, '\0', size));
	ck_assert_int_ne(text[0], '\0');
	ck_assert_ptr_null(strpbrk(text, "\n\r\t\x7f"));
	return whole;
}

static void expect_diagnosis(int errnum, const char *part)
{
	char text[256]; /* as large as the library's buffer */

	ck_assert(diagnose(errnum, text, sizeof(text)));
	ck_assert_msg(strstr(text, part), "\"%s\" does not contain \"%s\"", text, part);
	ck_assert_msg(strlen(text) < sizeof(text) - 1, "cut: \"%s\"", text);
}

START_TEST(no_capability)
{
	static const int all[] = {CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON};

	keep_capabilities(NULL, 0);
	for (size_t i = 0; i < UNIT_COUNT(all); i++)
		ck_assert(!(agentsh_effective_capabilities() >> all[i] & 1));
	expect_diagnosis(EPERM, "CAP_BPF is missing; CAP_NET_ADMIN is missing");
	expect_diagnosis(EACCES, "CAP_BPF is missing; CAP_NET_ADMIN is missing");
}
END_TEST

/* Needs privilege: without it there is no capability to keep. */
START_TEST(one_capability)
{
	static const struct {
		int keep;
		const char *says;
	} cases[] = {
		{CAP_BPF, "CAP_NET_ADMIN is missing"},
		{CAP_NET_ADMIN, "CAP_BPF is missing"},
	};

	if (!(agentsh_effective_capabilities() >> cases[_i].keep & 1))
		return;
	keep_capabilities(&cases[_i].keep, 1);
	ck_assert((agentsh_effective_capabilities() >> cases[_i].keep & 1));
	ck_assert(!(agentsh_effective_capabilities() >> CAP_SYS_ADMIN & 1));
	expect_diagnosis(EPERM, cases[_i].says);
}
END_TEST

/* All capabilities, but in a new user namespace, where bpf(2) does not accept them. */
START_TEST(user_namespace)
{
	char map[64];
	FILE *file;
	int written;

	if (unshare(CLONE_NEWUSER))
		return; /* not permitted here */
	ck_assert((agentsh_effective_capabilities() >> CAP_BPF & 1));
	/* before the map is written */
	expect_diagnosis(EPERM, "user namespace");
	snprintf(map, sizeof(map), "0 %u 1\n", 0U);
	file = fopen("/proc/self/uid_map", "w");
	written = file && fputs(map, file) >= 0;
	if (file)
		written = !fclose(file) && written;
	(void)written; /* only root may map 0; the diagnosis is the same without */
	expect_diagnosis(EPERM, "user namespace");
}
END_TEST

START_TEST(other_errors)
{
	struct rlimit limit;
	char number[32], text[192];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)limit.rlim_cur);
	expect_diagnosis(EMFILE, "RLIMIT_NOFILE");
	expect_diagnosis(EMFILE, number);
	expect_diagnosis(ENFILE, "fs.file-max");
	expect_diagnosis(ENOMEM, "ring_size");
	expect_diagnosis(ENOSYS, "CONFIG_BPF_SYSCALL");
	/* the errno value alone does not explain these completely */
	ck_assert(!diagnose(EINVAL, text, sizeof(text)));
	ck_assert_ptr_nonnull(strstr(text, "kernel"));
	ck_assert(!diagnose(0, text, sizeof(text)));
	ck_assert(!diagnose(-1, text, sizeof(text)));
}
END_TEST

START_TEST(any_size)
{
	static const int errors[] = {EPERM, ENOSYS, EMFILE, ENFILE, ENOMEM, EINVAL};
	char text[64];

	for (size_t i = 0; i < UNIT_COUNT(errors); i++)
		for (size_t size = 2; size < sizeof(text); size++)
			diagnose(errors[i], text, size);
}
END_TEST

/* ---- open ----------------------------------------------------------------  */

static char logged[4096];

static void keep_log(void *ctx, int level, const char *text)
{
	ck_assert_ptr_eq(ctx, logged);
	ck_assert_int_ge(level, AGENTSH_EBPF_LOG_WARN);
	ck_assert_int_le(level, AGENTSH_EBPF_LOG_DEBUG);
	ck_assert_ptr_null(strchr(text, '\n'));
	strncat(logged, text, sizeof(logged) - strlen(logged) - 1);
}

/* Without privilege open gives an errno value, the step and the remedy, and prints nothing. */
START_TEST(open_without_privilege)
{
	const struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.on_log = _i ? keep_log : NULL,
		.log_ctx = logged,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer = (void *)&err;
	int fds = unit_open_fds(), said[2], out = dup(1), old = dup(2), ret;
	char text[256];
	ssize_t n;

	keep_capabilities(NULL, 0);
	ck_assert_int_eq(pipe(said), 0);
	fflush(NULL);
	dup2(said[1], 1);
	dup2(said[1], 2);
	ret = agentsh_ebpf_tracer_open(&o, &tracer, &err);
	fflush(NULL);
	dup2(out, 1);
	dup2(old, 2);
	close(out);
	close(old);
	close(said[1]);
	n = read(said[0], text, sizeof(text) - 1);
	close(said[0]);
	ck_assert_msg(n == 0, "written to stdout or stderr: %.*s", (int)n, text);

	ck_assert_ptr_null(tracer);
	ck_assert_int_eq(unit_open_fds(), fds);
	if (ret == -ENOSYS) { /* the kernel lacks bpf(2), or a filter hides it */
		unit_expect_error(&err, -ENOSYS, AGENTSH_EBPF_STEP_OBJECT_LOAD, "bpf(2)");
		return;
	}
	ck_assert_int_eq(ret, -EPERM);
	unit_expect_error(&err, -EPERM, AGENTSH_EBPF_STEP_OBJECT_LOAD, "CAP_BPF");
	unit_expect_error(&err, -EPERM, AGENTSH_EBPF_STEP_OBJECT_LOAD, "CAP_NET_ADMIN");
	if (_i)
		ck_assert_int_ne(logged[0], '\0');
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diagnose");
	TCase *tcase = unit_case(suite, "diagnose");

	tcase_add_test(tcase, no_capability);
	tcase_add_loop_test(tcase, one_capability, 0, 2);
	tcase_add_test(tcase, user_namespace);
	tcase_add_test(tcase, other_errors);
	tcase_add_test(tcase, any_size);
	tcase_add_loop_test(tcase, open_without_privilege, 0, 2);
	return unit_main(suite);
}
