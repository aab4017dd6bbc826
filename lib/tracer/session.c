/* SPDX-License-Identifier: Apache-2.0 */
/* Attaches and detaches sessions. */
#include "tracer/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/error.h"
#include "checks/diagnose.h"
#include "tracer/links.h"
#include "tracer/look.h"
#include "tracer/options.h"
#include "tracer/progress.h"
#include "tracer/rules.h"
#include "tracer/sockets.h"
#include "tracer/stats.h"
#include "tracer/tracer.h"

static int check_directory(int fd, uint64_t *cgroup_id, struct agentsh_ebpf_error *err)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return agentsh_fail(
			err, -EBADF, AGENTSH_EBPF_STEP_CGROUP,
			"cgroup_fd %d is not an open descriptor; open the cgroup's directory", fd);
	if (!S_ISDIR(st.st_mode))
		return agentsh_fail(
			err, -ENOTDIR, AGENTSH_EBPF_STEP_CGROUP,
			"cgroup_fd %d is not a directory (mode 0%o); open the cgroup's directory "
			"itself",
			fd, st.st_mode);
	*cgroup_id = st.st_ino; /* the inode number of a cgroup directory is the cgroup's id */
	return 0;
}

/* The kernel gives EBADF for a directory that is no cgroup v2; other errors stay as they are. */
static int explain(int ret, int fd, struct agentsh_ebpf_error *err)
{
	struct statfs fs;

	if (ret != -EBADF || fstatfs(fd, &fs) || fs.f_type == CGROUP2_SUPER_MAGIC)
		return ret;
	return agentsh_fail(err, -ENOTDIR, AGENTSH_EBPF_STEP_CGROUP,
			    "cgroup_fd %d is a directory of another file system (type 0x%lx), not "
			    "of cgroup2 (0x%x); on a hybrid mount it is below "
			    "/sys/fs/cgroup/unified",
			    fd, (unsigned long)fs.f_type, CGROUP2_SUPER_MAGIC);
}

/* Frees the slot, but does not reuse one in which a program may still count. */
static void give_slot(struct agentsh_session *s, bool silenced)
{
	agentsh_rules_use(s, NULL);
	if (silenced)
		agentsh_slots_give(&s->tracer->ring.slots, s->state.slot);
	else
		agentsh_slots_retire(&s->tracer->ring.slots, s->state.slot);
}

static struct agentsh_session **bucket_of(const struct agentsh_session *s)
{
	return &s->tracer->by_cgroup[s->cgroup_id % AGENTSH_SESSION_BUCKETS];
}

/* A second link of the same cgroup would get the storage of the first, and its session state. */
static bool is_traced(const struct agentsh_session *s)
{
	for (const struct agentsh_session *other = *bucket_of(s); other;
	     other = other->next_in_bucket)
		if (other->cgroup_id == s->cgroup_id)
			return true;
	return false;
}

static void bucket_add(struct agentsh_session *s)
{
	struct agentsh_session **bucket = bucket_of(s);

	s->next_in_bucket = *bucket;
	*bucket = s;
}

static void bucket_remove(const struct agentsh_session *s)
{
	struct agentsh_session **at = bucket_of(s);

	while (*at && *at != s)
		at = &(*at)->next_in_bucket;
	if (*at)
		*at = s->next_in_bucket;
}

/*
 * The descriptor is copied, because the host may close its own, and looks at the session need
 * it. The copy is not 0 to 2: a host may run with these closed.
 */
static int link_session(struct agentsh_session *s, int cgroup_fd, uint32_t flags,
			struct agentsh_ebpf_error *err)
{
	int ret;

