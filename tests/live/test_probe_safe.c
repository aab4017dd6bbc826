/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe leaves nothing behind and disturbs nobody: if it is repeated, called from many
 * threads, killed at any moment, or called inside a session.
 */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "live.h"
#include "live_internal.h"
#include "traffic.h"

#define THREADS 8
#define ROUNDS 5
/* The rounds after WARM are measured: LOST_PER_PROBE bytes lost in each exceed the noise. */
#define WARM 20
#define REPEATS 60
#define LOST_PER_PROBE sizeof(struct agentsh_ebpf_capabilities)
#define MEMORY_MAY_GROW ((REPEATS - WARM) * LOST_PER_PROBE)
#define KILLS 100 /* moments of one probe at which a process is killed */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED /* a sanitizer maps memory and keeps freed blocks for a while */
#undef MEMORY_MAY_GROW
#define MEMORY_MAY_GROW (64U << 20)
#endif

static struct live_cgroup cgroup;

static struct agentsh_ebpf_capabilities probe(void)
{
	struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps)};

	LIVE_CHECK(!agentsh_ebpf_capability_probe(&caps), "probe");
	return caps;
}

#define PROBE_DEDUP_ENTRIES 16 /* only the probe's tracer has a map of this size */

/* Number of kernel objects of probes: of their tracers, and the maps that they only try. */
static size_t left_over(void)
{
	static struct kernel_ids ids;

	kernel_ids(PROBE_DEDUP_ENTRIES, &ids);
	return ids.programs + ids.maps + ids.links + kernel_maps_named("agentsh_probe");
}

/* The kernel frees asynchronously. This also waits for other tests that probe at this moment. */
static void expect_nothing_left(void)
{
	const struct timespec step = {.tv_nsec = 20000000};
	size_t left = 0;

	for (int i = 0; i < LIVE_DEADLINE_MS / 20; i++) {
		left = left_over();
		if (!left && !kernel_attached(cgroup.fd))
			return;
		nanosleep(&step, NULL);
	}
	LIVE_FAIL("%zu programs, maps and links of the probe are left, %u attached", left,
		  kernel_attached(cgroup.fd));
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	LIVE_CHECK(dir, "%s: %s", path, strerror(errno));
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Bytes held by malloc and by mappings: lost memory shows up in one of them. */
static size_t memory_held(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	size_t bytes = mallinfo2().uordblks;
	unsigned long from, to;
	char line[512];

	LIVE_CHECK(file, "/proc/self/maps: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		/* mallinfo2() has counted the heap */
		if (!strchr(line, '[') && sscanf(line, "%lx-%lx", &from, &to) == 2)
			bytes += to - from;
	}
	fclose(file);
	return bytes;
}

struct cost {
	double first_ms, median_ms;
	long grown;
	int fds;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void probe_often(const void *unused, void *out)
{
	static double took[REPEATS];
	struct cost *cost = out;
	int before = live_open_fds();
	size_t held = 0;

	(void)unused;
	for (int i = 0; i < REPEATS; i++) {
		struct timespec from, to;

		if (i == WARM)
			held = memory_held();
		clock_gettime(CLOCK_MONOTONIC, &from);
		LIVE_CHECK(probe().usable, "not usable");
		clock_gettime(CLOCK_MONOTONIC, &to);
		took[i] = (double)(to.tv_sec - from.tv_sec) * 1e3 +
			  (double)(to.tv_nsec - from.tv_nsec) / 1e6;
	}
	cost->first_ms = took[0];
	cost->grown = (long)(memory_held() - held);
	cost->fds = live_open_fds() - before;
	qsort(took, REPEATS, sizeof(took[0]), by_value);
	cost->median_ms = took[REPEATS / 2];
}

START_TEST(repeated)
{
	struct live_worker worker;
	struct cost cost;
	int groups;

	live_cgroup_make(&cgroup, NULL);
	groups = entries(cgroup.path);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, probe_often, NULL, 0, &cost, sizeof(cost));
	printf("a probe took %.1f ms, the first %.1f; %d of them: %ld bytes more\n", cost.median_ms,
	       cost.first_ms, REPEATS - WARM, cost.grown);
	ck_assert_int_eq(cost.fds, 0);
	ck_assert_int_eq(entries(cgroup.path), groups);
	live_worker_stop(&worker);
	expect_nothing_left();
	LIVE_CHECK(cost.grown < (long)MEMORY_MAY_GROW, "%ld bytes", cost.grown);
}
END_TEST

/* ---- threads ------------------------------------------------------------ */

static void *thread_probes(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		struct agentsh_ebpf_capabilities caps = probe();

		LIVE_CHECK(caps.usable && caps.hooks == agentsh_ebpf_hooks_built() &&
				   !caps.load_only,
			   "%s", caps.reason);
	}
	return NULL;
}

static void *thread_opens(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		struct agentsh_ebpf_coverage coverage = {.size = sizeof(coverage)};
		struct agentsh_ebpf_tracer *tracer;
		struct agentsh_ebpf_session *session;

		LIVE_CHECK(!agentsh_ebpf_tracer_open(NULL, &tracer, NULL), "open");
		LIVE_CHECK(!agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &session, NULL),
			   "attach");
		LIVE_CHECK(!agentsh_ebpf_coverage(tracer, &coverage), "coverage");
		LIVE_CHECK(!agentsh_ebpf_session_detach(session), "detach");
		agentsh_ebpf_tracer_close(tracer);
	}
	return NULL;
}

