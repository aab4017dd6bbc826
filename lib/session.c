/* SPDX-License-Identifier: Apache-2.0 */
/* A session is a link for each program, and the tag in each link's storage. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "internal.h"

static int check_cgroup(int fd, uint64_t *cgroup_id, struct agentsh_ebpf_error *err)
{
	struct statfs fs;
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
	if (fstatfs(fd, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
		return agentsh_fail(
			err, -ENOTDIR, AGENTSH_EBPF_STEP_CGROUP,
			"cgroup_fd %d is a directory of another file system (type 0x%lx), not of "
			"cgroup2 (0x%x); on a hybrid mount it is below /sys/fs/cgroup/unified",
			fd, (unsigned long)fs.f_type, CGROUP2_SUPER_MAGIC);
	*cgroup_id = st.st_ino; /* kernfs: the inode number is the cgroup's id */
	return 0;
}

static int link_failed(const struct agentsh_hook *hook, int ret, int cgroup_fd, uint64_t cgroup_id,
		       struct agentsh_ebpf_error *err)
{
	const uint32_t step = AGENTSH_EBPF_STEP_LINK;
	const char *why = ret == -EPERM ? agentsh_attach_refused(EPERM, cgroup_fd, hook) : NULL;
	char what[64];

	if (ret == -ENOENT || ret == -ENODEV)
		return agentsh_fail(err, -ENOENT, step, "cgroup %llu was removed",
				    (unsigned long long)cgroup_id);
	if (ret == -E2BIG)
		return agentsh_fail(
			err, -ENOSPC, step,
			"cgroup %llu has the kernel's 64 programs at %s already; detach one",
			(unsigned long long)cgroup_id, hook->cgroup_hook);
	if (why)
		return agentsh_fail(err, ret, step, "%s: attaching: %s; %s", hook->cgroup_hook, why,
				    agentsh_ebpf_capability_hint(hook->check));
	snprintf(what, sizeof(what), "attaching to %s", hook->cgroup_hook);
	return agentsh_fail_call(err, ret, step, what);
}

/* How many storages a session has: the first programs' so many. */
static uint32_t tag_count(const struct agentsh_ebpf_tracer *t)
{
	return t->tag_fd >= 0 ? 1 : t->program_count;
}

/* Where one storage serves all programs, the kernel takes the id alone as key. */
static int tag_write(const struct agentsh_ebpf_session *s, const struct agentsh_program *p,
		     const struct agentsh_tag *tag)
{
	const struct bpf_cgroup_storage_key key = {
		.cgroup_inode_id = s->cgroup_id,
		.attach_type = p->hook->attach_type,
	};

	return bpf_map_update_elem(p->tag_fd, &key, tag, BPF_ANY);
}

static int tags_write(const struct agentsh_ebpf_session *s, const struct agentsh_tag *tag,
		      struct agentsh_ebpf_error *err)
{
	for (uint32_t i = 0; i < tag_count(s->tracer); i++) {
		const struct agentsh_program *p = &s->tracer->programs[i];
		int ret = tag_write(s, p, tag);

		if (ret)
			return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_STORAGE,
					    "writing the tag for %s: %s", p->hook->cgroup_hook,
					    strerror(-ret));
	}
	return 0;
}

/*
 * A second link would get the storage of the first, and with it the tag. From
 * 5.9 on (7d9c3427894f) the storage stays when its link goes; its tag is zero
 * then, unless the kernel had no memory to write that: so it is done now.
 */
static int check_untraced(const struct agentsh_ebpf_session *s, struct agentsh_ebpf_error *err)
{
	const struct agentsh_slots *slots = &s->tracer->slots;
	const struct agentsh_program *p = s->tracer->programs;
	const struct bpf_cgroup_storage_key key = {
		.cgroup_inode_id = s->cgroup_id,
		.attach_type = p->hook->attach_type,
	};
	const struct agentsh_tag none = {0};
	struct agentsh_tag tag;
	int ret = bpf_map_lookup_elem(p->tag_fd, &key, &tag);

	if (ret == -ENOENT || (!ret && !tag.serial))
		return 0;
	if (ret)
		return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_STORAGE,
				    "whether cgroup %llu is traced already: %s",
				    (unsigned long long)s->cgroup_id, strerror(-ret));
	if (tag.slot < slots->max && slots->serials[tag.slot] == tag.serial)
		return agentsh_fail(
			err, -EEXIST, AGENTSH_EBPF_STEP_LINK,
			"cgroup %llu is traced by this tracer already; detach that session first",
			(unsigned long long)s->cgroup_id);
	return tags_write(s, &none, err);
}

