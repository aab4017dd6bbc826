/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/links.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/error.h"
#include "checks/diagnose.h"
#include "tracer/tracer.h"

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
				    agentsh_ebpf_check_hint(desc->check));
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

static int states_write(const struct agentsh_session *s, const struct agentsh_session_state *state,
			struct agentsh_ebpf_error *err)
{
	for (uint32_t i = 0; i < agentsh_session_state_maps(s->tracer); i++) {
		const struct agentsh_program *p = &s->tracer->programs.list[i];
		int ret = state_write(s, p, state);

		if (ret)
			return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_STORAGE,
					    "writing the session state for %s: %s",
					    p->desc->attach_name, strerror(-ret));
	}
	return 0;
}

/*
 * A second link would get the storage of the first, and the session state with it. From
 * kernel 5.9 on (7d9c3427894f) the storage outlives its link. Its session state is zero
 * then, unless the kernel had no memory for writing it; in that case it is cleared here.
 */
static int check_untraced(const struct agentsh_session *s, struct agentsh_ebpf_error *err)
{
	const struct agentsh_slots *slots = &s->tracer->ring.slots;
	const struct agentsh_session_state cleared = {0};
	struct agentsh_session_state state;
	int ret = agentsh_session_state_read(s, s->tracer->programs.list, &state);

	if (ret == -ENOENT || (!ret && !state.generation))
		return 0;
	if (ret)
		return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_STORAGE,
				    "cannot tell whether cgroup %llu is already traced: %s",
				    (unsigned long long)s->cgroup_id, strerror(-ret));
	if (state.slot < slots->max && slots->generations[state.slot] == state.generation)
		return agentsh_fail(
			err, -EEXIST, AGENTSH_EBPF_STEP_LINK,
			"cgroup %llu is already traced by this tracer; detach that session first",
			(unsigned long long)s->cgroup_id);
	return states_write(s, &cleared, err);
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

	for (uint32_t i = 0; i < agentsh_session_state_maps(s->tracer); i++)
		if (s->links[i] >= 0 &&
		    state_write(s, &s->tracer->programs.list[i], &cleared) == -EPERM)
			silenced = false;
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

/*
 * Creates the links first: the kernel makes the storage with its link, and zero means that
 * the session is not attached yet.
 */
int agentsh_session_link(struct agentsh_session *s, int cgroup_fd, struct agentsh_ebpf_error *err)
{
	const struct agentsh_ebpf_tracer *t = s->tracer;
	int ret = check_untraced(s, err);

	if (ret)
		return ret;
	for (uint32_t i = 0; i < t->programs.count; i++) {
		const struct agentsh_program *p = &t->programs.list[i];

		s->links[i] = bpf_link_create(p->fd, cgroup_fd, p->desc->attach_type, NULL);
		if (s->links[i] < 0)
			return link_failed(p->desc, s->links[i], cgroup_fd, s->cgroup_id, err);
	}
	return states_write(s, &s->state, err);
}
