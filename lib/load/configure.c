/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses programs and maps, and sets sizes and settings, in an object before its load. */
#include "load/configure.h"

#include <errno.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/programs.h"
#include "ring/ring.h"
#include "settings.h"

#define SETTINGS_MAP ".rodata.settings"
#define STATE_MAP "agentsh_state"

/*
 * Inode of this process's PID namespace, which the programs compare with; 0 if /proc is
 * not readable.
 */
static uint32_t own_pidns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
}

static int set_settings(const struct agentsh_ring *ring, uint32_t hooks, uint32_t flags,
			struct bpf_object *obj, const struct agentsh_variant *variant)
{
	const struct agentsh_settings settings = {
		.quota_bytes = ring->quota_bytes,
		.wakeup_watermark = ring->moderator.wakeup_watermark,
		.pidns_inode = own_pidns(),
		.udp_no_dedup = (flags & AGENTSH_EBPF_OPEN_UDP_NO_DEDUP) != 0,
		.comm = variant->comm,
		.task_direct = variant->direct,
		.lifecycle = (hooks & AGENTSH_EBPF_HOOK_LIFECYCLE) != 0,
		.accept = (hooks & AGENTSH_EBPF_HOOK_ACCEPT) != 0,
		.traffic = (hooks & AGENTSH_EBPF_HOOK_TRAFFIC) != 0,
	};
	struct bpf_map *map = bpf_object__find_map_by_name(obj, SETTINGS_MAP);
	return map ? bpf_map__set_initial_value(map, &settings, sizeof(settings)) : -ENOENT;
}

static int set_entries(struct bpf_object *obj, const char *name, uint32_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	return map ? bpf_map__set_max_entries(map, entries) : -ENOENT;
}

/* Enables only the wanted programs, and the maps that only they use. */
static int choose_programs(struct bpf_object *obj, uint32_t wanted)
{
	bool has_sendmsg = false, has_traffic = false;

	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++) {
		const struct agentsh_program_desc *desc = &agentsh_program_descs[i];
		struct bpf_program *prog;
		struct bpf_map *state_map;

		if (!(agentsh_ebpf_hooks_built() & desc->wanted_by))
			continue;
		prog = bpf_object__find_program_by_name(obj, desc->program);
		state_map = bpf_object__find_map_by_name(obj, desc->state_map);
		if (!prog || !state_map)
			return -ENOENT;
		bpf_program__set_autoload(prog, wanted & 1U << i);
		bpf_map__set_autocreate(state_map, wanted & 1U << i);
		if (wanted & 1U << i && desc->wanted_by == AGENTSH_EBPF_HOOK_UDP)
			has_sendmsg = true;
		if (wanted & 1U << i && desc->wanted_by == AGENTSH_EBPF_HOOK_TRAFFIC)
			has_traffic = true;
	}
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "agentsh_progress"),
				  has_traffic);
	bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "agentsh_tcp_seen"), has_traffic);
	if (agentsh_ebpf_hooks_built() & AGENTSH_EBPF_HOOK_UDP)
		bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "agentsh_udp_seen"),
					has_sendmsg);
	return 0;
}

/*
 * The size of the table of sockets, which only lifecycle and accept events fill. The map is
 * created for every tracer: without CAP_PERFMON older kernels need the maps of unreachable
 * code, too.
 */
static uint32_t table_size(uint32_t hooks, const struct agentsh_ebpf_tracer_options *opts)
{
	return hooks & (AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT) ? opts->max_sockets
										: 1;
}

/*
 * From kernel 5.9 on (7d9c3427894f) all programs can share one storage per cgroup, so a
 * session's state is written once. The key of such a map is the cgroup's id alone, which
 * older kernels refuse; there each program keeps a separate map. Any other error is left
 * to the load, which reports it when it creates the maps.
 */
static int share_states(struct agentsh_programs *programs, struct bpf_object *obj, uint32_t wanted)
{
	int ret = 0;

	if (programs->state_fd < 0)
		programs->state_fd =
			bpf_map_create(BPF_MAP_TYPE_CGROUP_STORAGE, STATE_MAP, sizeof(__u64),
				       sizeof(struct agentsh_session_state), 0, NULL);
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT && programs->state_fd >= 0 && !ret; i++)
		if (wanted & 1U << i)
			ret = bpf_map__reuse_fd(bpf_object__find_map_by_name(
							obj, agentsh_program_descs[i].state_map),
						programs->state_fd);
	return ret;
}

int agentsh_configure(struct agentsh_programs *programs, const struct agentsh_ring *ring,
		      const struct agentsh_ebpf_tracer_options *opts, struct bpf_object *obj,
		      const struct agentsh_variant *variant, uint32_t wanted)
{
	int ret = choose_programs(obj, wanted);

	if (!ret)
		ret = set_settings(ring, programs->hooks, opts->flags, obj, variant);
	if (!ret)
		ret = set_entries(obj, "agentsh_sock_states", table_size(programs->hooks, opts));
	if (!ret)
		ret = set_entries(obj, "agentsh_ring", opts->ring_size);
	if (!ret)
		ret = set_entries(obj, "agentsh_slots", opts->max_sessions);
	if (!ret && (agentsh_ebpf_hooks_built() & AGENTSH_EBPF_HOOK_UDP))
		ret = set_entries(obj, "agentsh_udp_seen", opts->udp_dedup_entries);
	return ret ? ret : share_states(programs, obj, wanted);
}
