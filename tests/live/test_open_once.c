/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One open asks once what this process may do: every question is a system call, and some
 * answers cost a host descriptors for a moment.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "fail.h"
#include "live.h"

/*
 * A trial takes as many descriptors as a load needs, 73: an eventfd and its duplicates, each
 * with the lowest number from 0 on. Other duplicates of the library and libbpf are from 3 on.
 */
#define TRIAL_DUPLICATES 72

enum question { CAPGET, BPF_ALLOWED, USERNS, LOCKDOWN, JIT, TRIAL, QUESTIONS };

static const struct {
	const char *what;
	const char *call;
	const char *path;
	long number, arg;
	unsigned int times;
} questions[QUESTIONS] = {
	[CAPGET] = {.what = "capget(2)", .call = "syscall", .number = SYS_capget, .times = 1},
	[BPF_ALLOWED] = {.what = "bpf(2) with a command that does not exist",
			 .call = "syscall",
			 .number = SYS_bpf,
			 .arg = -1,
			 .times = 1},
	[USERNS] = {.what = "the user namespace",
		    .call = "stat",
		    .path = "/proc/self/ns/user",
		    .times = 1},
	[LOCKDOWN] = {.what = "lockdown",
		      .call = "open",
		      .path = "/sys/kernel/security/lockdown",
		      .times = 1},
	[JIT] = {.what = "the JIT compiler",
		 .call = "open",
		 .path = "/proc/sys/net/core/bpf_jit_enable",
		 .times = 1},
	[TRIAL] = {.what = "trial descriptors",
		   .call = "fcntl",
		   .number = F_DUPFD_CLOEXEC,
		   .times = TRIAL_DUPLICATES},
};

static unsigned int asked[QUESTIONS];

static void count(const char *name, const char *path, long number, long arg)
{
	for (int i = 0; i < QUESTIONS; i++) {
		if (strcmp(name, questions[i].call))
			continue;
		if (questions[i].path) {
			if (path && !strcmp(path, questions[i].path))
				asked[i]++;
		} else if (number == questions[i].number &&
			   (i == CAPGET || (int)arg == (int)questions[i].arg)) {
			asked[i]++;
		}
	}
}

static struct agentsh_ebpf_tracer *open_counted(uint32_t mode)
{
	const struct agentsh_ebpf_tracer_options options = {.size = sizeof(options), .mode = mode};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;
	int ret;

	memset(asked, 0, sizeof(asked));
	fail_watch(count);
	ret = agentsh_ebpf_tracer_open(&options, &tracer, &err);
	fail_watch(NULL);
	LIVE_CHECK(!ret, "open: %d, %s", ret, err.message);
	return tracer;
}

/* The second open of a process asks again: its answers may have changed. */
START_TEST(open_asks_once)
{
	for (int round = 0; round < 2; round++) {
		agentsh_ebpf_tracer_close(open_counted(AGENTSH_EBPF_MODE_AUTO));
		for (int i = 0; i < QUESTIONS; i++)
			LIVE_CHECK(asked[i] == questions[i].times, "open %d: %s: %u calls, not %u",
				   round + 1, questions[i].what, asked[i], questions[i].times);
	}
}
END_TEST

/* A synthetic tracer needs no privilege, so open does not ask. */
START_TEST(synthetic_open_does_not_ask)
{
	agentsh_ebpf_tracer_close(open_counted(AGENTSH_EBPF_MODE_SYNTHETIC));
	for (int i = 0; i < QUESTIONS; i++)
		LIVE_CHECK(!asked[i], "%s: %u calls", questions[i].what, asked[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("open_once");
	TCase *tcase = live_case(suite, "open_once");

	tcase_add_test(tcase, open_asks_once);
	tcase_add_test(tcase, synthetic_open_does_not_ask);
	return live_main(suite);
}