	s->cgroup_fd = fcntl(cgroup_fd, F_DUPFD_CLOEXEC, 3);
	if (s->cgroup_fd < 0)
		return agentsh_fail_call(err, -errno, AGENTSH_EBPF_STEP_CGROUP,
					 "copying cgroup_fd");
	ret = agentsh_look_before_attach(s->tracer);
	if (!ret)
		ret = agentsh_progress_before_attach(s->tracer);
	if (ret)
		return agentsh_fail_call(err, ret, AGENTSH_EBPF_STEP_EVENT_FD, "timerfd");
	return agentsh_session_link(s, cgroup_fd, flags, err);
}

static int out_of_memory(struct agentsh_ebpf_error *err)
{
	return agentsh_fail(err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY, "out of memory for a session");
}

static int prepare_names(struct agentsh_session *s)
{
	s->names.slot = s->state.slot;
	s->names.generation = s->state.generation;
	s->names.session_id = s->state.session_id;
	s->names.lost_base = s->state.lost_base;
	s->names.attached_ns = agentsh_clock_ns(CLOCK_BOOTTIME);
	return agentsh_names_attach(&s->tracer->ring.names, &s->names);
}

/* Names stay as long as the session has unread records, which may need them. */
static void end_names(struct agentsh_session *s)
{
	struct agentsh_ring *ring = &s->tracer->ring;
	const struct agentsh_slot *slot = &ring->slots.counters[s->state.slot];
	bool unread = agentsh_counter(&slot->produced) != agentsh_counter(&slot->consumed);

	agentsh_names_detach(&ring->names, &s->names, unread, agentsh_ring_produced(ring));
}

/* Without a handle: another thread cannot find the session yet. */
static int attach_unnamed(struct agentsh_session *s, int cgroup_fd,
			  const struct agentsh_ebpf_session_options *opts,
			  struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer *t = s->tracer;
	int ret;

	if (!t->ring.synthetic && is_traced(s))
		return agentsh_fail(
			err, -EEXIST, AGENTSH_EBPF_STEP_LINK,
			"cgroup %llu is already traced by this tracer; detach that session first",
			(unsigned long long)s->cgroup_id);
	ret = agentsh_slots_take(&t->ring.slots, &s->state);
	if (ret)
		return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_SESSION_SLOT,
				    "%u sessions are attached; detach one or raise max_sessions",
				    t->opts.max_sessions);
	agentsh_stats_add(&s->base, &t->ring, s->state.slot);
	s->state.lost_base = s->base.lost;
	agentsh_rules_use(s, opts->rules); /* before the programs begin to judge */
	ret = prepare_names(s);
	if (ret)
		out_of_memory(err);
	else if (!t->ring.synthetic)
		ret = link_session(s, cgroup_fd, opts->flags, err);
	if (ret) {
		bool silenced = agentsh_session_unlink(s);

		end_names(s);
		give_slot(s, silenced);
		agentsh_look_end(t);
		agentsh_progress_end(t);
		return explain(ret, cgroup_fd, err);
	}
	s->next = t->sessions;
	if (s->next)
		s->next->prev = s;
	t->sessions = s;
	if (!t->ring.synthetic)
		bucket_add(s);
	t->session_count++;
	return 0;
}

static int attach_locked(struct agentsh_session *s, int cgroup_fd,
			 const struct agentsh_ebpf_session_options *opts,
			 struct agentsh_ebpf_session **out, struct agentsh_ebpf_error *err)
{
	int ret;

	s->block = agentsh_handles_take(s->tracer);
	if (!s->block)
		return out_of_memory(err);
	ret = attach_unnamed(s, cgroup_fd, opts, err);
	if (ret)
		agentsh_handles_give(s->block);
	else
		*out = agentsh_handles_name(s->block, s);
	return ret;
}

