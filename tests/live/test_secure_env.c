/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that gains privileges by execve(2), such as a set-user-ID program, ignores the
 * environment of its caller. The kernel treats an execve() by a process whose real and
 * effective user differ in the same way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live.h"

#define READER "read-environment"
#define MODE_BEFORE AGENTSH_EBPF_MODE_REQUIRED
#define MASK_BEFORE 77

enum { IGNORED = 10, READ = 11, WRONG = 12, PLAIN = 20 };

/* Runs after execve(): returns whether the execution is secure, and what was read. */
static int read_environment(void)
{
	uint32_t mode = MODE_BEFORE;
	uint64_t mask = MASK_BEFORE;
	int ret = agentsh_ebpf_mode_from_env(&mode, &mask, NULL), base;

	base = getauxval(AT_SECURE) ? 0 : PLAIN;
	if (!ret && mode == MODE_BEFORE && mask == MASK_BEFORE)
		return base + IGNORED;
	if (!ret && mode == AGENTSH_EBPF_MODE_DISABLED && mask == 1 << AGENTSH_EBPF_CHECK_BTF)
		return base + READ;
	return base + WRONG;
}

static int executed(int secure)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	LIVE_CHECK(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		setenv("AGENTSH_EBPF", "off", 1);
		setenv("AGENTSH_EBPF_SIMULATE_MISSING", "btf", 1);
		if (secure && setresuid(65534, 0, 0))
			_exit(1);
		execl("/proc/self/exe", "test", READER, (char *)NULL);
		_exit(2);
	}
	LIVE_CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "status 0x%x", status);
	return WEXITSTATUS(status);
}

START_TEST(ignored_when_secure)
{
	ck_assert_int_eq(executed(0), PLAIN + READ);
	ck_assert_int_eq(executed(1), IGNORED);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;

	if (argc == 2 && !strcmp(argv[1], READER))
		return read_environment();
	suite = suite_create("secure environment");
	tcase_add_test(live_case(suite, "environment"), ignored_when_secure);
	return live_main(suite);
}
