/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses programs and maps, and sets sizes and settings, in an object before its load. */
#include "load/configure.h"

#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/programs.h"
#include "load/set_retval.h"
#include "ring/ring.h"
#include "rules_table.h"
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

#define DNS_PORT 53

/*
 * Lists each port of name servers once. Unused elements repeat the first, as the programs
 * expect.
 */
static void set_dns_ports(uint16_t ports[AGENTSH_DNS_PORTS],
			  const struct agentsh_ebpf_tracer_options *opts)
{
	size_t count = 1;

	for (size_t i = 0; i < AGENTSH_DNS_PORTS; i++)
		ports[i] = DNS_PORT;
	for (size_t i = 0; i < sizeof(opts->dns_ports) / sizeof(opts->dns_ports[0]); i++) {
		size_t at = 0;

		while (at < count && ports[at] != opts->dns_ports[i])
			at++;
		if (at == count && opts->dns_ports[i])
			ports[count++] = opts->dns_ports[i];
	}
}

static int set_settings(const struct agentsh_ring *ring, uint32_t hooks,
			const struct agentsh_ebpf_tracer_options *opts, struct bpf_object *obj,
			const struct agentsh_variant *variant)
{
	struct agentsh_settings settings = {
		.quota_bytes = ring->quota_bytes,
		.packets_bytes = ring->size / 2,
		.wakeup_watermark = ring->moderator.wakeup_watermark,
		.pidns_inode = own_pidns(),
		.udp_no_dedup = (opts->flags & AGENTSH_EBPF_OPEN_UDP_NO_DEDUP) != 0,
		.comm = variant->comm,
		.task_direct = variant->direct,
		.lifecycle = (hooks & AGENTSH_EBPF_HOOK_LIFECYCLE) != 0,
		.accept = (hooks & AGENTSH_EBPF_HOOK_ACCEPT) != 0,
		.traffic = (hooks & AGENTSH_EBPF_HOOK_TRAFFIC) != 0,
		.dns = (hooks & AGENTSH_EBPF_HOOK_DNS) != 0,
		.server_name = (hooks & AGENTSH_EBPF_HOOK_SERVER_NAME) != 0,
		.unix_sockets = (hooks & AGENTSH_EBPF_HOOK_UNIX) != 0,
		.rules = (hooks & AGENTSH_EBPF_HOOK_RULES) != 0,
		.egress = (hooks & AGENTSH_EBPF_HOOK_EGRESS) != 0,
		.denials_only = (opts->flags & AGENTSH_EBPF_OPEN_DENIALS_ONLY) != 0,
	};
	struct bpf_map *map = bpf_object__find_map_by_name(obj, SETTINGS_MAP);

	set_dns_ports(settings.dns_ports, opts);
	return map ? bpf_map__set_initial_value(map, &settings, sizeof(settings)) : -ENOENT;
}

uint32_t agentsh_rules_nodes(const struct agentsh_ebpf_tracer_options *opts)
{
	return opts->rules_bytes / (uint32_t)sizeof(struct agentsh_rules_node);
}

static int set_entries(struct bpf_object *obj, const char *name, uint32_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	return map ? bpf_map__set_max_entries(map, entries) : -ENOENT;
}

/* Whether a program of this hook is wanted. */
static bool is_wanted(uint32_t wanted, uint32_t hook)
{
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
		if (wanted & 1U << i && agentsh_program_descs[i].wanted_by & hook)
			return true;
	return false;
}

/* libbpf before 1.3 does not know every section, and then leaves the types open. */
static int set_type(struct bpf_program *prog, uint32_t attach_type)
{
	int ret = 0;

	if (bpf_program__type(prog) == BPF_PROG_TYPE_UNSPEC) {
		ret = bpf_program__set_type(prog, BPF_PROG_TYPE_CGROUP_SOCK_ADDR);
		if (!ret)
			ret = bpf_program__set_expected_attach_type(
				prog, (enum bpf_attach_type)attach_type);
	}
	return ret;
}

/* Enables only the wanted programs, and the maps that only they use. */
static int choose_programs(struct bpf_object *obj, uint32_t wanted, uint32_t hooks)
{
	static const struct {
		const char *map;
		uint32_t hooks;
	} maps[] = {
		{"agentsh_tcp_seen", AGENTSH_EBPF_HOOK_TRAFFIC},
		{"agentsh_unix_seen", AGENTSH_EBPF_HOOK_UNIX},
	};

	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++) {
		const struct agentsh_program_desc *desc = &agentsh_program_descs[i];
		struct bpf_program *prog;
		struct bpf_map *state_map;
		int ret;

		if (!(agentsh_ebpf_hooks_built() & desc->wanted_by))
			continue;
		prog = bpf_object__find_program_by_name(obj, desc->program);
		state_map = bpf_object__find_map_by_name(obj, desc->state_map);
		if (!prog || !state_map)
			return -ENOENT;
		ret = set_type(prog, desc->attach_type);
		if (ret)
			return ret;
		bpf_program__set_autoload(prog, wanted & 1U << i);
		bpf_map__set_autocreate(state_map, wanted & 1U << i);
	}
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "agentsh_progress"),
				  hooks & AGENTSH_EBPF_HOOK_TRAFFIC &&
					  is_wanted(wanted, AGENTSH_EBPF_HOOK_TRAFFIC));
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		if (agentsh_ebpf_hooks_built() & maps[i].hooks)
			bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, maps[i].map),
						is_wanted(wanted, maps[i].hooks));
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

/* Likewise, these maps are created for every tracer. */
static int set_rules_sizes(struct bpf_object *obj, uint32_t hooks,
			   const struct agentsh_ebpf_tracer_options *opts)
{
	const bool rules = hooks & AGENTSH_EBPF_HOOK_RULES;
	int ret = set_entries(obj, "agentsh_rules", rules ? agentsh_rules_nodes(opts) : 1);

	return ret ? ret : set_entries(obj, "agentsh_listed", rules ? opts->rules_addresses : 1);
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
	int ret = choose_programs(obj, wanted, programs->hooks);

	if (!ret)
		ret = set_settings(ring, programs->hooks, opts, obj, variant);
	if (!ret)
		ret = set_entries(obj, "agentsh_sock_states", table_size(programs->hooks, opts));
	if (!ret)
		ret = set_entries(obj, "agentsh_ring", opts->ring_size);
	if (!ret)
		ret = set_entries(obj, "agentsh_slots", opts->max_sessions);
	if (!ret)
		ret = set_rules_sizes(obj, programs->hooks, opts);
	if (!ret)
		ret = set_entries(obj, "agentsh_udp_seen",
				  programs->hooks & AGENTSH_EBPF_HOOK_UDP ? opts->udp_dedup_entries
									  : 1);
	if (!ret && !programs->set_retval)
		ret = agentsh_set_retval_remove(obj);
	return ret ? ret : share_states(programs, obj, wanted);
}
