/* SPDX-License-Identifier: Apache-2.0 */
/* What the library's files share. Nothing here is exported. */
#ifndef AGENTSH_INTERNAL_H
#define AGENTSH_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <agentsh/ebpf.h>

#include "record.h"

#define AGENTSH_BTF_PATH "/sys/kernel/btf/vmlinux"
#define AGENTSH_RING_SIZE_DEFAULT (1U << 20)
#define AGENTSH_DESCRIPTORS_FOR_LOAD 64 /* at the peak: libbpf's, and our copies */
#define AGENTSH_DESCRIPTORS_KEPT 22	/* by a tracer with all hooks, at most */

/* At most this many events a poll or read, so that neither can go on for ever. */
#define AGENTSH_BATCH_MAX 4096

struct bpf_object;
struct ring_buffer;
struct agentsh_synth;

/* ---- hooks.c: which programs there are ---------------------------------- */

#define AGENTSH_PROGRAMS 8

struct agentsh_hook {
	uint32_t wanted_by; /* AGENTSH_EBPF_HOOK_: loaded for any of these */
	uint32_t needed_by; /* those that do not work without it */
	uint32_t check;	    /* AGENTSH_EBPF_CHECK_ */
	uint32_t attach_type;
	const char *program;
	const char *tag_map;
	const char *cgroup_hook; /* as in the kernel's documentation */
};

extern const struct agentsh_hook agentsh_hooks[AGENTSH_PROGRAMS];

/* All bits that were built in. */
uint32_t agentsh_hooks_built(void);

/* A loaded program of a tracer. */
struct agentsh_program {
	const struct agentsh_hook *hook;
	int fd;
	int tag_fd;
};

/* ---- slots.c: counters and who has them --------------------------------- */

struct agentsh_slots {
	struct agentsh_slot *counters; /* mapped; in synthetic mode plain memory */
	size_t bytes;
	bool mapped;
	uint32_t max;
	_Atomic uint32_t used;	   /* those below were given out at least once */
	_Atomic uint32_t *serials; /* of the session in each slot, 0: free */
	uint32_t *freed;	   /* a queue: the one freed first is used first */
	uint32_t freed_head;
	uint32_t freed_count;
	uint32_t last_serial;
};

int agentsh_slots_init(struct agentsh_slots *slots, uint32_t max);
void agentsh_slots_free(struct agentsh_slots *slots);
int agentsh_slots_take(struct agentsh_slots *slots, struct agentsh_tag *tag);
void agentsh_slots_give(struct agentsh_slots *slots, uint32_t slot);
void agentsh_slots_retire(struct agentsh_slots *slots, uint32_t slot); /* not to be taken again */

