/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a tracer, compared with a skeleton load of the same programs by libbpf; opening without
 * BTF; and the probe after libbpf has cached its feature checks.
 */
#include <agentsh/ebpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record.h"
#include "session_state.h"
#include "settings.h"

#include "agentsh_task.skel.h" /* knows the type of the settings by name only */
#include "report.h"
#include "scenario.h"
#include "util.h"

static const char NAME[] = "open";

enum { TIMES = 5, RING = 1 << 20, SLOTS = 4096, PAIRS = 8192, SOCKETS = 65536 };

/* Programs of the object, in groups of hooks. */
static const struct {
	const char *program, *storage;
	uint32_t hooks; /* loaded for any of these */
} programs[] = {
	{"agentsh_connect4", "agentsh_state_connect4", AGENTSH_EBPF_HOOK_CONNECT},
	{"agentsh_connect6", "agentsh_state_connect6", AGENTSH_EBPF_HOOK_CONNECT},
	{"agentsh_sendmsg4", "agentsh_state_sendmsg4", AGENTSH_EBPF_HOOK_UDP},
	{"agentsh_sendmsg6", "agentsh_state_sendmsg6", AGENTSH_EBPF_HOOK_UDP},
	{"agentsh_sockops", "agentsh_state_sockops",
	 AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT},
	{"agentsh_release", "agentsh_state_release", AGENTSH_EBPF_HOOK_LIFECYCLE},
	{"agentsh_bind4", "agentsh_state_bind4", AGENTSH_EBPF_HOOK_ACCEPT},
	{"agentsh_bind6", "agentsh_state_bind6", AGENTSH_EBPF_HOOK_ACCEPT},
	{"agentsh_ingress", "agentsh_state_ingress",
	 AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS},
	{"agentsh_egress", "agentsh_state_egress",
	 AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME},
	{"agentsh_connect_unix", "agentsh_state_connect_unix", AGENTSH_EBPF_HOOK_UNIX},
	{"agentsh_sendmsg_unix", "agentsh_state_sendmsg_unix", AGENTSH_EBPF_HOOK_UNIX},
};

enum { PROGRAMS = sizeof(programs) / sizeof(*programs) };

#define DEFAULT_HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP)
#define ALL_HOOKS                                                                                  \
	(DEFAULT_HOOKS | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT |                  \
	 AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME |       \
	 AGENTSH_EBPF_HOOK_UNIX)

/* enum bpf_attach_type of kernel 6.7, which older headers lack */
enum { UNIX_CONNECT = 49, UNIX_SENDMSG = 50, DNS_PORT = 53 };

static const struct {
	const char *name;
	uint32_t hooks;
} loads[] = {
	{"default hooks", DEFAULT_HOOKS},
	{"all hooks", ALL_HOOKS},
};

enum { BARE, OURS, NO_BTF, OPENERS };

static const char *const names[OPENERS] = {
	[BARE] = "bare skeleton load",
	[OURS] = "agentsh-ebpf",
	[NO_BTF] = "agentsh-ebpf without BTF",
};

static int ignore(void *ctx, void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	return 0;
}

/* Set as by the library, because otherwise the verifier would have less to check. */
static void set_settings(struct bpf_map *map, uint32_t hooks)
{
	struct agentsh_settings settings = {
		.quota_bytes = RING / 4,
		.packets_bytes = RING / 2,
		.wakeup_watermark = RING / 2,
		.comm = 1,
		.task_direct = 1,
		.lifecycle = (hooks & AGENTSH_EBPF_HOOK_LIFECYCLE) != 0,
		.accept = (hooks & AGENTSH_EBPF_HOOK_ACCEPT) != 0,
		.traffic = (hooks & AGENTSH_EBPF_HOOK_TRAFFIC) != 0,
		.dns = (hooks & AGENTSH_EBPF_HOOK_DNS) != 0,
		.server_name = (hooks & AGENTSH_EBPF_HOOK_SERVER_NAME) != 0,
		.unix_sockets = (hooks & AGENTSH_EBPF_HOOK_UNIX) != 0,
	};
	struct agentsh_settings copies[8];
	struct stat ns;
	size_t size = 0;

	if (stat("/proc/self/ns/pid", &ns) || !bpf_map__initial_value(map, &size) ||
	    size > sizeof(copies))
		die("settings of the bare skeleton");
	settings.pidns_inode = (uint32_t)ns.st_ino;
	for (size_t i = 0; i < AGENTSH_DNS_PORTS; i++)
		settings.dns_ports[i] = DNS_PORT;
	for (size_t i = 0; i < size / sizeof(settings); i++)
		copies[i] = settings;
	if (bpf_map__set_initial_value(map, copies, size))
		die("settings of the bare skeleton: %m");
}

/* libbpf before 1.3 does not know the sections of these programs. */
static void set_type(struct bpf_object *obj, const char *name, int attach_type)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, name);

	if (bpf_program__set_type(prog, BPF_PROG_TYPE_CGROUP_SOCK_ADDR) ||
	    bpf_program__set_expected_attach_type(prog, (enum bpf_attach_type)attach_type))
		die("%s of the bare skeleton: %m", name);
}

