/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/links.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/error.h"
#include "checks/diagnose.h"
#include "checks/displace.h"
#include "tracer/tracer.h"

#define LINK_TRIES 4

static int link_failed(const struct agentsh_program_desc *desc, int ret, int cgroup_fd,
		       uint64_t cgroup_id, struct agentsh_ebpf_error *err)
{
	const uint32_t step = AGENTSH_EBPF_STEP_LINK;
	const char *why = ret == -EPERM ? agentsh_attach_refused(EPERM, cgroup_fd, desc) : NULL;
	char what[64];

	if (ret == -ENOENT || ret == -ENODEV)
		return agentsh_fail(err, -ENOENT, step, "cgroup %llu was removed",
				    (unsigned long long)cgroup_id);
	if (ret == -E2BIG)
		return agentsh_fail(
			err, -ENOSPC, step,
			"cgroup %llu already has 64 programs at %s, the kernel's limit; detach one",
			(unsigned long long)cgroup_id, desc->attach_name);
	if (why)
		return agentsh_fail(err, ret, step, "%s: attaching: %s; %s", desc->attach_name, why,
				    agentsh_attach_hint(cgroup_fd, desc));
	snprintf(what, sizeof(what), "attaching to %s", desc->attach_name);
	return agentsh_fail_call(err, ret, step, what);
}

uint32_t agentsh_session_state_maps(const struct agentsh_ebpf_tracer *t)
{
	return t->programs.state_fd >= 0 ? 1 : t->programs.count;
}

/* If all programs share one storage, the kernel reads only the cgroup id of the key. */
static int state_write(const struct agentsh_session *s, const struct agentsh_program *p,
		       const struct agentsh_session_state *state)
{
	const struct bpf_cgroup_storage_key key = {
		.cgroup_inode_id = s->cgroup_id,
		.attach_type = p->desc->attach_type,
	};

	return bpf_map_update_elem(p->state_fd, &key, state, BPF_ANY);
}

int agentsh_session_state_read(const struct agentsh_session *s, const struct agentsh_program *p,
			       struct agentsh_session_state *state)
{
	const struct bpf_cgroup_storage_key key = {
		.cgroup_inode_id = s->cgroup_id,
		.attach_type = p->desc->attach_type,
	};

	return bpf_map_lookup_elem(p->state_fd, &key, state);
}

/* Ignores maps without a storage for the cgroup if may_lack. */
static int states_write(const struct agentsh_session *s, const struct agentsh_session_state *state,
			bool may_lack, struct agentsh_ebpf_error *err)
{
	for (uint32_t i = 0; i < agentsh_session_state_maps(s->tracer); i++) {
		const struct agentsh_program *p = &s->tracer->programs.list[i];
		int ret = state_write(s, p, state);

		if (ret && !(may_lack && ret == -ENOENT))
			return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_STORAGE,
					    "writing the session state for %s: %s",
					    p->desc->attach_name, strerror(-ret));
	}
	return 0;
}

/*
 * From kernel 5.9 on (7d9c3427894f) a storage outlives its link. Its session state is zero
 * then, unless writing it failed; a new link must not start with such a state.
 */
static int clear_states(const struct agentsh_session *s, struct agentsh_ebpf_error *err)
{
	const struct agentsh_session_state cleared = {0};

	return s->tracer->states_uncleared ? states_write(s, &cleared, true, err) : 0;
}

/*
 * Clears the session states first, which silences the programs and keeps the next session of this
 * cgroup from starting with this state. bpf_link_detach() (kernel 5.9) also works while a child
 * that was forked, but has not yet executed, holds a copy of the descriptor. If the cgroup was
 * removed, these calls fail and nothing is left to do.
 *
 * Returns false if the states could not be cleared, because bpf(2) is no longer permitted (before
 * kernel 5.19 it takes CAP_BPF, c8644cd0efe7); a copy of a link may keep its program running then.
 */
bool agentsh_session_unlink(const struct agentsh_session *s)
{
	const struct agentsh_session_state cleared = {0};
	bool silenced = true;

	for (uint32_t i = 0; i < agentsh_session_state_maps(s->tracer); i++) {
		int ret = s->links[i] < 0 ? 0
					  : state_write(s, &s->tracer->programs.list[i], &cleared);

		silenced &= ret != -EPERM;
		s->tracer->states_uncleared |= ret && ret != -ENOENT;
	}
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
		if (s->links[i] >= 0)
			bpf_link_detach(s->links[i]);
	agentsh_session_close_links(s);
	return silenced;
}

void agentsh_session_close_links(const struct agentsh_session *s)
{
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
		if (s->links[i] >= 0)
			close(s->links[i]);
	if (s->cgroup_fd >= 0)
		close(s->cgroup_fd);
}

