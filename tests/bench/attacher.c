/* SPDX-License-Identifier: Apache-2.0 */
#include <agentsh/ebpf.h>
#include <bpf/bpf.h>
#include <stdlib.h>
#include <unistd.h>

#include "attacher.h"
#include "links.skel.h"
#include "record.h"
#include "session_state.h"
#include "util.h"

enum { HOOKS = 4 };

static const enum bpf_attach_type types[HOOKS] = {
	BPF_CGROUP_INET4_CONNECT,
	BPF_CGROUP_INET6_CONNECT,
	BPF_CGROUP_UDP4_SENDMSG,
	BPF_CGROUP_UDP6_SENDMSG,
};

struct bare {
	struct links_bpf *skel;
	int progs[HOOKS];
	int storages[HOOKS]; /* one per hook; if all hooks share one, only the first */
};

struct bare_session {
	int links[HOOKS];
};

static struct bare *bare_load(void)
{
	struct bare *b = xrealloc(NULL, sizeof(*b));

	b->skel = links_bpf__open_and_load();
	if (!b->skel)
		die("baseline of attach: %m");
	return b;
}

static void *own_open(size_t ring_size)
{
	struct bare *b = bare_load();

	(void)ring_size;
	b->progs[0] = bpf_program__fd(b->skel->progs.own_connect4);
	b->progs[1] = bpf_program__fd(b->skel->progs.own_connect6);
	b->progs[2] = bpf_program__fd(b->skel->progs.own_sendmsg4);
	b->progs[3] = bpf_program__fd(b->skel->progs.own_sendmsg6);
	b->storages[0] = bpf_map__fd(b->skel->maps.storage_connect4);
	b->storages[1] = bpf_map__fd(b->skel->maps.storage_connect6);
	b->storages[2] = bpf_map__fd(b->skel->maps.storage_sendmsg4);
	b->storages[3] = bpf_map__fd(b->skel->maps.storage_sendmsg6);
	return b;
}

static void *all_open(size_t ring_size)
{
	struct bare *b = bare_load();

	(void)ring_size;
	b->progs[0] = bpf_program__fd(b->skel->progs.all_connect4);
	b->progs[1] = bpf_program__fd(b->skel->progs.all_connect6);
	b->progs[2] = bpf_program__fd(b->skel->progs.all_sendmsg4);
	b->progs[3] = bpf_program__fd(b->skel->progs.all_sendmsg6);
	b->storages[0] = bpf_map__fd(b->skel->maps.storage_all);
	return b;
}

static struct bare_session *bare_link(const struct bare *b, const struct cgroup *cg)
{
	struct bare_session *s = xrealloc(NULL, sizeof(*s));

	for (int i = 0; i < HOOKS; i++) {
		s->links[i] = bpf_link_create(b->progs[i], cg->fd, types[i], NULL);
		if (s->links[i] < 0)
			die("bpf_link_create: %m");
	}
	return s;
}

static void set_state(int map, const void *key)
{
	const struct agentsh_session_state state = {.session_id = 1, .generation = 1};

	if (bpf_map_update_elem(map, key, &state, BPF_EXIST))
		die("cgroup storage: %m");
}

static void *own_attach(void *state, const struct cgroup *cg)
{
	struct bare *b = state;
	struct bare_session *s = bare_link(b, cg);

	for (int i = 0; i < HOOKS; i++) {
		struct bpf_cgroup_storage_key key = {.cgroup_inode_id = cg->id,
						     .attach_type = types[i]};

		set_state(b->storages[i], &key);
	}
	return s;
}

static void *all_attach(void *state, const struct cgroup *cg)
{
	struct bare *b = state;
	struct bare_session *s = bare_link(b, cg);

	set_state(b->storages[0], &cg->id);
	return s;
}

static void bare_detach(void *state, void *session)
{
	struct bare_session *s = session;

	(void)state;
	for (int i = 0; i < HOOKS; i++)
		close(s->links[i]);
	free(s);
}

static void bare_close(void *state)
{
	struct bare *b = state;

	links_bpf__destroy(b->skel);
	free(b);
}

const struct attacher attacher_bare_own = {
	.name = "bare, storage per hook",
	.open = own_open,
	.attach = own_attach,
	.detach = bare_detach,
	.close = bare_close,
};

const struct attacher attacher_bare_all = {
	.name = "bare, one storage",
	.open = all_open,
	.attach = all_attach,
	.detach = bare_detach,
	.close = bare_close,
};

static void *ours_open(size_t ring_size)
{
	struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP,
		.ring_size = (uint32_t)ring_size,
		.ring_quota = 100, /* calls are timed while nobody reads */
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;

	if (agentsh_ebpf_tracer_open(&opts, &tracer, &err))
		die("tracer_open: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
	return tracer;
}

static void *ours_attach(void *state, const struct cgroup *cg)
{
	struct agentsh_ebpf_session_options opts = {.size = sizeof(opts), .session_id = cg->id};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *session;

	if (agentsh_ebpf_session_attach(state, cg->fd, &opts, &session, &err))
		die("attach: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
	return session;
}

static void ours_detach(void *state, void *session)
{
	(void)state;
	if (agentsh_ebpf_session_detach(session))
		die("detach failed");
}

static void ours_close(void *state)
{
	agentsh_ebpf_tracer_close(state);
}

const struct attacher attacher_ours = {
	.name = "agentsh-ebpf",
	.open = ours_open,
	.attach = ours_attach,
	.detach = ours_detach,
	.close = ours_close,
};
