/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong arguments of attach, read and stats: each is refused, and the tracer stays usable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "traffic.h"

#define NOTHING ((void *)&never_a_result) /* a result that the call must overwrite */

static char never_a_result;
static struct agentsh_ebpf_tracer *tracer;
static struct live_cgroup cgroup;

static void setup(void)
{
	tracer = live_open(NULL);
	live_cgroup_make(&cgroup, NULL);
}

/* After a failed call: nothing is attached or left open, and a session works. */
static void expect_usable(uint64_t failures, int fds)
{
	struct agentsh_ebpf_session *session;
	struct live_worker worker;

	ck_assert_uint_eq(live_tracer_stats(tracer).attach_failures, failures);
	ck_assert_uint_eq(live_tracer_stats(tracer).sessions, 0);
	ck_assert_int_eq(live_open_fds(), fds);
	session = live_attach(tracer, &cgroup, 5);
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 2));
	traffic_of(&worker, SENDS(.first = 3, .count = 1));
	live_worker_stop(&worker);
	live_drain(tracer);
	traffic_expect(0, 5, 1, 3);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
}

static void refuse_fd(int fd, int ret, const char *words)
{
	struct agentsh_ebpf_session *out = NOTHING;
	struct agentsh_ebpf_error err = LIVE_ERROR;
	char number[16];
	int got = agentsh_ebpf_session_attach(tracer, fd, NULL, &out, &err);

	LIVE_CHECK(got == ret, "%d (%s), expected %d", got, err.message, ret);
	ck_assert_ptr_null(out);
	ck_assert_int_eq(err.code, ret);
	ck_assert_uint_eq(err.step, AGENTSH_EBPF_STEP_CGROUP);
	snprintf(number, sizeof(number), "%d", fd);
	live_expect_message(&err, number);
	live_expect_message(&err, words);
}

static void refuse_path(const char *path, int flags, const char *words)
{
	int fd = open(path, flags | O_CLOEXEC);

	LIVE_CHECK(fd >= 0, "%s: %s", path, strerror(errno));
	refuse_fd(fd, -ENOTDIR, words);
	close(fd);
}

/* Finds a cgroup v1 mount; false if there is none. */
static bool cgroup_v1(char path[128])
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool found = false;
	char line[1024];

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, " - cgroup ") &&
			sscanf(line, "%*s %*s %*s %*s %127s", path) == 1;
	if (file)
		fclose(file);
	return found;
}

START_TEST(attach_to_bad_descriptors)
{
	int fds = live_open_fds(), pair[2], closed = dup(0);
	char path[256];
	uint64_t failures = 9;

	close(closed);
	refuse_fd(-1, -EBADF, "cgroup_fd,-1,open");
	refuse_fd(-100, -EBADF, "cgroup_fd,-100"); /* AT_FDCWD */
	refuse_fd(closed, -EBADF, "cgroup_fd,open");
	refuse_fd(1 << 30, -EBADF, "cgroup_fd");
	refuse_path("/proc/self/exe", O_RDONLY, "cgroup_fd,directory");
	refuse_path("/", O_RDONLY | O_DIRECTORY, "cgroup_fd,cgroup2");
	refuse_path("/proc/self", O_RDONLY | O_DIRECTORY, "cgroup_fd,cgroup2");
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup.path);
	refuse_path(path, O_RDONLY, "cgroup_fd,directory");
	LIVE_CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair: %s", strerror(errno));
	refuse_fd(pair[0], -ENOTDIR, "cgroup_fd,directory");
	close(pair[0]);
	close(pair[1]);
	if (cgroup_v1(path)) {
		refuse_path(path, O_RDONLY | O_DIRECTORY, "cgroup_fd,cgroup2");
		failures++;
	}
	expect_usable(failures, fds);
}
END_TEST

/* An O_PATH descriptor names the directory as well: the kernel accepts it or says why not. */
START_TEST(attach_to_o_path)
{
	int fds = live_open_fds(), fd = open(cgroup.path, O_PATH | O_DIRECTORY | O_CLOEXEC), ret;
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_session *out = NOTHING;

	LIVE_CHECK(fd >= 0, "O_PATH: %s", strerror(errno));
	ret = agentsh_ebpf_session_attach(tracer, fd, NULL, &out, &err);
	close(fd);
	if (ret == 0) {
		ck_assert_int_eq(agentsh_ebpf_session_detach(out), 0);
		expect_usable(0, fds);
		return;
	}
	LIVE_CHECK(ret == -EBADF && !out && err.message[0], "%d: %s", ret, err.message);
	expect_usable(1, fds);
}
END_TEST

