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

#include <bpf/libbpf.h>

#include "control.h"
#include "load/programs.h"
#include "ring/deliver.h"
#include "tracer/tracer.h"

static int copy_fd(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

static int adopt_programs(struct agentsh_ebpf_tracer *t, struct bpf_object *obj)
{
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++) {
		const struct agentsh_program_desc *desc = &agentsh_program_descs[i];
		struct agentsh_program *p = &t->programs[t->program_count];

		if (!(t->hooks & desc->wanted_by) || t->load_errors[i])
			continue;
		p->desc = desc;
		p->fd = copy_fd(
			bpf_program__fd(bpf_object__find_program_by_name(obj, desc->program)));
		if (p->fd < 0)
			return p->fd;
		p->state_fd = copy_fd(
			t->state_fd >= 0 ? t->state_fd
					 : bpf_object__find_map_fd_by_name(obj, desc->state_map));
		if (p->state_fd < 0) {
			int ret = p->state_fd;

			close(p->fd);
			return ret;
		}
		t->program_count++;
	}
	return 0;
}

static int adopt_slots(struct agentsh_ebpf_tracer *t, struct bpf_object *obj)
{
	void *at = mmap(NULL, t->slots.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_object__find_map_fd_by_name(obj, "agentsh_slots"), 0);

	if (at == MAP_FAILED)
		return -errno;
	t->slots.counters = at;
	t->slots.mapped = true;
	return 0;
}

static int adopt_control(struct agentsh_ebpf_tracer *t, struct bpf_object *obj)
{
	void *at = mmap(NULL, sizeof(*t->moderator.control), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_object__find_map_fd_by_name(obj, "agentsh_control"), 0);

	if (at == MAP_FAILED)
		return -errno;
	t->moderator.control = at;
	return 0;
}

static int adopt_ring(struct agentsh_ebpf_tracer *t, struct bpf_object *obj)
{
	t->ring_fd = copy_fd(bpf_object__find_map_fd_by_name(obj, "agentsh_ring"));
	if (t->ring_fd < 0)
		return t->ring_fd;
	t->ring = ring_buffer__new(t->ring_fd, agentsh_deliver_record, t, NULL);
	return t->ring ? 0 : -errno;
}

int agentsh_adopt(struct agentsh_ebpf_tracer *t, struct bpf_object *obj, uint32_t *step)
{
	int ret = adopt_programs(t, obj);

	if (ret)
		return ret;
	*step = AGENTSH_EBPF_STEP_COUNTERS_MAP;
	ret = adopt_slots(t, obj);
	if (!ret)
		ret = adopt_control(t, obj);
	if (ret)
		return ret;
	*step = AGENTSH_EBPF_STEP_RING_MAP;
	return adopt_ring(t, obj);
}
