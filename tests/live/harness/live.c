/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live.h"
#include "live_internal.h"

#define TRACERS_MAX 8
#define SESSIONS_MAX 16

struct live_events live_seen;

static struct {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_tracer_options options;
	bool kept;   /* for later tests */
	bool in_use; /* by the running test */
} tracers[TRACERS_MAX];

/* Sessions of kept tracers: teardown() detaches them. */
static struct agentsh_ebpf_session *kept_sessions[SESSIONS_MAX];
static bool in_child;

void live_fail(const char *file, int line, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!in_child) {
		ck_abort_msg("%s:%d: %s", file, line, text);
		abort(); /* not reached, but some versions of check do not declare that */
	}
	fprintf(stderr, "%s:%d: in a worker: %s\n", file, line, text);
	_exit(99);
}

void live_is_child(void)
{
	in_child = true;
}

/* ---- the program -------------------------------------------------------- */

static void setup(void)
{
	live_seen.count = 0;
	/* Not earlier: check installs handlers for these signals when it begins to run, and they
	 * kill the whole process group. */
	live_cgroups_catch();
}

/* Drops the unread events of a kept tracer; false if the tracer cannot be used again. */
static bool tracer_reset(struct agentsh_ebpf_tracer *tracer)
{
	int ret;

	do {
		live_seen.count = 0;
		ret = agentsh_ebpf_poll(tracer, 0);
	} while (ret > 0);
	return ret == 0;
}

static void teardown(void)
{
	live_workers_end();
	for (int i = 0; i < SESSIONS_MAX; i++) {
		if (kept_sessions[i])
			agentsh_ebpf_session_detach(kept_sessions[i]);
		kept_sessions[i] = NULL;
	}
	for (int i = 0; i < TRACERS_MAX; i++) {
		tracers[i].in_use = false;
		if (tracers[i].tracer && !(tracers[i].kept && tracer_reset(tracers[i].tracer)))
			live_close(tracers[i].tracer);
	}
	live_cgroups_end();
}

static void close_kept(void)
{
	for (int i = 0; i < TRACERS_MAX; i++)
		if (tracers[i].tracer)
			live_close(tracers[i].tracer);
}

TCase *live_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	suite_add_tcase(suite, tcase);
	return tcase;
}

bool live_skipped;

int live_skip(const char *why)
{
	live_skipped = true;
	printf("skipped: %s\n", why);
	return LIVE_SKIP;
}

int live_main(Suite *suite)
{
	SRunner *runner;
	int failed;

	if (geteuid() != 0)
		return live_skip("live tests need root (CAP_BPF, CAP_NET_ADMIN and cgroups)");
	if (!live_cgroup_mounted())
		return live_skip("no cgroup v2 is mounted");
	live_cgroups_begin();
	runner = srunner_create(suite);
	/* The fixture has to run after a failure, too, which it does only without check's fork. */
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_ENV);
	close_kept();
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- tracers ------------------------------------------------------------ */

int live_on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	LIVE_CHECK(live_seen.count < LIVE_EVENTS_MAX, "more than %d events", LIVE_EVENTS_MAX);
	live_seen.list[live_seen.count++] = *event;
	return 0;
}

static struct agentsh_ebpf_tracer *open_in_slot(const struct agentsh_ebpf_tracer_options *wanted,
						bool keep)
{
	struct agentsh_ebpf_tracer_options options = {0};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	int slot = 0, ret;

	if (wanted)
		options = *wanted;
	options.size = sizeof(options);
	if (!options.on_event)
		options.on_event = live_on_event;
	for (int i = 0; keep && i < TRACERS_MAX; i++) {
		if (tracers[i].kept && !tracers[i].in_use &&
		    !memcmp(&tracers[i].options, &options, sizeof(options))) {
			tracers[i].in_use = true;
			return tracers[i].tracer;
		}
	}
	while (slot < TRACERS_MAX && tracers[slot].tracer)
		slot++;
	LIVE_CHECK(slot < TRACERS_MAX, "too many tracers for the fixture");
	ret = agentsh_ebpf_tracer_open(&options, &tracers[slot].tracer, &err);
	LIVE_CHECK(ret == 0 && tracers[slot].tracer, "open: %d, step %s: %s", ret,
		   agentsh_ebpf_step_name(err.step), err.message);
	tracers[slot].options = options;
	tracers[slot].kept = keep;
	tracers[slot].in_use = true;
	return tracers[slot].tracer;
}

struct agentsh_ebpf_tracer *live_open(const struct agentsh_ebpf_tracer_options *wanted)
{
	return open_in_slot(wanted, false);
}