/* A counter that another thread or the kernel may be raising. */
static inline uint64_t agentsh_counter(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* ---- moderate.c: when to be woken, when to look ------------------------- */

struct agentsh_moderator {
	uint64_t delay_ns; /* between two looks; 0: the kernel's own wake-up for each record */
	uint32_t state;
	uint32_t empty;	  /* looks in a row that found nothing */
	bool more;	  /* while records flow: the last look left some */
	uint64_t last_ns; /* when a record was taken last */
	uint64_t left_ns; /* when wake-ups were switched on again */
	uint64_t mark_bytes; /* what the ring may hold while records flow before it is looked at */
	int epoll_fd;	  /* not its own, nor the ring's */
	int ring_fd;
	int timer_fd;
	struct agentsh_control *control; /* mapped, as these two are */
	const unsigned long *consumer_pos;
	const unsigned long *producer_pos;
};

/* Maps the ring's positions and adds a timer to epoll. control is mapped by the loader. */
int agentsh_moderate_open(struct agentsh_moderator *m, int epoll_fd, int ring_fd);
void agentsh_moderate_close(struct agentsh_moderator *m);
/* After each look: records taken, whether the timer had it done, whether some may be left. */
void agentsh_moderate(struct agentsh_moderator *m, int taken, bool fired, bool more);
/* Whether records flow and all were taken, so that a look now would be too early. */
bool agentsh_moderate_looks(const struct agentsh_moderator *m);

/* ---- the objects -------------------------------------------------------- */

struct agentsh_ebpf_session {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *prev;
	struct agentsh_ebpf_session *next;
	struct agentsh_tag tag;
	struct agentsh_ebpf_stats base; /* what the slot had counted before attach */
	uint64_t cgroup_id;
	int links[AGENTSH_PROGRAMS];
};

struct agentsh_ebpf_tracer {
	struct agentsh_ebpf_tracer_options opts;
	pthread_mutex_t lock; /* sessions, slots */
	struct agentsh_ebpf_session *sessions;
	_Atomic uint32_t session_count;
	struct agentsh_slots slots;

	struct agentsh_program programs[AGENTSH_PROGRAMS];
	uint32_t program_count;
	uint32_t hooks;			   /* of opts.hooks, those that were loaded */
	int load_errors[AGENTSH_PROGRAMS]; /* errno of what could not be loaded, by table */
	int tag_fd; /* a storage that serves all programs; -1: each has its own */
	struct ring_buffer *ring;
	int ring_fd;
	struct agentsh_synth *synth; /* instead of programs and ring */

	int epoll_fd;
	int wake_fd;
	struct agentsh_moderator moderator;
	atomic_flag reading;	     /* one poll or read at a time */
	struct agentsh_batch *batch; /* of the poll or read that runs */

	_Atomic uint64_t delivered;
	_Atomic uint64_t attach_failures;
	_Atomic uint64_t malformed;
};

/* ---- error.c ------------------------------------------------------------ */

/* Whether err may be written to; NULL may. Clears it. */
bool agentsh_error_begin(struct agentsh_ebpf_error *err);

/* Control characters become question marks. */
void agentsh_one_line(char *text);

/* Writes code, step and message where err is not NULL, and returns code. */
__attribute__((format(printf, 4, 5))) int agentsh_fail(struct agentsh_ebpf_error *err, int code,
						       uint32_t step, const char *format, ...);

/* The same for a system call that failed: what, errno's text, reason and remedy. */
int agentsh_fail_call(struct agentsh_ebpf_error *err, int code, uint32_t step, const char *what);

/* ---- options.c ---------------------------------------------------------- */

int agentsh_tracer_options_check(const struct agentsh_ebpf_tracer_options *from,
				 struct agentsh_ebpf_tracer_options *to,
				 struct agentsh_ebpf_error *err);
/* A result to a caller of any age: what it has no room for is left out, the rest of it zero. */
void agentsh_sized_give(void *out, const void *from, size_t size);
int agentsh_session_options_check(const struct agentsh_ebpf_session_options *from,
				  struct agentsh_ebpf_session_options *to,
				  struct agentsh_ebpf_error *err);

/* ---- files.c ------------------------------------------------------------ */

/* The start of a small file, NUL-terminated; empty where it can't be read. */
void agentsh_read_start(const char *path, char *text, size_t size);
/* All of it, NUL-terminated, to be freed; NULL where it can't be read. */
char *agentsh_read_all(const char *path, size_t *len);

/* ---- mountinfo.c: where cgroup v2 is mounted ---------------------------- */

struct agentsh_mounts {
	uint32_t v2;	 /* mounts */
	uint32_t hidden; /* further ones that are not there */
	bool v1;
	char mount[PATH_MAX];
	char own[PATH_MAX];
};

/*
 * Of /proc/self/mountinfo and /proc/self/cgroup; a path that is too long stays
 * empty. there says whether a directory is to be seen: another mount may lie over
 * it. NULL: all are.
 */
void agentsh_mountinfo_parse(const char *mountinfo, size_t mountinfo_len, const char *cgroup,
			     size_t cgroup_len, bool (*there)(const char *path),
			     struct agentsh_mounts *out);

/* ---- cgroup_path.c: the same, of this process ---------------------------- */

/* 0, or what reading mountinfo gave, negative. */
int agentsh_mounts_find(struct agentsh_mounts *out);

/* ---- diagnose.c: why the kernel said no --------------------------------- */

/*
 * A finished sentence or two for the errno (positive) of a bpf(2) call; whether
 * they are the whole story.
 */
bool agentsh_diagnose(int errnum, char *text, size_t size);
/* Whether maps and programs count against RLIMIT_MEMLOCK: before kernel 5.11. */
bool agentsh_memlock_counts(void);
/* There: no limit, or else as much as the host may have. */
void agentsh_memlock_raise(void);

/* Why attaching gave this errno, where that can be told; else NULL. */
const char *agentsh_attach_refused(int error, int cgroup_fd, const struct agentsh_hook *hook);

/* ---- checks.c: the probe's table and its results ------------------------ */

#define AGENTSH_CHECKS 24

/*
 * What each later check needs: to call bpf(2) for maps (without descriptors,
 * libbpf would find features missing, for ever); to load programs.
 */
#define AGENTSH_CHECKS_CALL                                                                        \
	(1ULL << AGENTSH_EBPF_CHECK_BPF | 1ULL << AGENTSH_EBPF_CHECK_USERNS |                      \
	 1ULL << AGENTSH_EBPF_CHECK_CAP_BPF | 1ULL << AGENTSH_EBPF_CHECK_CAP_NET_ADMIN |           \
	 1ULL << AGENTSH_EBPF_CHECK_NOFILE)
#define AGENTSH_CHECKS_LOAD                                                                        \
	(AGENTSH_CHECKS_CALL | 1ULL << AGENTSH_EBPF_CHECK_MEMLOCK |                                \
	 1ULL << AGENTSH_EBPF_CHECK_RINGBUF | 1ULL << AGENTSH_EBPF_CHECK_ARRAY_MMAP |              \
	 1ULL << AGENTSH_EBPF_CHECK_CGROUP_STORAGE)

void agentsh_probe_begin(struct agentsh_ebpf_capabilities *caps, uint64_t simulate);
/* One result; simulation has the last word. */
__attribute__((format(printf, 5, 6))) void agentsh_probe_set(struct agentsh_ebpf_capabilities *caps,
							     uint32_t check, uint32_t status,
							     int error, const char *format, ...);
/* In the table's words. */
void agentsh_probe_lacks(struct agentsh_ebpf_capabilities *caps, uint32_t check, uint32_t status);
/* All that simulation takes away, whether it was looked at or not. */
void agentsh_probe_simulated(struct agentsh_ebpf_capabilities *caps);
bool agentsh_probe_missing(const struct agentsh_ebpf_capabilities *caps, uint32_t check);
/* Fills reason; 0, or the negative errno of the first required check that is missing. */
int agentsh_probe_reason(struct agentsh_ebpf_capabilities *caps);
/* Masks, reason, usable. */
void agentsh_probe_sum(struct agentsh_ebpf_capabilities *caps);

/* ---- probe_process.c: what this process may do -------------------------- */

void agentsh_probe_process(struct agentsh_ebpf_capabilities *caps);
/* Effective, in whatever user namespace. */
bool agentsh_has_capability(int capability);
/* As in the capabilities; size is that of release. */
uint32_t agentsh_kernel_version(char *release, size_t size);

/* ---- probe.c: what the kernel can --------------------------------------- */

void agentsh_probe_nofile(struct agentsh_ebpf_capabilities *caps);

/* ---- log.c: libbpf's print hook ----------------------------------------- */

struct agentsh_capture {
	agentsh_ebpf_log_fn on_log;
	void *log_ctx;
	char warning[160];  /* the first warning */
	char verifier[256]; /* the verifier's last lines */
};

void agentsh_capture_begin(struct agentsh_capture *capture);
void agentsh_capture_end(void);
__attribute__((format(printf, 3, 4))) void agentsh_log(const struct agentsh_capture *capture,
						       int level, const char *format, ...);

/* ---- configure.c: the object before its load ---------------------------- */

/* What the programs read of the calling task. */
struct agentsh_variant {
	bool direct; /* by plain loads */
	bool task;
	bool comm;
	const char *without;
};

/* Loads these programs (bits, by table) of a tracer and no other, with its sizes and settings. */
int agentsh_configure(struct agentsh_ebpf_tracer *tracer, struct bpf_object *obj,
		      const struct agentsh_variant *variant, uint32_t wanted);

/* ---- load.c: programs, maps, ring --------------------------------------- */

/* 0, or a negative errno where there are not enough for a load. */
int agentsh_check_descriptors(void);
int agentsh_load(struct agentsh_ebpf_tracer *tracer, struct agentsh_ebpf_error *err);
void agentsh_unload(struct agentsh_ebpf_tracer *tracer);

/* ---- decode.c: record and event ----------------------------------------- */

/* Where a record belongs; not part of the event. */
struct agentsh_origin {
	uint32_t slot;
	uint32_t serial;
	uint32_t room; /* bytes of the ring */
};

/* 0, or -EBADMSG and nothing written. data may have any alignment. */
int agentsh_decode(const void *data, size_t size, struct agentsh_ebpf_event *event,
		   struct agentsh_origin *origin);

/* The reverse; returns the record's size. */
size_t agentsh_encode(const struct agentsh_ebpf_event *event, const struct agentsh_tag *tag,
		      struct agentsh_record_outcome *record);

/* ---- events.c ----------------------------------------------------------- */

/* What one poll or read has taken so far. */
struct agentsh_batch {
	struct agentsh_ebpf_event *buf; /* NULL: the callback gets them */
	int max;
	int count;
	bool full;
};

/* Takes one record; negative: stop, this one was the last. */
int agentsh_take_record(void *tracer, void *data, size_t size);

/* ---- synth.c: a ring without a kernel ----------------------------------- */

int agentsh_synth_open(struct agentsh_ebpf_tracer *tracer, struct agentsh_ebpf_error *err);
void agentsh_synth_close(struct agentsh_ebpf_tracer *tracer);
int agentsh_synth_fd(const struct agentsh_ebpf_tracer *tracer);
int agentsh_synth_consume(struct agentsh_ebpf_tracer *tracer);

/* ---- tracer.c ----------------------------------------------------------- */

/* Loads, or opens what is synthetic, without the checks and with options as they are. */
int agentsh_tracer_make(const struct agentsh_ebpf_tracer_options *opts,
			struct agentsh_ebpf_tracer **out, struct agentsh_ebpf_error *err);

/* ---- stats.c ------------------------------------------------------------ */

/* Adds what a slot has counted, for whichever sessions. */
void agentsh_stats_add(struct agentsh_ebpf_stats *to, const struct agentsh_slot *slot);

/* ---- session.c ---------------------------------------------------------- */

void agentsh_sessions_detach_all(struct agentsh_ebpf_tracer *tracer);

#endif