static int attach(struct agentsh_ebpf_tracer *t, int cgroup_fd,
		  const struct agentsh_ebpf_session_options *opts,
		  struct agentsh_ebpf_session **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_session_options o;
	struct agentsh_session *s;
	uint64_t cgroup_id = 0;
	int ret = agentsh_session_options_check(opts, &o, err);

	if (!ret)
		ret = agentsh_rules_fit(t, o.rules, err);
	if (!ret && (!t->ring.synthetic || fcntl(cgroup_fd, F_GETFD) < 0))
		ret = check_directory(cgroup_fd, &cgroup_id, err);
	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return out_of_memory(err);
	s->tracer = t;
	s->cgroup_id = cgroup_id;
	s->cgroup_fd = -1;
	s->state.session_id = o.session_id;
	s->names.names_max = o.names_max;
	s->names.names_bytes = o.names_bytes;
	memcpy(s->names.trusted, o.trusted_resolvers, sizeof(s->names.trusted));
	s->state.max_sockets = o.max_sockets ? o.max_sockets : t->opts.max_sockets / 4;
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
		s->links[i] = -1;

	pthread_mutex_lock(&t->lock);
	ret = attach_locked(s, cgroup_fd, &o, out, err);
	pthread_mutex_unlock(&t->lock);
	if (ret)
		free(s);
	return ret;
}

int agentsh_ebpf_session_attach(struct agentsh_ebpf_tracer *t, int cgroup_fd,
				const struct agentsh_ebpf_session_options *opts,
				struct agentsh_ebpf_session **out, struct agentsh_ebpf_error *err)
{
	int ret;

	if (out)
		*out = NULL;
	if (!agentsh_error_begin(err))
		ret = -EINVAL;
	else if (!t)
		return agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "tracer is NULL");
	else if (!out)
		ret = agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "out is NULL");
	else
		ret = agentsh_owner_check(&t->owner, err);
	if (!ret)
		ret = attach(t, cgroup_fd, opts, out, err);
	if (ret && t)
		atomic_fetch_add_explicit(&t->attach_failures, 1, memory_order_relaxed);
	return ret;
}

static void take_out(struct agentsh_session *s)
{
	struct agentsh_ebpf_tracer *t = s->tracer;

	if (s->prev)
		s->prev->next = s->next;
	else
		t->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	bucket_remove(s);
	t->session_count--;
	agentsh_handles_give(s->block);
	free(s);
}

/* closing: the tracer is being closed, and its table of sockets with it. */
static void detach_locked(struct agentsh_session *s, bool closing)
{
	struct agentsh_ebpf_tracer *t = s->tracer;
	bool silenced = agentsh_session_unlink(s);

	if (!closing)
		agentsh_progress_at_detach(s);
	end_names(s);
	give_slot(s, silenced);
	if (!closing)
		agentsh_sockets_forget(s);
	agentsh_look_before_detach(s);
	take_out(s);
	agentsh_look_end(t);
	agentsh_progress_end(t);
}

/*
 * In a forked child the links and the counters are still the parent's. The child takes no
 * lock, because a thread that existed only in the parent may hold its copy.
 */
static void release_in_child(struct agentsh_session *s)
{
	agentsh_session_close_links(s);
	take_out(s);
}

int agentsh_ebpf_session_detach(struct agentsh_ebpf_session *handle)
{
	struct agentsh_ebpf_tracer *t;
	struct agentsh_session *s;
	bool own;

	if (!handle)
		return -EFAULT;
	t = agentsh_handle_tracer(handle);
	own = agentsh_owner_is_caller(&t->owner);
	if (own)
		pthread_mutex_lock(&t->lock);
	s = agentsh_handle_session(handle);
	if (s && own)
		detach_locked(s, false);
	else if (s)
		release_in_child(s);
	if (own)
		pthread_mutex_unlock(&t->lock);
	return s ? 0 : -EINVAL;
}

void agentsh_sessions_detach_all(struct agentsh_ebpf_tracer *t)
{
	bool own = agentsh_owner_is_caller(&t->owner);

	while (t->sessions) { /* NOLINTBEGIN(clang-analyzer-unix.Malloc): both take it out */
		if (own)
			detach_locked(t->sessions, true);
		else
			release_in_child(t->sessions);
	} /* NOLINTEND(clang-analyzer-unix.Malloc) */
}
