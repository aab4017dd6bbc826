/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a tracer, against libbpf's skeleton of the very same programs. */
#include <agentsh/ebpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <sys/stat.h>

#include "record.h"
#include "agentsh_task.skel.h"
#include "report.h"
#include "scenario.h"
#include "util.h"

static const char NAME[] = "open";
static const char LOAD[] = "all hooks, default sizes";
static const char BARE[] = "bare skeleton load";
static const char OURS[] = "agentsh-ebpf";

enum { TIMES = 10, RING = 1 << 20, SLOTS = 4096, PAIRS = 8192 };

static int ignore(void *ctx, void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	return 0;
}

/* As the library sets them, or the verifier would have less to look at. */
static void set_settings(struct bpf_map *map)
{
	struct agentsh_settings settings = {.share_bytes = RING / 4, .comm = 1, .task_direct = 1};
	struct agentsh_settings copies[8];
	struct stat ns;
	size_t size = 0;

	if (stat("/proc/self/ns/pid", &ns) || !bpf_map__initial_value(map, &size) ||
	    size > sizeof(copies))
		die("settings of the bare skeleton");
	settings.pidns_inode = (uint32_t)ns.st_ino;
	for (size_t i = 0; i < size / sizeof(settings); i++)
		copies[i] = settings;
	if (bpf_map__set_initial_value(map, copies, size))
		die("settings of the bare skeleton: %m");
}

static void bare(uint32_t *open_us, uint32_t *close_us)
{
	uint64_t t0 = now_ns(), t1;
	struct agentsh_task_bpf *skel = agentsh_task_bpf__open();
	struct ring_buffer *ring;

	if (!skel)
		die("bare skeleton: %m");
	set_settings(bpf_object__find_map_by_name(skel->obj, ".rodata.settings"));
	if (bpf_map__set_max_entries(skel->maps.agentsh_ring, RING) ||
	    bpf_map__set_max_entries(skel->maps.agentsh_slots, SLOTS) ||
	    bpf_map__set_max_entries(skel->maps.agentsh_udp_seen, PAIRS) ||
	    agentsh_task_bpf__load(skel))
		die("bare skeleton: %m");
	ring = ring_buffer__new(bpf_map__fd(skel->maps.agentsh_ring), ignore, NULL, NULL);
	if (!ring)
		die("ring_buffer__new: %m");
	t1 = now_ns();
	*open_us = (uint32_t)((t1 - t0) / 1000);
	ring_buffer__free(ring);
	agentsh_task_bpf__destroy(skel);
	*close_us = (uint32_t)((now_ns() - t1) / 1000);
}

static void ours(uint32_t *open_us, uint32_t *close_us)
{
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;
	uint64_t t0 = now_ns(), t1;

	if (agentsh_ebpf_tracer_open(NULL, &tracer, &err))
		die("tracer_open: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
	t1 = now_ns();
	*open_us = (uint32_t)((t1 - t0) / 1000);
	agentsh_ebpf_tracer_close(tracer);
	*close_us = (uint32_t)((now_ns() - t1) / 1000);
}

static void add(const char *variant, uint32_t *open_us, uint32_t *close_us)
{
	report_add(NAME, LOAD, variant, "open", "ms", percentile(open_us, TIMES, 50) / 1e3);
	report_add(NAME, LOAD, variant, "close", "ms", percentile(close_us, TIMES, 50) / 1e3);
}

void scenario_open(const struct bench *b)
{
	uint32_t bare_open[TIMES], bare_close[TIMES], ours_open[TIMES], ours_close[TIMES];

	/* libbpf tries the kernel's features once a process, whoever comes first */
	bare(bare_open, bare_close);
	ours(ours_open, ours_close);
	for (unsigned round = 0; round < b->rounds; round++) {
		fprintf(stderr, "bench: open, round %u of %u\n", round + 1, b->rounds);
		for (unsigned i = 0; i < TIMES; i++) {
			bare(&bare_open[i], &bare_close[i]);
			ours(&ours_open[i], &ours_close[i]);
		}
		add(BARE, bare_open, bare_close);
		add(OURS, ours_open, ours_close);
		report_ratio(NAME, LOAD, "open, ours / bare", 0,
			     report_last(NAME, LOAD, OURS, "open") /
				     report_last(NAME, LOAD, BARE, "open"));
	}
}
