/* SPDX-License-Identifier: Apache-2.0 */
/* Which resources a tracer holds, and that it releases all of them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host_limits.h"
#include "kernel.h"
#include "traffic.h"

#define ATTACH_ROUNDS 1000
#define OPEN_ROUNDS 50
#define ATTACH_WARM_UP 5
#define OPEN_WARM_UP 70 /* malloc counts its caches as memory in use, and they fill slowly */
/* Memory of check and stdio. A leak in each round is far larger. */
#define MEMORY_SLACK 2048
#define PROGRAMS 4
#define FDS 1024

static struct live_cgroup cgroup;
static uint32_t
	marker; /* new per test, so that objects which the kernel still frees do not count */

static void setup(void)
{
	marker = kernel_new_marker();
	live_cgroup_make(&cgroup, NULL);
}

/* Counts the lines that contain text; *value receives the number after the first one. */
static int lines_with(const char *path, const char *text, int *value)
{
	FILE *file = fopen(path, "re");
	char line[512];
	int count = 0;

	LIVE_CHECK(file, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, text);

		if (at && !count++ && value)
			*value = atoi(at + strlen(text));
	}
	fclose(file);
	return count;
}

static int threads(void)
{
	int count = 0;

	lines_with("/proc/self/status", "Threads:", &count);
	return count;
}

static int bpf_mappings(void)
{
	return lines_with("/proc/self/maps", "anon_inode:bpf", NULL);
}

static struct agentsh_ebpf_tracer *open_marked(void)
{
	const struct agentsh_ebpf_tracer_options options = {.max_sessions = marker};

	return live_open(&options);
}

START_TEST(attach_and_detach_rounds)
{
	struct agentsh_ebpf_tracer *tracer = open_marked();
	static struct kernel_ids before, after;
	size_t memory = 0;
	int fds = 0;

	for (int i = 0; i < ATTACH_ROUNDS + ATTACH_WARM_UP; i++) {
		struct agentsh_ebpf_session *session = live_attach(tracer, &cgroup, 1);

		ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
		if (i == ATTACH_WARM_UP - 1) {
			kernel_ids(marker, &before);
			fds = live_open_fds();
			memory = mallinfo2().uordblks;
		}
	}
	ck_assert_int_eq(live_open_fds(), fds);
	ck_assert_uint_le(mallinfo2().uordblks, memory + MEMORY_SLACK);
	ck_assert_int_eq(threads(), 1);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), 0);
	ck_assert_msg(kernel_links_become(marker, 0), "links are left");
	kernel_ids(marker, &after);
	ck_assert_uint_eq(after.programs, PROGRAMS);
	ck_assert_uint_eq(after.programs, before.programs);
	ck_assert_mem_eq(after.program, before.program, sizeof(after.program));
	ck_assert_uint_eq(after.maps, before.maps);
	ck_assert_uint_eq(live_tracer_stats(tracer).attach_failures, 0);
	live_close(tracer);
	ck_assert_msg(kernel_gone(&after), "programs or maps are left");
}
END_TEST

START_TEST(open_and_close_rounds)
{
	static struct kernel_ids ids[OPEN_ROUNDS];
	size_t memory = 0;
	int fds = 0;

	for (int i = 0; i < OPEN_WARM_UP; i++)
		live_close(open_marked());
	for (int i = 0; i < OPEN_ROUNDS; i++) {
		struct agentsh_ebpf_tracer *tracer = open_marked();

		live_attach(tracer, &cgroup, 1);
		ck_assert_int_eq(threads(), 1);
		kernel_ids(marker, &ids[i]);
		ck_assert_uint_ge(ids[i].programs,
				  PROGRAMS); /* those of the previous round may still exist */
		ck_assert_uint_ge(ids[i].links, PROGRAMS);
		ck_assert_uint_gt(ids[i].maps, 2);
		live_close(tracer); /* the session too */
		ck_assert_uint_eq(kernel_attached(cgroup.fd), 0);
		if (i == 0) {
			fds = live_open_fds();
			memory = mallinfo2().uordblks;
		}
	}
	ck_assert_int_eq(live_open_fds(), fds);
	ck_assert_uint_le(mallinfo2().uordblks, memory + MEMORY_SLACK);
	ck_assert_int_eq(bpf_mappings(), 0);
	ck_assert_int_eq(threads(), 1);
	for (int i = 0; i < OPEN_ROUNDS; i++)
		ck_assert_msg(kernel_gone(&ids[i]), "something of round %d is left", i);
}
END_TEST

/* Programs are loaded once per tracer, not once per session. */
START_TEST(a_session_costs_its_links_and_a_descriptor)
{
	struct agentsh_ebpf_tracer *tracer = open_marked();
	struct live_cgroup many[20];
	static struct kernel_ids before, after;
	int fds;

	kernel_ids(marker, &before);
	ck_assert_uint_eq(before.programs, PROGRAMS);
	ck_assert_uint_eq(before.links, 0);
	for (int i = 0; i < 20; i++)
		live_cgroup_make(&many[i], NULL);
	fds = live_open_fds();
	for (int i = 0; i < 20; i++)
		live_attach(tracer, &many[i], 1);
	kernel_ids(marker, &after);
	ck_assert_uint_eq(after.programs, before.programs);
	ck_assert_uint_eq(after.maps, before.maps);
	ck_assert_uint_eq(after.links, 20 * PROGRAMS);
	ck_assert_int_le(live_open_fds(), fds + 20 * (PROGRAMS + 1)); /* one of the cgroup */
	ck_assert_uint_eq(kernel_attached(many[0].fd), PROGRAMS);
	live_close(tracer);
	for (int i = 0; i < 20; i++) {
		ck_assert_uint_eq(kernel_attached(many[i].fd), 0);
		close(many[i].fd);
	}
	ck_assert_msg(kernel_gone(&after), "something is left");
}
END_TEST

