/* SPDX-License-Identifier: Apache-2.0 */
/* The baselines: nothing, an empty program, a minimal one with libbpf's reader. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "empty.skel.h"
#include "minimal.skel.h"
#include "record.h"
#include "util.h"
#include "variant.h"

struct delays *variant_delays;

void touch(const void *bytes, uint64_t timestamp_ns)
{
	struct delays *d = variant_delays;
	/*
	 * Reads member by member, as a host does. Wider loads of bytes that were just stored in
	 * smaller pieces would wait for these stores.
	 */
	const volatile uint64_t *words = bytes;

	for (size_t i = 0; i < sizeof(struct agentsh_record) / sizeof(*words); i++)
		(void)words[i];
	if (d && d->n < d->room)
		d->ns[d->n++] = (uint32_t)(clock_ns(CLOCK_BOOTTIME) - timestamp_ns);
}

const struct variant variant_none = {.name = "(a) no program"};

struct empty {
	struct empty_bpf *skel;
	struct bpf_link *link, *second;
};

static void *empty_open(size_t ring_size)
{
	struct empty *e = xrealloc(NULL, sizeof(*e));

	(void)ring_size;
	*e = (struct empty){.skel = empty_bpf__open_and_load()};
	if (!e->skel)
		die("empty program: %m");
	return e;
}

static void empty_attach(void *state, int cgroup_fd)
{
	struct empty *e = state;

	e->link = bpf_program__attach_cgroup(e->skel->progs.bench_empty, cgroup_fd);
	if (!e->link)
		die("attach of the empty program: %m");
}

static void sockops_attach(void *state, int cgroup_fd)
{
	struct empty *e = state;

	e->link = bpf_program__attach_cgroup(e->skel->progs.bench_empty_sockops, cgroup_fd);
	if (!e->link)
		die("attach of the empty sockops program: %m");
}

static void packets_attach(void *state, int cgroup_fd)
{
	struct empty *e = state;

	e->link = bpf_program__attach_cgroup(e->skel->progs.bench_empty_egress, cgroup_fd);
	e->second = bpf_program__attach_cgroup(e->skel->progs.bench_empty_ingress, cgroup_fd);
	if (!e->link || !e->second)
		die("attach of the empty packet programs: %m");
}

static void egress_attach(void *state, int cgroup_fd)
{
	struct empty *e = state;

	e->link = bpf_program__attach_cgroup(e->skel->progs.bench_empty_egress, cgroup_fd);
	if (!e->link)
		die("attach of the empty egress program: %m");
}

static void empty_close(void *state)
{
	struct empty *e = state;

	bpf_link__destroy(e->link);
	bpf_link__destroy(e->second);
	empty_bpf__destroy(e->skel);
	free(e);
}

const struct variant variant_empty = {
	.name = "(b) empty program",
	.open = empty_open,
	.attach = empty_attach,
	.close = empty_close,
};

const struct variant variant_sockops = {
	.name = "(s) empty sockops program",
	.open = empty_open,
	.attach = sockops_attach,
	.close = empty_close,
};

const struct variant variant_packets = {
	.name = "(e) empty packet programs",
	.open = empty_open,
	.attach = packets_attach,
	.close = empty_close,
};

const struct variant variant_egress = {
	.name = "(e) empty egress program",
	.open = empty_open,
	.attach = egress_attach,
	.close = empty_close,
};

struct minimal {
	struct minimal_bpf *skel;
	struct bpf_link *link;
	struct ring_buffer *ring;
};

static int minimal_event(void *ctx, void *data, size_t size)
{
	const struct agentsh_record *rec = data;

	(void)ctx;
	(void)size;
	touch(data, rec->timestamp_ns);
	return 0;
}

static void *ring_open(size_t ring_size, uint64_t submit_flags)
{
	struct minimal *m = xrealloc(NULL, sizeof(*m));

	*m = (struct minimal){.skel = minimal_bpf__open()};
	if (m->skel)
		m->skel->rodata->bench_submit_flags = submit_flags;
	if (!m->skel || bpf_map__set_max_entries(m->skel->maps.bench_ring, (__u32)ring_size) ||
	    minimal_bpf__load(m->skel))
		die("minimal program: %m");
	m->ring =
		ring_buffer__new(bpf_map__fd(m->skel->maps.bench_ring), minimal_event, NULL, NULL);
	if (!m->ring)
		die("ring_buffer__new: %m");
	return m;
}

static void *minimal_open(size_t ring_size)
{
	return ring_open(ring_size, 0);
}

static void *quiet_open(size_t ring_size)
{
	return ring_open(ring_size, BPF_RB_NO_WAKEUP);
}

static void minimal_attach(void *state, int cgroup_fd)
{
	struct minimal *m = state;

	m->link = bpf_program__attach_cgroup(m->skel->progs.bench_minimal, cgroup_fd);
	if (!m->link)
		die("attach of the minimal program: %m");
}

static long minimal_consume(void *state, int timeout_ms)
{
	struct minimal *m = state;

	return timeout_ms ? ring_buffer__poll(m->ring, timeout_ms) : ring_buffer__consume(m->ring);
}

static uint64_t minimal_lost(void *state)
{
	(void)state;
	return UINT64_MAX;
}

static void minimal_close(void *state)
{
	struct minimal *m = state;

	bpf_link__destroy(m->link);
	ring_buffer__free(m->ring);
	minimal_bpf__destroy(m->skel);
	free(m);
}

const struct variant variant_minimal = {
	.name = "(c) minimal record",
	.open = minimal_open,
	.attach = minimal_attach,
	.consume = minimal_consume,
	.lost = minimal_lost,
	.close = minimal_close,
};

/* Nothing wakes the reader, which reads everything when it is stopped. */
const struct variant variant_quiet = {
	.name = "(q) minimal record, no wake-up",
	.open = quiet_open,
	.attach = minimal_attach,
	.consume = minimal_consume,
	.lost = minimal_lost,
	.close = minimal_close,
};
