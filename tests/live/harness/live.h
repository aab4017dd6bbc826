/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all live tests stand on: cgroups that go away again, and workers, which
 * are processes inside a cgroup that run functions of the test on request.
 */
#ifndef LIVE_H
#define LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <check.h>

#include <agentsh/ebpf.h>

/* ctest's sign for "skipped" */
#define LIVE_SKIP 77

/* Long enough for a machine under load; nothing waits for it in the good case. */
#define LIVE_DEADLINE_MS 20000

#define LIVE_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * In the test's own process a failed assertion of check; in a worker, where
 * check's longjmp would run the rest of the suite twice, a message and the end.
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

/* Runs the suite without check's fork; its exit status, LIVE_SKIP without root or cgroup v2. */
int live_main(Suite *suite);

/* Says why and returns LIVE_SKIP: for main(). */
int live_skip(const char *why);
extern bool live_skipped;

/* A case whose fixture cleans up after each test, also after one that failed. */
TCase *live_case(Suite *suite, const char *name);

/* ---- cgroups ------------------------------------------------------------ */

struct live_cgroup {
	int fd;
	uint64_t id;
	char path[200];
};

/* Where cgroup v2 is mounted, from mountinfo. */
const char *live_cgroup_root(void);
bool live_cgroup_mounted(void);

/* A new cgroup below parent (NULL: the root). Removed by the fixture at the latest. */
void live_cgroup_make(struct live_cgroup *cgroup, const struct live_cgroup *parent);
void live_cgroup_remove(struct live_cgroup *cgroup);
void live_cgroup_enter(const struct live_cgroup *cgroup); /* the calling process */
uint64_t live_cgroup_own(void); /* inode of the calling process's cgroup */
/* agentsh_ebpf_cgroup_path() says here what the probe says, and the own cgroup's is really its own.
 */
void live_expect_cgroup_path(const struct agentsh_ebpf_capabilities *caps);

/* ---- workers ------------------------------------------------------------ */

typedef void (*live_fn)(const void *arg, void *out);

struct live_worker {
	pid_t pid; /* as fork() returned it */
	int sock;
};

/* A child in the cgroup (NULL: where we are), waiting for calls. */
void live_worker_start(struct live_worker *worker, const struct live_cgroup *cgroup);
/* Runs fn there and waits for what it puts into out. */
void live_worker_call(struct live_worker *worker, live_fn fn, const void *arg, size_t arg_size,
		      void *out, size_t out_size);
/* The same in two halves: several workers at once. */
void live_worker_send(struct live_worker *worker, live_fn fn, const void *arg, size_t arg_size,
		      size_t out_size);
void live_worker_receive(struct live_worker *worker, void *out, size_t out_size);
/* Ends it and waits for its end: whatever it did is in the ring by then. */
void live_worker_stop(struct live_worker *worker);
/* As any host that dies would: SIGKILL. */
void live_worker_kill(struct live_worker *worker);

/* One function in one child. unshare: flags for unshare(2) before the fork, or 0. */
void live_forked(int unshare_flags, live_fn fn, const void *arg, void *out, size_t out_size);

/* For live_worker_call(): a network namespace of its own with lo up. */
void live_own_netns(const void *unused, void *unused_out);

/* ---- tracers ------------------------------------------------------------ */

#define LIVE_EVENTS_MAX 20000

/* Events in the order in which they came. */
struct live_events {
	size_t count;
	struct agentsh_ebpf_event list[LIVE_EVENTS_MAX];
};

extern struct live_events live_seen; /* of live_on_event() */
int live_on_event(void *ctx, const struct agentsh_ebpf_event *event);

/* Opens with live_on_event as callback; a failure fails the test. change may be NULL. */
struct agentsh_ebpf_tracer *live_open(const struct agentsh_ebpf_tracer_options *change);
/*
 * The same, but later cases of the program that ask for the same options get the same tracer,
 * because loading the programs takes 50 ms. Its sessions end with the case. Two calls in one
 * case give two tracers.
 */
struct agentsh_ebpf_tracer *live_open_kept(const struct agentsh_ebpf_tracer_options *change);
struct agentsh_ebpf_session *live_attach(struct agentsh_ebpf_tracer *tracer,
					 const struct live_cgroup *cgroup, uint64_t session_id);
/* For sessions of a kept tracer; for others agentsh_ebpf_session_detach() will do. */
void live_detach(struct agentsh_ebpf_session *session);
/* Closed by the fixture too, so a failing test leaves no program behind. */
void live_close(struct agentsh_ebpf_tracer *tracer);

/* Everything that is there now, appended to live_seen; the number of new ones. */
size_t live_drain(struct agentsh_ebpf_tracer *tracer);
/* The same until live_seen has this many, or the deadline is over. */
void live_drain_until(struct agentsh_ebpf_tracer *tracer, size_t count);

struct agentsh_ebpf_stats live_tracer_stats(const struct agentsh_ebpf_tracer *tracer);
struct agentsh_ebpf_stats live_session_stats(const struct agentsh_ebpf_session *session);

/*
 * Whether unshare(CLONE_NEWUSER) is left out, and says so: it wants a process of
 * one thread, and ThreadSanitizer's runtime has a second one.
 */
bool live_no_userns(const char *what);

/* How many descriptors this process has open. */
int live_open_fds(void);

/* The message is one line and names all of these words, which have commas between them. */
void live_expect_message(const struct agentsh_ebpf_error *err, const char *words);

#define LIVE_ERROR                                                                                 \
	{                                                                                          \
		.size = sizeof(struct agentsh_ebpf_error)                                          \
	}

#endif