static void many_threads(const void *unused, void *unused_out)
{
	pthread_t threads[THREADS + 2];
	int before = live_open_fds();

	(void)unused;
	(void)unused_out;
	for (int i = 0; i < THREADS + 2; i++)
		LIVE_CHECK(!pthread_create(&threads[i], NULL,
					   i < THREADS ? thread_probes : thread_opens, NULL),
			   "pthread_create");
	for (int i = 0; i < THREADS + 2; i++)
		pthread_join(threads[i], NULL);
	LIVE_CHECK(live_open_fds() == before, "descriptors are left");
}

START_TEST(from_many_threads)
{
	struct live_worker worker;

	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, many_threads, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	expect_nothing_left();
}
END_TEST

/* ---- killed ------------------------------------------------------------- */

/* Kills a little later each time, so that every phase of a probe is hit. */
START_TEST(killed_at_any_moment)
{
	struct timespec from, to;
	int groups, early = 0;
	int64_t whole_ns;

	live_cgroup_make(&cgroup, NULL);
	groups = entries(cgroup.path);
	probe();
	clock_gettime(CLOCK_MONOTONIC, &from);
	probe();
	clock_gettime(CLOCK_MONOTONIC, &to);
	whole_ns = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
	for (int i = 0; i < KILLS; i++) {
		const struct timespec moment = {.tv_nsec = whole_ns % 900000000 * i / KILLS};
		int ready[2], status;
		pid_t pid;
		char c;

		LIVE_CHECK(!pipe(ready), "pipe: %s", strerror(errno));
		fflush(NULL);
		pid = fork();
		LIVE_CHECK(pid >= 0, "fork: %s", strerror(errno));
		if (!pid) {
			live_is_child();
			live_cgroup_enter(&cgroup);
			if (write(ready[1], "!", 1) != 1)
				_exit(1);
			probe();
			_exit(0);
		}
		close(ready[1]);
		LIVE_CHECK(read(ready[0], &c, 1) == 1, "the child does not begin");
		close(ready[0]);
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		LIVE_CHECK(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
		early += WIFSIGNALED(status);
	}
	printf("killed inside the probe: %d of %d\n", early, KILLS);
	LIVE_CHECK(early > KILLS / 4, "only %d of %d were killed inside it", early, KILLS);
	ck_assert_int_eq(entries(cgroup.path), groups);
	expect_nothing_left();
}
END_TEST

/* ---- inside a session --------------------------------------------------- */

static void probe_here(const void *unused, void *usable)
{
	(void)unused;
	*(uint32_t *)usable = probe().usable;
}

START_TEST(inside_a_session)
{
	struct agentsh_ebpf_tracer *tracer = live_open(NULL);
	struct agentsh_ebpf_session *session;
	struct live_worker worker, other;
	uint32_t usable = 0;

	live_cgroup_make(&cgroup, NULL);
	session = live_attach(tracer, &cgroup, 5);
	live_worker_start(&worker, &cgroup);
	live_worker_start(&other, &cgroup);
	/* the probe causes no event */
	live_worker_call(&worker, probe_here, NULL, 0, &usable, sizeof(usable));
	ck_assert_uint_eq(usable, 1);
	ck_assert_uint_eq(live_drain(tracer), 0);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), 4);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 10));
	live_drain(tracer);
	traffic_expect(0, 5, 1, 10);
	/* and loses no event of processes that connect meanwhile */
	live_seen.count = 0;
	for (int i = 0; i < 20; i++) {
		traffic_begin(&other, CONNECTS(.first = 1 + 100 * (uint32_t)i, .count = 100));
		live_worker_call(&worker, probe_here, NULL, 0, &usable, sizeof(usable));
		ck_assert_uint_eq(usable, 1);
		live_worker_receive(&other, NULL, 0);
		live_drain(tracer);
	}
	traffic_expect(0, 5, 1, 2000);
	live_worker_stop(&worker);
	live_worker_stop(&other);
	ck_assert_uint_eq(live_session_stats(session).lost, 0);
	ck_assert_uint_eq(live_seen.count, 2000);
}
END_TEST

static void probe_as_first(const void *unused, void *usable)
{
	LIVE_CHECK(getpid() == 1, "not the first process of the namespace");
	probe_here(unused, usable);
}

/* Runs in a worker, whose later children would all be in that namespace, too. */
static void probe_deeper(const void *unused, void *usable)
{
	live_forked(CLONE_NEWPID, probe_as_first, unused, usable, sizeof(uint32_t));
}

START_TEST(in_a_pid_namespace)
{
	struct live_worker worker;
	uint32_t usable = 0;

	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, probe_deeper, NULL, 0, &usable, sizeof(usable));
	live_worker_stop(&worker);
	ck_assert_uint_eq(usable, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe leaves nothing");
	TCase *tcase = live_case(suite, "safe");

	tcase_add_test(tcase, repeated);
	tcase_add_test(tcase, from_many_threads);
	tcase_add_test(tcase, killed_at_any_moment);
	tcase_add_test(tcase, inside_a_session);
	tcase_add_test(tcase, in_a_pid_namespace);
	return live_main(suite);
}