/* A forked child that is still alive holds copies of the descriptors. */
START_TEST(detach_while_a_child_has_copies)
{
	struct agentsh_ebpf_tracer *tracer = open_marked();
	struct agentsh_ebpf_session *session;
	struct live_worker worker;

	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), PROGRAMS);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), 0);
	session = live_attach(tracer, &cgroup, 2);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 2));
	live_drain(tracer);
	traffic_expect(0, 2, 1, 2);
	live_close(tracer);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), 0);
	live_worker_stop(&worker);
}
END_TEST

static void *detach_without_bpf(void *session)
{
	LIVE_CHECK(!host_refuse_bpf(EPERM), "seccomp: %s", strerror(errno));
	LIVE_CHECK(!agentsh_ebpf_session_detach(session), "detach");
	return NULL;
}

/* The programs then run on, and no other session gets the counters to which they add. */
START_TEST(detach_without_privilege_while_a_child_has_copies)
{
	const struct agentsh_ebpf_tracer_options options = {.max_sessions = 1};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	struct agentsh_ebpf_session *session = live_attach(tracer, &cgroup, 1);
	struct live_cgroup other;
	struct live_worker worker;
	pthread_t thread;

	live_cgroup_make(&other, NULL);
	live_worker_start(&worker, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, detach_without_bpf, session), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), PROGRAMS);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, other.fd, NULL, &session, NULL),
			 -ENOSPC);
	live_worker_stop(&worker);
	live_close(tracer);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), 0);
}
END_TEST

START_TEST(descriptors_are_close_on_exec)
{
	bool before[FDS];
	struct agentsh_ebpf_tracer *tracer;
	int mine = 0;

	for (int fd = 0; fd < FDS; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	tracer = open_marked();
	live_attach(tracer, &cgroup, 1);
	for (int fd = 0; fd < FDS; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags < 0 || before[fd])
			continue;
		mine++;
		ck_assert_msg(flags & FD_CLOEXEC, "descriptor %d survives exec", fd);
	}
	ck_assert_int_gt(mine, PROGRAMS);
}
END_TEST

/* The kernel ends the process at any system call but exit_group(2). */
static void only_exit(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {.len = LIVE_COUNT(code), .filter = code};

	LIVE_CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
			   !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program),
		   "seccomp: %s", strerror(errno));
}

START_TEST(statistics_without_a_system_call)
{
	struct agentsh_ebpf_tracer *tracer = open_marked();
	struct agentsh_ebpf_session *session = live_attach(tracer, &cgroup, 1);
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		only_exit();
		/* not _exit(), in which a sanitizer makes more calls */
		syscall(SYS_exit_group,
			agentsh_ebpf_tracer_stats(tracer, &stats) || stats.sessions != 1 ||
				agentsh_ebpf_session_stats(session, &stats) || stats.sessions != 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- the host dies ------------------------------------------------------ */

static void host_begins(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	live_attach(open_marked(), &cgroup, 1);
}

START_TEST(host_killed)
{
	static struct kernel_ids ids;
	struct live_worker host, worker;

	live_worker_start(&worker, &cgroup);
	live_worker_start(&host, NULL);
	live_worker_call(&host, host_begins, NULL, 0, NULL, 0);
	kernel_ids(marker, &ids);
	ck_assert_uint_eq(ids.programs, PROGRAMS);
	ck_assert_uint_eq(ids.links, PROGRAMS);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), PROGRAMS);
	/* while a process of the session is at work, and the ring is full */
	traffic_begin(&worker, CONNECTS(.first = 1, .count = 20000));
	live_worker_kill(&host);
	live_worker_receive(&worker, NULL, 0);
	ck_assert_msg(kernel_gone(&ids), "the dead host's programs, maps or links are left");
	ck_assert_uint_eq(kernel_attached(cgroup.fd), 0);
	live_worker_stop(&worker);
}
END_TEST

static void sleep_until_killed(const void *unused, void *child)
{
	(void)unused;
	live_attach(open_marked(), &cgroup, 1);
	*(pid_t *)child = fork();
	if (!*(pid_t *)child) {
		alarm(60); /* ends the child if the test fails */
		for (;;)
			pause();
	}
}

/* A child that was forked and has not called exec holds copies of the links. */
START_TEST(host_killed_with_a_child)
{
	static struct kernel_ids ids;
	struct live_worker host;
	pid_t child = 0;

	live_worker_start(&host, NULL);
	live_worker_call(&host, sleep_until_killed, NULL, 0, &child, sizeof(child));
	ck_assert_int_gt(child, 0);
	kernel_ids(marker, &ids);
	ck_assert_uint_eq(ids.links, PROGRAMS);
	live_worker_kill(&host);
	ck_assert_uint_eq(kernel_attached(cgroup.fd), PROGRAMS);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_msg(kernel_gone(&ids), "programs, maps or links outlive the child");
	ck_assert_uint_eq(kernel_attached(cgroup.fd), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("resource");
	TCase *tcase = live_case(suite, "resources");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, attach_and_detach_rounds);
	tcase_add_test(tcase, open_and_close_rounds);
	tcase_add_test(tcase, a_session_costs_its_links_and_a_descriptor);
	tcase_add_test(tcase, detach_while_a_child_has_copies);
	tcase_add_test(tcase, detach_without_privilege_while_a_child_has_copies);
	tcase_add_test(tcase, descriptors_are_close_on_exec);
	tcase_add_test(tcase, statistics_without_a_system_call);
	tcase_add_test(tcase, host_killed);
	tcase_add_test(tcase, host_killed_with_a_child);
	return live_main(suite);
}