/* Selects the programs of these hooks, with one storage for all of them. */
static void set_programs(struct bpf_object *obj, uint32_t hooks, int storage)
{
	for (int i = 0; i < PROGRAMS; i++) {
		bool wanted = (programs[i].hooks & hooks) != 0;
		struct bpf_map *map = bpf_object__find_map_by_name(obj, programs[i].storage);

		bpf_program__set_autoload(
			bpf_object__find_program_by_name(obj, programs[i].program), wanted);
		bpf_map__set_autocreate(map, wanted);
		if (wanted && bpf_map__reuse_fd(map, storage))
			die("storage of the bare skeleton: %m");
	}
	bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "agentsh_udp_seen"),
				(hooks & AGENTSH_EBPF_HOOK_UDP) != 0);
	bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "agentsh_tcp_seen"),
				(hooks & AGENTSH_EBPF_HOOK_TRAFFIC) != 0);
	bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "agentsh_unix_seen"),
				(hooks & AGENTSH_EBPF_HOOK_UNIX) != 0);
	set_type(obj, "agentsh_connect_unix", UNIX_CONNECT);
	set_type(obj, "agentsh_sendmsg_unix", UNIX_SENDMSG);
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "agentsh_progress"),
				  (hooks & AGENTSH_EBPF_HOOK_TRAFFIC) != 0);
}

static uint32_t sockets_of(uint32_t hooks)
{
	return hooks & (AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT) ? SOCKETS : 1;
}

static uint64_t bare(uint32_t hooks)
{
	uint64_t begin = now_ns(), took;
	int storage = bpf_map_create(BPF_MAP_TYPE_CGROUP_STORAGE, "bench_state", sizeof(__u64),
				     sizeof(struct agentsh_session_state), 0, NULL);
	struct agentsh_task_bpf *skel = agentsh_task_bpf__open();
	struct ring_buffer *ring;

	if (!skel || storage < 0)
		die("bare skeleton: %m");
	set_settings(bpf_object__find_map_by_name(skel->obj, ".rodata.settings"), hooks);
	set_programs(skel->obj, hooks, storage);
	if (bpf_map__set_max_entries(skel->maps.agentsh_sock_states, sockets_of(hooks)) ||
	    bpf_map__set_max_entries(skel->maps.agentsh_ring, RING) ||
	    bpf_map__set_max_entries(skel->maps.agentsh_slots, SLOTS) ||
	    bpf_map__set_max_entries(skel->maps.agentsh_udp_seen, PAIRS) ||
	    agentsh_task_bpf__load(skel))
		die("bare skeleton: %m");
	ring = ring_buffer__new(bpf_map__fd(skel->maps.agentsh_ring), ignore, NULL, NULL);
	if (!ring)
		die("ring_buffer__new: %m");
	took = now_ns() - begin;
	ring_buffer__free(ring);
	agentsh_task_bpf__destroy(skel);
	close(storage);
	return took;
}

static uint64_t ours(uint32_t hooks, uint64_t simulate)
{
	struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts), .hooks = hooks, .simulate_missing = simulate};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;
	uint64_t begin = now_ns(), took;

	if (agentsh_ebpf_tracer_open(&opts, &tracer, &err))
		die("tracer_open: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
	took = now_ns() - begin;
	agentsh_ebpf_tracer_close(tracer);
	return took;
}

static uint64_t open_one(int which, uint32_t hooks)
{
	if (which == BARE)
		return bare(hooks);
	return ours(hooks, which == NO_BTF ? 1ull << AGENTSH_EBPF_CHECK_BTF : 0);
}

static void one_round(const char *load, uint32_t hooks, unsigned round)
{
	uint32_t us[OPENERS][TIMES];

	for (unsigned i = 0; i < OPENERS * TIMES; i++) {
		unsigned at = (i + round) % OPENERS;

		us[at][i / OPENERS] = (uint32_t)(open_one((int)at, hooks) / 1000);
	}
	for (int i = 0; i < OPENERS; i++)
		report_add(NAME, load, names[i], "open", "ms", percentile(us[i], TIMES, 50) / 1e3);
	report_ratio(NAME, load, "open, ours / bare", 1.2,
		     report_last(NAME, load, names[OURS], "open") /
			     report_last(NAME, load, names[BARE], "open"));
	report_ratio(NAME, load, "open, without BTF / with", 1,
		     report_last(NAME, load, names[NO_BTF], "open") /
			     report_last(NAME, load, names[OURS], "open"));
}

static double probe_ms(void)
{
	struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps)};
	uint64_t begin = now_ns();

	if (agentsh_ebpf_capability_probe(&caps) || !caps.usable)
		die("probe: %s", caps.reason);
	return (double)(now_ns() - begin) / 1e6;
}

void scenario_open(const struct bench *b)
{
	/* libbpf checks the features of the kernel once per process: not in a timed call */
	for (int i = 0; i < OPENERS; i++)
		open_one(i, ALL_HOOKS);
	probe_ms();
	for (unsigned round = 0; round < b->rounds; round++) {
		double ms[TIMES];

		fprintf(stderr, "bench: open, round %u of %u\n", round + 1, b->rounds);
		for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++)
			one_round(loads[i].name, loads[i].hooks, round);
		for (int i = 0; i < TIMES; i++)
			ms[i] = probe_ms();
		report_add(NAME, "probe", names[OURS], "probe", "ms", median(ms, TIMES));
		report_ratio(NAME, "probe", "ms of a probe, warm", 50,
			     report_last(NAME, "probe", names[OURS], "probe"));
	}
}
