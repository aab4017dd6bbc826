/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps descriptors and mappings beyond the life of libbpf's object. The object is closed
 * after the load, because it would keep the ELF image and its BTF in memory.
 */
#include "load/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/programs.h"
#include "control.h"
#include "load/configure.h"
#include "ring/deliver.h"
#include "ring/ring.h"

static int copy_fd(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int program_id(int fd, uint32_t *id)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	int ret = bpf_obj_get_info_by_fd(fd, &info, &size);

	*id = info.id;
	return ret;
}

/* On failure the caller closes what the members hold. */
static int adopt_program(struct agentsh_program *p, const struct agentsh_programs *programs,
			 struct bpf_object *obj)
{
	const struct agentsh_program_desc *desc = p->desc;

	p->fd = copy_fd(bpf_program__fd(bpf_object__find_program_by_name(obj, desc->program)));
	if (p->fd < 0)
		return p->fd;
	p->state_fd = copy_fd(programs->state_fd >= 0
				      ? programs->state_fd
				      : bpf_object__find_map_fd_by_name(obj, desc->state_map));
	return p->state_fd < 0 ? p->state_fd : program_id(p->fd, &p->id);
}

static int adopt_programs(struct agentsh_programs *programs, struct bpf_object *obj)
{
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++) {
		const struct agentsh_program_desc *desc = &agentsh_program_descs[i];
		struct agentsh_program *p = &programs->list[programs->count];
		int ret;

		if (!(programs->hooks & desc->wanted_by) || programs->errors[i])
			continue;
		*p = (struct agentsh_program){.desc = desc, .fd = -1, .state_fd = -1};
		ret = adopt_program(p, programs, obj);
		if (ret) {
			close_if_open(p->fd);
			close_if_open(p->state_fd);
			return ret;
		}
		programs->count++;
	}
	return 0;
}

/* Only the hooks that fill the table of sockets have the program that empties it. */
static int adopt_sockets(struct agentsh_programs *programs, struct bpf_object *obj)
{
	if (!(programs->hooks & (AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT)))
		return 0;
	programs->sockets_fd = copy_fd(bpf_object__find_map_fd_by_name(obj, "agentsh_sock_states"));
	return programs->sockets_fd < 0 ? programs->sockets_fd : 0;
}

static int adopt_progress(struct agentsh_programs *programs, struct bpf_object *obj)
{
	if (!(programs->hooks & AGENTSH_EBPF_HOOK_TRAFFIC))
		return 0;
	programs->progress_fd =
		copy_fd(bpf_program__fd(bpf_object__find_program_by_name(obj, "agentsh_progress")));
	return programs->progress_fd < 0 ? programs->progress_fd : 0;
}

static int adopt_rules(struct agentsh_programs *programs, struct bpf_object *obj,
		       const struct agentsh_ebpf_tracer_options *opts)
{
	struct agentsh_rules_pool *pool = &programs->rules;
	void *at;

	if (!(programs->hooks & AGENTSH_EBPF_HOOK_RULES))
		return 0;
	programs->listed_fd = copy_fd(bpf_object__find_map_fd_by_name(obj, "agentsh_listed"));
	if (programs->listed_fd < 0)
		return programs->listed_fd;
	pool->count = agentsh_rules_nodes(opts);
	at = mmap(NULL, pool->count * sizeof(*pool->nodes), PROT_READ | PROT_WRITE, MAP_SHARED,
		  bpf_object__find_map_fd_by_name(obj, "agentsh_rules"), 0);
	if (at == MAP_FAILED)
		return -errno;
	pool->nodes = at;
	return agentsh_rules_pool_init(pool);
}

static int adopt_slots(struct agentsh_ring *ring, struct bpf_object *obj)
{
	void *at = mmap(NULL, ring->slots.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_object__find_map_fd_by_name(obj, "agentsh_slots"), 0);

	if (at == MAP_FAILED)
		return -errno;
	ring->slots.counters = at;
	ring->slots.mapped = true;
	return 0;
}

static int adopt_control(struct agentsh_ring *ring, struct bpf_object *obj)
{
	void *at = mmap(NULL, sizeof(*ring->moderator.control), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_object__find_map_fd_by_name(obj, "agentsh_control"), 0);

	if (at == MAP_FAILED)
		return -errno;
	ring->moderator.control = at;
	return 0;
}

static int adopt_ring(struct agentsh_ring *ring, struct bpf_object *obj)
{
	ring->fd = copy_fd(bpf_object__find_map_fd_by_name(obj, "agentsh_ring"));
	if (ring->fd < 0)
		return ring->fd;
	ring->buffer = ring_buffer__new(ring->fd, agentsh_deliver_record, ring, NULL);
	return ring->buffer ? 0 : -errno;
}

int agentsh_adopt(struct agentsh_programs *programs, struct agentsh_ring *ring,
		  const struct agentsh_ebpf_tracer_options *opts, struct bpf_object *obj,
		  uint32_t *step)
{
	int ret = adopt_programs(programs, obj);

	if (!ret)
		ret = adopt_sockets(programs, obj);
	if (!ret)
		ret = adopt_progress(programs, obj);
	if (!ret)
		ret = adopt_rules(programs, obj, opts);
	if (ret)
		return ret;
	*step = AGENTSH_EBPF_STEP_COUNTERS_MAP;
	ret = adopt_slots(ring, obj);
	if (!ret)
		ret = adopt_control(ring, obj);
	if (ret)
		return ret;
	*step = AGENTSH_EBPF_STEP_RING_MAP;
	return adopt_ring(ring, obj);
}
