/* SPDX-License-Identifier: Apache-2.0 */
/* Too few descriptors or too little memory: a clear error, nothing left behind, usable later. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernel.h"
#include "traffic.h"

#define ENOUGH 80 /* more descriptors than an open has at its peak */

static struct rlimit many;

/* Allows exactly this many further descriptors. */
static void allow(int more)
{
	struct rlimit few = many;
	int fds[ENOUGH + 1] = {0};

	/* the limit applies to numbers, and some lower ones are unused: find the right number */
	for (int i = 0; i <= more; i++) {
		fds[i] = dup(0);
		LIVE_CHECK(fds[i] >= 0, "dup: %s", strerror(errno));
	}
	few.rlim_cur = (rlim_t)fds[more];
	for (int i = 0; i <= more; i++)
		close(fds[i]);
	LIVE_CHECK(!setrlimit(RLIMIT_NOFILE, &few), "setrlimit: %s", strerror(errno));
}

static void allow_all(void)
{
	LIVE_CHECK(!setrlimit(RLIMIT_NOFILE, &many), "setrlimit: %s", strerror(errno));
}

static void count_omissions(void *ctx, int level, const char *line)
{
	(void)level;
	/* if the kernel hides tasks, they are left out even with enough descriptors */
	*(int *)ctx += strstr(line, "events come without") &&
		       (!kernel_hides_tasks() || strstr(line, "comm,"));
}

/*
 * An open with few descriptors fails with EMFILE or works, and leaves nothing behind. A later
 * open with enough descriptors works and leaves nothing out.
 */
static void open_with_few(const void *arg, void *out)
{
	int more = *(const int *)arg, fds = live_open_fds(), omissions = 0, ret;
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.on_log = count_omissions,
		.log_ctx = &omissions,
	};
	struct agentsh_ebpf_tracer *tracer = (void *)&many;
	struct agentsh_ebpf_error err = LIVE_ERROR;

	getrlimit(RLIMIT_NOFILE, &many);
	allow(more);
	ret = agentsh_ebpf_tracer_open(NULL, &tracer, &err);
	allow_all();
	LIVE_CHECK(ret == 0 || ret == -EMFILE, "%d more: %d (step %u, %s)", more, ret, err.step,
		   err.message);
	LIVE_CHECK(ret == err.code && !ret == !!tracer, "%d more: code or *out", more);
	if (ret)
		live_expect_message(&err, "RLIMIT_NOFILE");
	agentsh_ebpf_tracer_close(tracer);
	LIVE_CHECK(live_open_fds() == fds, "%d more: %d descriptors, were %d", more,
		   live_open_fds(), fds);
	*(int *)out = ret;

	ret = agentsh_ebpf_tracer_open(&options, &tracer, &err);
	LIVE_CHECK(!ret && !omissions, "with all descriptors, after a try with %d: %d (%s)", more,
		   ret, ret ? err.message : "events come without something");
	agentsh_ebpf_tracer_close(tracer);
}

/*
 * One process per number: libbpf never asks the kernel again about a feature that it found
 * missing, and mistakes its own lack of a descriptor for a missing feature.
 */
START_TEST(open_without_descriptors)
{
	int failed = 0;

	for (int more = 0; more <= ENOUGH; more++) {
		struct live_worker host;
		int ret = 0;

		live_worker_start(&host, NULL);
		live_worker_call(&host, open_with_few, &more, sizeof(more), &ret, sizeof(ret));
		live_worker_stop(&host);
		failed += ret != 0;
	}
	ck_assert_int_gt(failed, 0);
	ck_assert_int_lt(failed, ENOUGH);
}
END_TEST

static struct live_cgroup cgroup;

static void attach_with_few(const void *unused, void *out)
{
	struct agentsh_ebpf_tracer *tracer = live_open(NULL);
	struct agentsh_ebpf_session *session;
	struct live_worker worker;
	int fds = live_open_fds();

	(void)unused;
	getrlimit(RLIMIT_NOFILE, &many);
	for (int more = 0; more < 5; more++) {
		const uint32_t step = more ? AGENTSH_EBPF_STEP_LINK : AGENTSH_EBPF_STEP_CGROUP;
		struct agentsh_ebpf_error err = LIVE_ERROR;
		int ret;

		session = (void *)&many;
		allow(more);
		ret = agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &session, &err);
		allow_all();
		LIVE_CHECK(ret == -EMFILE && !session && err.step == step, "%d more: %d (%s)", more,
			   ret, err.message);
		live_expect_message(&err, "RLIMIT_NOFILE");
		LIVE_CHECK(live_open_fds() == fds, "%d more: descriptors are left", more);
		LIVE_CHECK(kernel_attached(cgroup.fd) == 0, "%d more: programs are left", more);
	}
	LIVE_CHECK(live_tracer_stats(tracer).attach_failures == 5, "attach_failures");
	allow(5); /* one per link, and one of the cgroup */
	session = live_attach(tracer, &cgroup, 6);
	allow_all();
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 3));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 6, 1, 3);
	LIVE_CHECK(!agentsh_ebpf_session_detach(session), "detach");
	live_close(tracer);
	*(int *)out = 1;
}

START_TEST(attach_without_descriptors)
{
	struct live_worker host;
	int done = 0;

	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&host, NULL);
	live_worker_call(&host, attach_with_few, NULL, 0, &done, sizeof(done));
	live_worker_stop(&host);
	ck_assert_int_eq(done, 1);
}
END_TEST

/* Too little address space to map the ring, which is the last step but one of an open. */
static void open_with_little_address_space(const void *unused, void *out)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options), .ring_size = 64U << 20, /* mapped twice in a row */
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_tracer *tracer = (void *)&many;
	struct rlimit all, few;
	int ret, fds = live_open_fds();
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	(void)unused;
	LIVE_CHECK(file && fscanf(file, "%ld", &pages) == 1 && !getrlimit(RLIMIT_AS, &all),
		   "statm");
	fclose(file);
	few = all;
	few.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + options.ring_size;
	LIVE_CHECK(!setrlimit(RLIMIT_AS, &few), "setrlimit: %s", strerror(errno));
	ret = agentsh_ebpf_tracer_open(&options, &tracer, &err);
	setrlimit(RLIMIT_AS, &all);
	LIVE_CHECK(ret == -ENOMEM && !tracer, "%d (%s)", ret, err.message);
	LIVE_CHECK(err.step == AGENTSH_EBPF_STEP_RING_MAP, "step %u", err.step);
	live_expect_message(&err, "memory,ring_size");
	LIVE_CHECK(live_open_fds() == fds, "descriptors are left");
	live_close(live_open(NULL));
	*(int *)out = 1;
}

START_TEST(open_without_address_space)
{
	struct live_worker host;
	int done = 0;

	live_worker_start(&host, NULL);
	live_worker_call(&host, open_with_little_address_space, NULL, 0, &done, sizeof(done));
	live_worker_stop(&host);
	ck_assert_int_eq(done, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = live_case(suite, "limits");

	tcase_add_test(tcase, open_without_descriptors);
	tcase_add_test(tcase, attach_without_descriptors);
	tcase_add_test(tcase, open_without_address_space);
	return live_main(suite);
}