struct agentsh_ebpf_tracer *live_open_kept(const struct agentsh_ebpf_tracer_options *wanted)
{
	return open_in_slot(wanted, true);
}

static bool is_kept(const struct agentsh_ebpf_tracer *tracer)
{
	for (int i = 0; i < TRACERS_MAX; i++)
		if (tracers[i].tracer == tracer)
			return tracers[i].kept;
	return false;
}

void live_close(struct agentsh_ebpf_tracer *tracer)
{
	for (int i = 0; i < TRACERS_MAX; i++) {
		if (tracers[i].tracer == tracer) {
			tracers[i].tracer = NULL;
			tracers[i].kept = false;
		}
	}
	agentsh_ebpf_tracer_close(tracer);
}

struct agentsh_ebpf_session *live_attach_with(struct agentsh_ebpf_tracer *tracer,
					      const struct live_cgroup *cgroup,
					      const struct agentsh_ebpf_session_options *options)
{
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_session *session = NULL;
	int ret = agentsh_ebpf_session_attach(tracer, cgroup->fd, options, &session, &err), i = 0;

	LIVE_CHECK(ret == 0 && session, "attach: %d, step %s: %s", ret,
		   agentsh_ebpf_step_name(err.step), err.message);
	if (is_kept(tracer)) {
		while (i < SESSIONS_MAX && kept_sessions[i])
			i++;
		LIVE_CHECK(i < SESSIONS_MAX, "too many sessions for the fixture");
		kept_sessions[i] = session;
	}
	return session;
}

struct agentsh_ebpf_session *live_attach(struct agentsh_ebpf_tracer *tracer,
					 const struct live_cgroup *cgroup, uint64_t session_id)
{
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options),
		.session_id = session_id,
	};

	return live_attach_with(tracer, cgroup, &options);
}

void live_detach(struct agentsh_ebpf_session *session)
{
	int ret = agentsh_ebpf_session_detach(session);

	for (int i = 0; i < SESSIONS_MAX; i++)
		if (kept_sessions[i] == session)
			kept_sessions[i] = NULL;
	LIVE_CHECK(!ret, "detach: %d", ret);
}

size_t live_drain(struct agentsh_ebpf_tracer *tracer)
{
	size_t before = live_seen.count;
	int ret;

	while ((ret = agentsh_ebpf_poll(tracer, 0)) > 0)
		;
	LIVE_CHECK(ret == 0, "poll: %d", ret);
	return live_seen.count - before;
}

uint64_t live_clock_ns(clockid_t clock)
{
	struct timespec now;

	LIVE_CHECK(!clock_gettime(clock, &now), "clock_gettime: %s", strerror(errno));
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int64_t live_now_ms(void)
{
	return (int64_t)(live_clock_ns(CLOCK_MONOTONIC) / 1000000);
}

void live_drain_until(struct agentsh_ebpf_tracer *tracer, size_t count)
{
	int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	while (live_seen.count < count) {
		int ret = agentsh_ebpf_poll(tracer, 100);

		LIVE_CHECK(ret >= 0, "poll: %d", ret);
		LIVE_CHECK(live_now_ms() < end, "%zu of %zu events after %d ms", live_seen.count,
			   count, LIVE_DEADLINE_MS);
	}
}

struct agentsh_ebpf_stats live_tracer_stats(const struct agentsh_ebpf_tracer *tracer)
{
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

	LIVE_CHECK(agentsh_ebpf_tracer_stats(tracer, &stats) == 0, "tracer_stats failed");
	return stats;
}

struct agentsh_ebpf_stats live_session_stats(const struct agentsh_ebpf_session *session)
{
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

	LIVE_CHECK(agentsh_ebpf_session_stats(session, &stats) == 0, "session_stats failed");
	return stats;
}

bool live_no_userns(const char *what)
{
#if defined(__SANITIZE_THREAD__)
#define LIVE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LIVE_TSAN 1
#endif
#endif
#ifdef LIVE_TSAN
	printf("left out: %s: unshare(CLONE_NEWUSER) fails under ThreadSanitizer\n", what);
	return true;
#else
	(void)what;
	return false;
#endif
}

int live_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	LIVE_CHECK(dir, "/proc/self/fd: %s", strerror(errno));
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 3; /* ., .. and the descriptor of the directory itself */
}

void live_expect_message(const struct agentsh_ebpf_error *err, const char *words)
{
	char copy[128], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, ",")))
		LIVE_CHECK(strstr(err->message, word), "'%s' does not name %s", err->message, word);
	LIVE_CHECK(!strpbrk(err->message, "\n\r"), "'%s' is not one line", err->message);
}
