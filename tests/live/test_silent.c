/* SPDX-License-Identifier: Apache-2.0 */
/* The library writes nothing to the host's stdout and stderr; messages go to on_log. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host_limits.h"
#include "live.h"

static struct live_cgroup cgroup;
static int lines;

static void count_line(void *ctx, int level, const char *line)
{
	LIVE_CHECK(ctx == &lines, "on_log got a wrong context");
	LIVE_CHECK(level >= AGENTSH_EBPF_LOG_WARN && level <= AGENTSH_EBPF_LOG_DEBUG, "level %d",
		   level);
	LIVE_CHECK(*line && line[strlen(line) - 1] != '\n', "an empty or unfinished line: '%s'",
		   line);
	lines++;
}

static void open_once(struct agentsh_ebpf_tracer_options options, int want)
{
	struct agentsh_ebpf_tracer *tracer = NULL;
	struct agentsh_ebpf_session *session;
	int ret;

	options.size = sizeof(options);
	ret = agentsh_ebpf_tracer_open(&options, &tracer, NULL);
	LIVE_CHECK(ret == want, "open: %d, expected %d", ret, want);
	if (ret)
		return;
	ret = agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &session, NULL);
	LIVE_CHECK(!ret, "attach: %d", ret);
	ret = agentsh_ebpf_session_attach(tracer, 0, NULL, &session, NULL);
	LIVE_CHECK(ret < 0, "attach of stdin: %d", ret);
	agentsh_ebpf_tracer_close(tracer);
}

/* Successful and failing opens, with and without on_log; *out receives the number of lines. */
static void open_in_silence(const void *unused, void *out)
{
	struct agentsh_ebpf_tracer_options plain = {0};
	struct agentsh_ebpf_tracer_options logging = {.on_log = count_line, .log_ctx = &lines};
	int file = memfd_create("agentsh-test", MFD_CLOEXEC), error = dup(STDERR_FILENO);
	struct rlimit few, many;
	struct stat st;

	(void)unused;
	LIVE_CHECK(file >= 0 && dup2(file, STDOUT_FILENO) >= 0 && dup2(file, STDERR_FILENO) >= 0,
		   "dup2: %s", strerror(errno));
	open_once(plain, 0);
	open_once(logging, 0);
	LIVE_CHECK(lines, "libbpf said nothing to on_log");
	/* libbpf prints messages in these cases */
	LIVE_CHECK(!host_switch_caps(0), "capset: %s", strerror(errno));
	open_once(plain, -EPERM);
	open_once(logging, -EPERM);
	LIVE_CHECK(!host_switch_caps(1), "capset: %s", strerror(errno));
	getrlimit(RLIMIT_NOFILE, &many);
	few = many;
	few.rlim_cur = (rlim_t)error + 4;
	setrlimit(RLIMIT_NOFILE, &few);
	open_once(plain, -EMFILE);
	open_once(logging, -EMFILE);
	setrlimit(RLIMIT_NOFILE, &many);
	fflush(NULL);
	LIVE_CHECK(!fstat(file, &st), "fstat: %s", strerror(errno));
	dup2(error, STDERR_FILENO);
	LIVE_CHECK(st.st_size == 0, "%lld bytes on stdout and stderr", (long long)st.st_size);
	*(int *)out = lines;
}

START_TEST(stdout_and_stderr_stay_silent)
{
	struct live_worker host;
	int logged = 0;

	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&host, NULL);
	live_worker_call(&host, open_in_silence, NULL, 0, &logged, sizeof(logged));
	live_worker_stop(&host);
	ck_assert_int_gt(logged, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("silent");
	TCase *tcase = live_case(suite, "silence");

	tcase_add_test(tcase, stdout_and_stderr_stay_silent);
	return live_main(suite);
}
