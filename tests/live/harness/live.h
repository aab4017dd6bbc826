/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness of all live tests: cgroups that are removed at the end of a test, and
 * workers, which are processes in a cgroup that run functions of the test on request.
 */
#ifndef LIVE_H
#define LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <check.h>

#include <agentsh/ebpf.h>

/* Exit status by which ctest recognizes a skipped test. */
#define LIVE_SKIP 77

/* Long enough for a machine under load. A test that passes never waits this long. */
#define LIVE_DEADLINE_MS 20000

#define LIVE_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Fails the test. In a worker, check's longjmp would run the rest of the suite a second
 * time, so a worker prints the message and exits; the test then fails at its next call.
 */
__attribute__((format(printf, 3, 4), noreturn)) void live_fail(const char *file, int line,
							       const char *format, ...);

#define LIVE_FAIL(...) live_fail(__FILE__, __LINE__, __VA_ARGS__)
#define LIVE_CHECK(condition, ...)                                                                 \
	do {                                                                                       \
		if (!(condition))                                                                  \
			LIVE_FAIL(__VA_ARGS__);                                                    \
	} while (0)

/* ---- the program -------------------------------------------------------- */

/*
 * Runs the suite without check's fork. Returns the exit status for main(): LIVE_SKIP
 * without root or cgroup v2.
 */
int live_main(Suite *suite);

/* Prints the reason and returns LIVE_SKIP, for main(). */
int live_skip(const char *why);
extern bool live_skipped;

/* A test case whose fixture cleans up after each test, even after a failed one. */
TCase *live_case(Suite *suite, const char *name);

/* ---- cgroups ------------------------------------------------------------ */

struct live_cgroup {
	int fd;
	uint64_t id;
	char path[200];
};

/* The mount point of cgroup v2, from mountinfo. */
const char *live_cgroup_root(void);
bool live_cgroup_mounted(void);

/* Makes a cgroup below parent (NULL: the root). The fixture removes it if the test does not. */
void live_cgroup_make(struct live_cgroup *cgroup, const struct live_cgroup *parent);
void live_cgroup_remove(struct live_cgroup *cgroup);
void live_cgroup_enter(const struct live_cgroup *cgroup); /* moves the calling process */
uint64_t live_cgroup_own(void); /* inode of the calling process's cgroup */
/*
 * Checks that agentsh_ebpf_cgroup_path() agrees with the probe, and that this process is in the
 * cgroup that both call its own.
 */
void live_expect_cgroup_path(const struct agentsh_ebpf_capabilities *caps);

/* ---- workers ------------------------------------------------------------ */

typedef void (*live_fn)(const void *arg, void *out);

struct live_worker {
	pid_t pid; /* the return value of fork() */
	int sock;
};

/* Starts a child in the cgroup (NULL: the caller's), which waits for calls. */
void live_worker_start(struct live_worker *worker, const struct live_cgroup *cgroup);
/* Runs fn in the worker and waits for its result in out. */
void live_worker_call(struct live_worker *worker, live_fn fn, const void *arg, size_t arg_size,
		      void *out, size_t out_size);
/* live_worker_call() in two halves, so that several workers can run at the same time. */
void live_worker_send(struct live_worker *worker, live_fn fn, const void *arg, size_t arg_size,
		      size_t out_size);
void live_worker_receive(struct live_worker *worker, void *out, size_t out_size);
/* Ends the worker and waits until it has exited: all of its events are in the ring then. */
void live_worker_stop(struct live_worker *worker);
/* Ends the worker with SIGKILL. */
void live_worker_kill(struct live_worker *worker);

/* Runs fn in a child. unshare_flags go to unshare(2) before the fork; 0: none. */
void live_forked(int unshare_flags, live_fn fn, const void *arg, void *out, size_t out_size);

/* live_fn: enters a new network namespace and sets lo up. */
void live_own_netns(const void *unused, void *unused_out);

/* ---- time ---------------------------------------------------------------- */

uint64_t live_clock_ns(clockid_t clock);
int64_t live_now_ms(void); /* CLOCK_MONOTONIC */

/* ---- tracers ------------------------------------------------------------ */

#define LIVE_EVENTS_MAX 20000

/* Events in the order of their delivery. */
struct live_events {
	size_t count;
	struct agentsh_ebpf_event list[LIVE_EVENTS_MAX];
};

extern struct live_events live_seen; /* filled by live_on_event() */
int live_on_event(void *ctx, const struct agentsh_ebpf_event *event);

/*
 * Opens a tracer with live_on_event() as the default callback. A failed open fails the test.
 * options may be NULL.
 */
struct agentsh_ebpf_tracer *live_open(const struct agentsh_ebpf_tracer_options *options);
/*
 * Like live_open(), but the tracer stays open, and a later test of the program that asks for
 * the same options gets it again: loading the programs takes 50 ms. Its sessions end with the
 * test. Two calls in one test return two tracers.
 */
struct agentsh_ebpf_tracer *live_open_kept(const struct agentsh_ebpf_tracer_options *options);
struct agentsh_ebpf_session *live_attach(struct agentsh_ebpf_tracer *tracer,
					 const struct live_cgroup *cgroup, uint64_t session_id);
struct agentsh_ebpf_session *live_attach_with(struct agentsh_ebpf_tracer *tracer,
					      const struct live_cgroup *cgroup,
					      const struct agentsh_ebpf_session_options *options);
/* Detaches a session of a kept tracer, so that the fixture does not detach it again. */
void live_detach(struct agentsh_ebpf_session *session);
/* The fixture closes what a failed test leaves open, so that no program stays behind. */
void live_close(struct agentsh_ebpf_tracer *tracer);

/* Appends all events that can be read now to live_seen; returns their number. */
size_t live_drain(struct agentsh_ebpf_tracer *tracer);
/* Reads until live_seen holds count events, or fails after LIVE_DEADLINE_MS. */
void live_drain_until(struct agentsh_ebpf_tracer *tracer, size_t count);

struct agentsh_ebpf_stats live_tracer_stats(const struct agentsh_ebpf_tracer *tracer);
struct agentsh_ebpf_stats live_session_stats(const struct agentsh_ebpf_session *session);

/*
 * Whether unshare(CLONE_NEWUSER) must be left out; prints a line if so. The call requires a
 * single-threaded process, and ThreadSanitizer's runtime has a second thread.
 */
bool live_no_userns(const char *what);

/* Number of open descriptors of this process. */
int live_open_fds(void);

/* Checks that the message is one line and contains each of the comma-separated words. */
void live_expect_message(const struct agentsh_ebpf_error *err, const char *words);

#define LIVE_ERROR                                                                                 \
	{                                                                                          \
		.size = sizeof(struct agentsh_ebpf_error)                                          \
	}

#endif
