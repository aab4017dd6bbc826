/* SPDX-License-Identifier: Apache-2.0 */
/* What agentsh-trace reads from /proc belongs to the process of the event, or is nothing. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"
#include "proc_cache.h"
#include "proc_read.h"

/* ---- Parsing -------------------------------------------------------------- */

#define FIELDS_3_TO_21 "R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"

static bool start_of(const char *stat, uint64_t *ticks)
{
	return proc_parse_start(stat, strlen(stat), ticks);
}

START_TEST(start_time)
{
	static const char *const names[] = {
		"a",  "",      "a) R 1 (b", ")",	") ",
		"((", "a b c", "\\n",	    "\xff\x1b", ") R 1 2 3 4 5 6 7",
	};
	char stat[256];
	uint64_t ticks;

	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		snprintf(stat, sizeof(stat), "12 (%s) " FIELDS_3_TO_21 " 4711 99 98", names[i]);
		ticks = 0;
		ck_assert_msg(start_of(stat, &ticks), "%s", stat);
		ck_assert_uint_eq(ticks, 4711);
	}
}
END_TEST

START_TEST(malformed_start_time)
{
	static const char *const stats[] = {
		"",
		"12",
		"12 (a)",
		"12 (a) R 1 2",
		"12 (a) " FIELDS_3_TO_21,
		"12 (a) " FIELDS_3_TO_21 " ",
		"12 (a) " FIELDS_3_TO_21 " 4711", /* may be cut */
		"12 (a) " FIELDS_3_TO_21 " x 1",
		"12 (a) " FIELDS_3_TO_21 " -1 1",
		"12 (a) " FIELDS_3_TO_21 " 47x 1",
		"12 (a) " FIELDS_3_TO_21 " 123456789012345678901 1",
		"12 a " FIELDS_3_TO_21 " 4711 1",
	};
	uint64_t ticks;

	for (size_t i = 0; i < UNIT_COUNT(stats); i++)
		ck_assert_msg(!start_of(stats[i], &ticks), "%s", stats[i]);
}
END_TEST

START_TEST(time_namespace)
{
	static const char *const malformed[] = {
		"",
		"monotonic 0 0\n",
		"boottime",
		"boottime 1",
		"boottime x 0",
		"boottime 1 1000000000",
		"boottime 1 -1",
		"boottime 99999999999999 0",
	};
	int64_t ns = 1;

	ck_assert(proc_parse_offset("monotonic           0         0\n"
				    "boottime            0         0\n",
				    &ns));
	ck_assert_int_eq(ns, 0);
	ck_assert(proc_parse_offset("monotonic 5 6\nboottime 86400 7\n", &ns));
	ck_assert_int_eq(ns, INT64_C(86400000000007));
	ck_assert(proc_parse_offset("boottime -2 500000000\n", &ns));
	ck_assert_int_eq(ns, INT64_C(-1500000000));
	for (size_t i = 0; i < UNIT_COUNT(malformed); i++)
		ck_assert_msg(!proc_parse_offset(malformed[i], &ns), "%s", malformed[i]);
}
END_TEST

START_TEST(pid_namespace)
{
	unsigned levels;

	ck_assert(proc_parse_levels("Name:\ta\nNSpid:\t12\nNSpgid:\t1\t2\n", &levels));
	ck_assert_uint_eq(levels, 1);
	ck_assert(proc_parse_levels("Name:\tNSpid:\t1\nNSpid:\t12\t1\n", &levels));
	ck_assert_uint_eq(levels, 2);
	ck_assert(!proc_parse_levels("Name:\ta\n", &levels));
	ck_assert(!proc_parse_levels("Name:\ta\nNSpid:\n", &levels));
	ck_assert(!proc_parse_levels("Name:\ta\nNSpid:\t12", &levels));
	ck_assert(!proc_parse_levels("Name:\ta\nNSpid:\tx\n", &levels));
}
END_TEST

/* ---- Reading -------------------------------------------------------------- */

static struct proc_view view;

static uint64_t start_ns(pid_t pid)
{
	char path[64], stat[2048];
	uint64_t ticks;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	n = read(fd, stat, sizeof(stat) - 1);
	ck_assert_int_gt(n, 0);
	close(fd);
	stat[n] = '\0';
	ck_assert(start_of(stat, &ticks));
	return ticks * view.tick_ns - (uint64_t)view.offset_ns;
}

static struct proc_identity identity_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ck_assert_int_eq(stat(path, &st), 0);
	return (struct proc_identity){
		.start_ns = start_ns(pid), .exe_inode = st.st_ino, .pid = (uint32_t)pid};
}

static bool is_empty(const struct proc_found *found)
{
	return !found->has_exe && !found->has_args && !found->args_cut && !found->exe_size &&
	       !found->args_size;
}

/* execve(2) closes descriptors before it stores where the arguments are. */
static void wait_for_arguments(pid_t pid)
{
	char path[64], byte;
	ssize_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	for (int ms = 0; ms < UNIT_DEADLINE_MS && n != 1; ms++) {
		int fd = open(path, O_RDONLY);

		ck_assert_int_ge(fd, 0);
		n = read(fd, &byte, 1);
		close(fd);
		if (n != 1)
			unit_sleep_ms(1);
	}
	ck_assert_int_eq(n, 1);
}

/* Starts a program with one long argument, and waits until it runs. */
static pid_t start_program(size_t size)
{
	char *argument = calloc(1, size + 1), byte;
	int fds[2];
	pid_t pid;

	ck_assert_ptr_nonnull(argument);
	memset(argument, '0', size); /* sleep refuses an argument that is no number */
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sleep", "sleep", "1000", argument, (char *)NULL);
		_exit(127);
	}
	free(argument);
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &byte, 1), 0); /* closed by execve(2) */
	close(fds[0]);
	wait_for_arguments(pid);
	return pid;
}

