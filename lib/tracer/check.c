/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/result.h"
#include "checks/displace.h"
#include "tracer/links.h"
#include "tracer/tracer.h"

/* Effective programs of a cgroup: 64 for each of 16 levels. */
#define IDS_MAX 1024

/* Masks of 1 << AGENTSH_EBPF_CHECK_ */
struct findings {
	uint64_t wanted;
	uint64_t attached;
	uint64_t effective;
	uint64_t detached;    /* the link has no cgroup any more */
	uint64_t overwritten; /* the session state is another one */
	bool refused;	      /* this process may not ask everything */
	bool removed;	      /* the cgroup */
};

/* A link whose cgroup was removed or that was detached has no cgroup, kernel 5.7. */
static int look_at_link(int link, uint64_t cgroup_id, const struct agentsh_program *p,
			struct findings *f)
{
	const uint64_t bit = 1ULL << p->desc->check;
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	int ret = bpf_obj_get_info_by_fd(link, &info, &size);

	if (ret)
		return ret;
	if (info.cgroup.cgroup_id != cgroup_id)
		f->detached |= bit;
	else if (info.prog_id == p->id)
		f->attached |= bit;
	return 0;
}

static bool is_among(uint32_t id, const uint32_t *ids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* The query takes CAP_NET_ADMIN. If it is refused, an attached program counts as effective. */
static int look_at_effective(int cgroup_fd, const struct agentsh_program *p, struct findings *f)
{
	const uint64_t bit = 1ULL << p->desc->check;
	uint32_t ids[IDS_MAX];
	int ret = agentsh_effective_programs(cgroup_fd, p->desc->attach_type, ids, IDS_MAX);

	if (ret == -ENOENT || ret == -ENODEV) {
		f->removed = true;
		return 0;
	}
	if (ret == -EPERM)
		f->refused = true;
	if (ret == -EPERM || ret > IDS_MAX) /* more programs than ids has room for */
		f->effective |= f->attached & bit;
	else if (ret > 0 && is_among(p->id, ids, (uint32_t)ret))
		f->effective |= bit;
	return ret < 0 && ret != -EPERM ? ret : 0;
}

static int look_at_states(const struct agentsh_session *s, struct findings *f)
{
	const struct agentsh_programs *programs = &s->tracer->programs;

	for (uint32_t i = 0; i < agentsh_session_state_maps(s->tracer); i++) {
		const struct agentsh_program *p = &programs->list[i];
		struct agentsh_session_state state;
		int ret = agentsh_session_state_read(s, p, &state);

		if (ret && ret != -ENOENT)
			return ret;
		if (ret || memcmp(&state, &s->state, sizeof(state)) != 0)
			f->overwritten |=
				programs->state_fd >= 0 ? f->wanted : 1ULL << p->desc->check;
	}
	return 0;
}

static int look_at_programs(const struct agentsh_session *s, struct findings *f)
{
	const struct agentsh_programs *programs = &s->tracer->programs;
	int ret = 0;

	for (uint32_t i = 0; i < programs->count; i++)
		f->wanted |= 1ULL << programs->list[i].desc->check;
	for (uint32_t i = 0; i < programs->count && !ret && !f->removed; i++) {
		const struct agentsh_program *p = &programs->list[i];

		ret = look_at_link(s->links[i], s->cgroup_id, p, f);
		if (!ret)
			ret = look_at_effective(s->cgroup_fd, p, f);
	}
	return ret || f->removed ? ret : look_at_states(s, f);
}

static int reason(const struct findings *f)
{
	if (f->removed)
		return ENOENT;
	if (f->detached)
		return ENOLINK;
	if (f->effective != f->wanted)
		return EBUSY;
	return f->overwritten ? ESTALE : 0;
}

/* The hooks all of whose programs run and report. */
static uint32_t working_hooks(const struct agentsh_programs *programs, uint64_t working)
{
	uint32_t hooks = programs->hooks;

	for (uint32_t i = 0; i < programs->count; i++) {
		const struct agentsh_program_desc *desc = programs->list[i].desc;

		if (!(working >> desc->check & 1))
			hooks &= ~(desc->wanted_by | desc->needed_by);
	}
	return hooks;
}

int agentsh_session_check(const struct agentsh_session *s, struct agentsh_ebpf_session_check *out)
{
	struct findings f = {0};
	int ret = look_at_programs(s, &f);

	/* needs no privilege; a directory that was removed has no entries */
	if ((ret == -EPERM || f.refused) && faccessat(s->cgroup_fd, "cgroup.procs", F_OK, 0) &&
	    (errno == ENOENT || errno == ENODEV))
		f.removed = true;
	if (f.removed)
		f.attached = f.effective = 0;
	else if (ret)
		return ret;
	*out = (struct agentsh_ebpf_session_check){
		.error = reason(&f),
		.wanted = f.wanted,
		.attached = f.attached,
		.effective = f.effective,
		.hooks = working_hooks(&s->tracer->programs, f.effective & ~f.overwritten),
	};
	return f.refused && !out->error ? -EPERM : 0;
}

int agentsh_ebpf_session_check(const struct agentsh_ebpf_session *handle,
			       struct agentsh_ebpf_session_check *out)
{
	struct agentsh_ebpf_session_check result;
	const struct agentsh_session *s;
	struct agentsh_ebpf_tracer *t;
	int ret = -EINVAL;

	if (!handle || !out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	t = agentsh_handle_tracer(handle);
	if (!agentsh_owner_is_caller(&t->owner))
		return agentsh_handle_session(handle) ? -EPERM : -EINVAL;
	pthread_mutex_lock(&t->lock);
	s = agentsh_handle_session(handle);
	if (s)
		ret = t->ring.synthetic ? -EOPNOTSUPP : agentsh_session_check(s, &result);
	pthread_mutex_unlock(&t->lock);
	if (!ret)
		agentsh_copy_result(out, &result, sizeof(result));
	return ret;
}