/*
 * Tags first, which silences the programs, so that the next session of this
 * cgroup does not start with this one's. bpf_link_detach (kernel 5.9) works
 * also while a child that was forked but has not yet executed holds a copy of
 * the descriptor. Where the cgroup is gone, all of it fails and is done. False:
 * the tags stay, since bpf(2) is no longer allowed (before kernel 5.19 it takes
 * CAP_BPF, c8644cd0efe7), and a copy of a link may keep its program running.
 */
static bool unlink_all(const struct agentsh_ebpf_session *s)
{
	const struct agentsh_tag none = {0};
	bool silent = true;

	for (uint32_t i = 0; i < tag_count(s->tracer); i++)
		if (s->links[i] >= 0 && tag_write(s, &s->tracer->programs[i], &none) == -EPERM)
			silent = false;
	for (int i = 0; i < AGENTSH_PROGRAMS; i++) {
		if (s->links[i] < 0)
			continue;
		bpf_link_detach(s->links[i]);
		close(s->links[i]);
	}
	return silent;
}

/* A slot in which a program may still count is nobody else's again. */
static void give_slot(struct agentsh_ebpf_session *s, bool silent)
{
	if (silent)
		agentsh_slots_give(&s->tracer->slots, s->tag.slot);
	else
		agentsh_slots_retire(&s->tracer->slots, s->tag.slot);
}

/* Links first: the storage is made with its link, and zero says "not yet". */
static int link_all(struct agentsh_ebpf_session *s, int cgroup_fd, struct agentsh_ebpf_error *err)
{
	const struct agentsh_ebpf_tracer *t = s->tracer;
	int ret = check_untraced(s, err);

	if (ret)
		return ret;
	for (uint32_t i = 0; i < t->program_count; i++) {
		const struct agentsh_program *p = &t->programs[i];

		s->links[i] = bpf_link_create(p->fd, cgroup_fd, p->hook->attach_type, NULL);
		if (s->links[i] < 0)
			return link_failed(p->hook, s->links[i], cgroup_fd, s->cgroup_id, err);
	}
	return tags_write(s, &s->tag, err);
}

static int attach_locked(struct agentsh_ebpf_session *s, int cgroup_fd,
			 struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer *t = s->tracer;
	int ret = agentsh_slots_take(&t->slots, &s->tag);

	if (ret)
		return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_SESSION_SLOT,
				    "%u sessions are attached; detach one or raise max_sessions",
				    t->opts.max_sessions);
	agentsh_stats_add(&s->base, &t->slots.counters[s->tag.slot]);
	s->tag.lost_base = s->base.lost;
	if (!t->synth)
		ret = link_all(s, cgroup_fd, err);
	if (ret) {
		give_slot(s, unlink_all(s));
		return ret;
	}
	s->next = t->sessions;
	if (s->next)
		s->next->prev = s;
	t->sessions = s;
	t->session_count++;
	return 0;
}

static int attach(struct agentsh_ebpf_tracer *t, int cgroup_fd,
		  const struct agentsh_ebpf_session_options *opts,
		  struct agentsh_ebpf_session **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_session_options o;
	struct agentsh_ebpf_session *s;
	uint64_t cgroup_id = 0;
	int ret = agentsh_session_options_check(opts, &o, err);

	if (!ret && (!t->synth || fcntl(cgroup_fd, F_GETFD) < 0))
		ret = check_cgroup(cgroup_fd, &cgroup_id, err);
	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return agentsh_fail(err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for a session");
	s->tracer = t;
	s->cgroup_id = cgroup_id;
	s->tag.session_id = o.session_id;
	for (int i = 0; i < AGENTSH_PROGRAMS; i++)
		s->links[i] = -1;

	pthread_mutex_lock(&t->lock);
	ret = attach_locked(s, cgroup_fd, err);
	pthread_mutex_unlock(&t->lock);
	if (ret)
		free(s);
	else
		*out = s;
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
	else if (out)
		ret = attach(t, cgroup_fd, opts, out, err);
	else
		ret = agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "out is NULL");
	if (ret && t)
		atomic_fetch_add_explicit(&t->attach_failures, 1, memory_order_relaxed);
	return ret;
}

static void detach_locked(struct agentsh_ebpf_session *s)
{
	struct agentsh_ebpf_tracer *t = s->tracer;

	give_slot(s, unlink_all(s));
	if (s->prev)
		s->prev->next = s->next;
	else
		t->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	t->session_count--;
	free(s);
}

int agentsh_ebpf_session_detach(struct agentsh_ebpf_session *s)
{
	pthread_mutex_t *lock;

	if (!s)
		return -EFAULT;
	lock = &s->tracer->lock;
	pthread_mutex_lock(lock);
	detach_locked(s);
	pthread_mutex_unlock(lock);
	return 0;
}

void agentsh_sessions_detach_all(struct agentsh_ebpf_tracer *t)
{
	while (t->sessions)
		detach_locked(t->sessions); /* NOLINT(clang-analyzer-unix.Malloc): takes it out */
}