static void end_program(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

START_TEST(own_process)
{
	static struct proc_found found;
	struct proc_identity id;
	char exe[PROC_EXE_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe));

	ck_assert(proc_view_open(&view));
	id = identity_of(getpid());
	proc_read(&view, &id, &found);
	ck_assert(found.has_exe && found.has_args && !found.args_cut);
	ck_assert_int_eq(n, found.exe_size);
	ck_assert_mem_eq(found.bytes, exe, n);
	ck_assert_uint_gt(found.args_size, 0);
	id.start_ns += view.tick_ns;
	proc_read(&view, &id, &found);
	ck_assert(is_empty(&found));
	id.start_ns -= 2 * view.tick_ns;
	proc_read(&view, &id, &found);
	ck_assert(is_empty(&found));
	id.start_ns += view.tick_ns;
	id.exe_inode++;
	proc_read(&view, &id, &found);
	ck_assert(is_empty(&found));
	close(view.fd);
}
END_TEST

START_TEST(long_arguments)
{
	/* "sleep", "1000" and the argument, each with its NUL */
	const size_t fits = PROC_ARGS_MAX - 6 - 5 - 1;
	static struct proc_found found;

	ck_assert(proc_view_open(&view));
	for (size_t more = 0; more < 2; more++) {
		pid_t pid = start_program(fits + more);
		struct proc_identity id = identity_of(pid);

		proc_read(&view, &id, &found);
		end_program(pid);
		ck_assert(found.has_args);
		ck_assert_int_eq(found.args_cut, more);
		ck_assert_uint_eq(found.args_size, PROC_ARGS_MAX);
		ck_assert_mem_eq(found.bytes + found.exe_size, "sleep\0001000\00000", 13);
		ck_assert_int_eq(found.bytes[found.exe_size + PROC_ARGS_MAX - 1], more ? '0' : 0);
		proc_read(&view, &id, &found);
		ck_assert(is_empty(&found));
	}
	close(view.fd);
}
END_TEST

/* ---- The cache ------------------------------------------------------------ */

static struct agentsh_ebpf_event event_of(pid_t pid)
{
	struct proc_identity id = identity_of(pid);

	return (struct agentsh_ebpf_event){
		.ns_tgid = id.pid, .process_start_ns = id.start_ns, .exe_inode = id.exe_inode};
}

/* The helper may be late on a busy machine. */
static const struct proc_found *find(struct proc_cache *cache,
				     const struct agentsh_ebpf_event *event)
{
	const struct proc_found *found;

	for (int ms = 0; ms < UNIT_DEADLINE_MS; ms++) {
		found = proc_cache_find(cache, event);
		if (found)
			return found;
		unit_sleep_ms(1);
	}
	ck_abort_msg("no answer");
}

START_TEST(cached_process)
{
	static struct proc_cache cache;
	const struct proc_found *found;
	struct agentsh_ebpf_event event, gone;
	pid_t pid;

	ck_assert(proc_view_open(&view));
	proc_cache_start(&cache);
	pid = start_program(1);
	event = gone = event_of(pid);
	found = find(&cache, &event);
	ck_assert(found->has_exe && found->has_args);
	end_program(pid);
	ck_assert_ptr_eq(proc_cache_find(&cache, &event), found);
	/* Another program, or another process, is read anew. */
	gone.process_comm[0] = 'x';
	ck_assert(is_empty(find(&cache, &gone)));
	gone = event;
	gone.process_start_ns++;
	ck_assert(is_empty(find(&cache, &gone)));
	gone = event;
	gone.exe_device++;
	ck_assert(is_empty(find(&cache, &gone)));
	gone.ns_tgid = 0;
	ck_assert_ptr_null(proc_cache_find(&cache, &gone));
	proc_cache_stop(&cache);
	close(view.fd);
}
END_TEST

START_TEST(replaced_entries)
{
	static struct proc_cache cache;
	struct agentsh_ebpf_event event;

	ck_assert(proc_view_open(&view));
	proc_cache_start(&cache);
	event = event_of(getpid());
	for (int i = 0; i < 3 * PROC_CACHE_ENTRIES; i++) {
		event.exe_device = (uint32_t)i;
		ck_assert(find(&cache, &event)->has_exe);
	}
	proc_cache_stop(&cache);
	ck_assert_ptr_null(proc_cache_find(&cache, &event));
	close(view.fd);
}
END_TEST

START_TEST(helper_that_ended)
{
	static struct proc_cache cache;
	struct agentsh_ebpf_event event;

	ck_assert(proc_view_open(&view));
	event = event_of(getpid());
	proc_cache_start(&cache);
	ck_assert_int_eq(shutdown(cache.helper.fd, SHUT_WR), 0); /* so it ends */
	ck_assert_int_gt(waitpid(-1, NULL, 0), 0);
	ck_assert_ptr_null(proc_cache_find(&cache, &event));
	ck_assert_int_eq(cache.helper.fd, -1);
	close(view.fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proc");
	TCase *tcase = unit_case(suite, "proc");

	tcase_add_test(tcase, start_time);
	tcase_add_test(tcase, malformed_start_time);
	tcase_add_test(tcase, time_namespace);
	tcase_add_test(tcase, pid_namespace);
	tcase_add_test(tcase, own_process);
	tcase_add_test(tcase, long_arguments);
	tcase_add_test(tcase, cached_process);
	tcase_add_test(tcase, replaced_entries);
	tcase_add_test(tcase, helper_that_ended);
	return unit_main(suite);
}