START_TEST(attach_with_other_sizes)
{
	struct {
		struct agentsh_ebpf_session_options known;
		uint32_t tail[4];
	} options = {.known = {.session_id = 7}};
	const struct {
		uint32_t size, reserved, tail;
		int ret;
		const char *words;
	} cases[] = {
		{0, 0, 0, -EINVAL, "session_options.size,0"},
		{2, 0, 0, -EINVAL, "session_options.size,2"},
		{sizeof(options), 0, 9, -E2BIG, "session_options.size,newer"},
		{sizeof(options.known), 1, 0, -EINVAL, "reserved,1"},
		{sizeof(options), 0, 0, 0, ""},
		{sizeof(options.known), 0, 9, 0, ""},
		{4, 0, 9, 0, ""},
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	int fds = live_open_fds();

	for (size_t i = 0; i < LIVE_COUNT(cases); i++) {
		struct agentsh_ebpf_session *out = NOTHING;

		options.known.size = cases[i].size;
		options.known.reserved = cases[i].reserved;
		options.tail[3] = cases[i].tail;
		LIVE_CHECK(agentsh_ebpf_session_attach(tracer, cgroup.fd, &options.known, &out,
						       &err) == cases[i].ret,
			   "case %zu: %d %s", i, err.code, err.message);
		live_expect_message(&err, cases[i].words);
		ck_assert_int_eq(err.code, cases[i].ret);
		if (cases[i].ret)
			ck_assert_ptr_null(out);
		else
			ck_assert_int_eq(agentsh_ebpf_session_detach(out), 0);
	}
	expect_usable(4, fds);
}
END_TEST

START_TEST(attach_with_null)
{
	struct agentsh_ebpf_error err = LIVE_ERROR, odd = {.size = 3};
	struct agentsh_ebpf_session *out = NOTHING;
	int fds = live_open_fds();

	ck_assert_int_eq(agentsh_ebpf_session_attach(NULL, cgroup.fd, NULL, &out, &err), -EFAULT);
	live_expect_message(&err, "tracer,NULL");
	ck_assert_ptr_null(out);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, NULL, &err), -EFAULT);
	live_expect_message(&err, "out,NULL");
	out = NOTHING;
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &out, &odd), -EINVAL);
	ck_assert_ptr_null(out);
	ck_assert_int_eq(agentsh_ebpf_session_detach(NULL), -EFAULT);
	/* every failed call with a tracer is counted */
	expect_usable(2, fds);
}
END_TEST

START_TEST(attach_more_than_max_sessions)
{
	const struct agentsh_ebpf_tracer_options options = {.max_sessions = 2};
	struct agentsh_ebpf_session *first, *out = NOTHING;
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct live_cgroup second, third;

	live_close(tracer);
	tracer = live_open(&options);
	live_cgroup_make(&second, NULL);
	live_cgroup_make(&third, NULL);
	first = live_attach(tracer, &cgroup, 1);
	live_attach(tracer, &second, 2);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, third.fd, NULL, &out, &err), -ENOSPC);
	ck_assert_ptr_null(out);
	ck_assert_uint_eq(err.step, AGENTSH_EBPF_STEP_SESSION_SLOT);
	live_expect_message(&err, "2,max_sessions");
	ck_assert_int_eq(agentsh_ebpf_session_detach(first), 0);
	live_attach(tracer, &third, 3);
}
END_TEST

/* The kernel's limit is 64 programs per cgroup and attach type, from all tracers together. */
START_TEST(attach_more_than_the_kernel_takes)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = AGENTSH_EBPF_HOOK_CONNECT,
		.ring_size = 4096,
		.max_sessions = 1,
		.on_event = live_on_event,
		.size = sizeof(options),
	};
	struct agentsh_ebpf_tracer *many[65];
	struct agentsh_ebpf_session *out;
	struct agentsh_ebpf_error err = LIVE_ERROR;
	int count = 0, ret = 0, fds = live_open_fds();

	while (!ret && count < 65) {
		ck_assert_int_eq(agentsh_ebpf_tracer_open(&options, &many[count], &err), 0);
		ret = agentsh_ebpf_session_attach(many[count++], cgroup.fd, NULL, &out, &err);
	}
	for (int i = 0; i < count; i++)
		agentsh_ebpf_tracer_close(many[i]);
	ck_assert_int_eq(count, 65);
	ck_assert_int_eq(ret, -ENOSPC);
	ck_assert_uint_eq(err.step, AGENTSH_EBPF_STEP_LINK);
	live_expect_message(&err, "64,connect4");
	expect_usable(0, fds);
}
END_TEST

/* ---- reading ------------------------------------------------------------ */

START_TEST(read_and_stats_with_bad_arguments)
{
	struct agentsh_ebpf_stats stats = {.size = 0};
	struct agentsh_ebpf_event event;

	ck_assert_int_eq(agentsh_ebpf_poll(NULL, 0), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_read(NULL, &event, 1, 0), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, NULL, 1, 0), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &event, 0, 0), -ERANGE);
	ck_assert_int_eq(agentsh_ebpf_fd(NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_wake(NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_tracer_stats(tracer, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_tracer_stats(NULL, &stats), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_tracer_stats(tracer, &stats), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_session_stats(NULL, &stats), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_inject(live_attach(tracer, &cgroup, 1), &event), -EOPNOTSUPP);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bad attach");
	TCase *tcase = live_case(suite, "attach and read");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, attach_to_bad_descriptors);
	tcase_add_test(tcase, attach_to_o_path);
	tcase_add_test(tcase, attach_with_other_sizes);
	tcase_add_test(tcase, attach_with_null);
	tcase_add_test(tcase, attach_more_than_max_sessions);
	tcase_add_test(tcase, attach_more_than_the_kernel_takes);
	tcase_add_test(tcase, read_and_stats_with_bad_arguments);
	return live_main(suite);
}