static int refuse_to_displace(const struct agentsh_program_desc *desc,
			      const struct agentsh_displaced *d, const char *what,
			      struct agentsh_ebpf_error *err)
{
	char program[64];

	agentsh_program_describe(d->program_id, program, sizeof(program));
	return agentsh_fail(err, -EBUSY, AGENTSH_EBPF_STEP_LINK,
			    "%s: %s %s of a cgroup above; attach that program with "
			    "BPF_F_ALLOW_MULTI, or set AGENTSH_EBPF_ATTACH_DISPLACE",
			    desc->attach_name, what, program);
}

static int check_displaced(const struct agentsh_session *s, int cgroup_fd,
			   struct agentsh_displaced *displaced, struct agentsh_ebpf_error *err)
{
	const struct agentsh_programs *programs = &s->tracer->programs;

	for (uint32_t i = 0; i < programs->count; i++) {
		const struct agentsh_program_desc *desc = programs->list[i].desc;
		int ret = agentsh_displaced_find(cgroup_fd, desc->attach_type, &displaced[i]);

		if (ret)
			return link_failed(desc, ret, cgroup_fd, s->cgroup_id, err);
		if (displaced[i].answer == AGENTSH_DISPLACES_PROGRAM)
			return refuse_to_displace(desc, &displaced[i], "attaching would displace",
						  err);
	}
	return 0;
}

/* Creates the link, and finds out which program it has displaced, unless displaced is NULL. */
static int link_and_look(struct agentsh_session *s, uint32_t i, int cgroup_fd,
			 struct agentsh_displaced *displaced)
{
	const struct agentsh_program *p = &s->tracer->programs.list[i];
	int ret = bpf_link_create(p->fd, cgroup_fd, p->desc->attach_type, NULL);

	s->links[i] = ret;
	if (ret < 0 || !displaced)
		return ret < 0 ? ret : 0;
	return agentsh_displaced_look(cgroup_fd, p->desc->attach_type, displaced);
}

/* Removes a link that seems to have displaced a program, and creates it again. */
static int link_again(struct agentsh_session *s, uint32_t i, int cgroup_fd,
		      struct agentsh_displaced *displaced)
{
	const uint32_t attach_type = s->tracer->programs.list[i].desc->attach_type;
	int ret;

	bpf_link_detach(s->links[i]);
	close(s->links[i]);
	s->links[i] = -1;
	ret = agentsh_displaced_find(cgroup_fd, attach_type, displaced);
	if (ret || displaced->answer == AGENTSH_DISPLACES_PROGRAM)
		return ret;
	return link_and_look(s, i, cgroup_fd, displaced);
}

/*
 * With displaced, fails if the link displaces a program; the caller removes all links then. A
 * program that its owner has detached at that moment looks like a displaced program, so only a
 * program that is missing at each of several tries counts.
 */
static int link_one(struct agentsh_session *s, uint32_t i, int cgroup_fd,
		    struct agentsh_displaced *displaced, struct agentsh_ebpf_error *err)
{
	const struct agentsh_program_desc *desc = s->tracer->programs.list[i].desc;
	int ret = link_and_look(s, i, cgroup_fd, displaced);

	for (int n = 1; n < LINK_TRIES && !ret && displaced && s->links[i] >= 0 &&
			displaced->answer == AGENTSH_DISPLACES_PROGRAM;
	     n++)
		ret = link_again(s, i, cgroup_fd, displaced);
	if (ret)
		return link_failed(desc, ret, cgroup_fd, s->cgroup_id, err);
	if (displaced && displaced->answer == AGENTSH_DISPLACES_PROGRAM)
		return refuse_to_displace(desc, displaced,
					  "attaching was undone because it displaced", err);
	return 0;
}

/*
 * Creates the links first: the kernel makes the storage with its link, and zero means that
 * the session is not attached yet.
 */
int agentsh_session_link(struct agentsh_session *s, int cgroup_fd, uint32_t flags,
			 struct agentsh_ebpf_error *err)
{
	struct agentsh_displaced displaced[AGENTSH_PROGRAM_COUNT];
	const bool may_displace = flags & AGENTSH_EBPF_ATTACH_DISPLACE;
	int ret = clear_states(s, err);

	if (!ret && !may_displace)
		ret = check_displaced(s, cgroup_fd, displaced, err);
	for (uint32_t i = 0; !ret && i < s->tracer->programs.count; i++)
		ret = link_one(s, i, cgroup_fd, may_displace ? NULL : &displaced[i], err);
	return ret ? ret : states_write(s, &s->state, false, err);
}
