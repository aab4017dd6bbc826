/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel.h"
#include "progress_told.h"

#define PROGRESS AGENTSH_EBPF_EVENT_PROGRESS

struct live_cgroup told_cgroup;
struct live_worker told_worker;
struct agentsh_ebpf_tracer *told_tracer;
struct agentsh_ebpf_session *told_session;
struct counted told_moved;

void told_begin(uint32_t ring_size, uint32_t interval_ms, uint64_t missing)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = TOLD_HOOKS,
		.required_hooks = TOLD_HOOKS,
		.ring_size = ring_size,
		.ring_quota = 100,
		.simulate_missing = missing,
		.check_interval_ms = UINT32_MAX,
		.progress_interval_ms = interval_ms,
	};

	connection_errors_hidden = missing || kernel_hides_tasks();
	told_tracer = live_open_kept(&options);
	live_cgroup_make(&told_cgroup, NULL);
	told_session = live_attach(told_tracer, &told_cgroup, MOVES_SESSION);
	live_worker_start(&told_worker, &told_cgroup);
	live_worker_call(&told_worker, moves_open, NULL, 0, &told_moved, sizeof(told_moved));
}

void told_move(uint32_t what)
{
	live_worker_call(&told_worker, moves_make, &what, sizeof(what), &told_moved,
			 sizeof(told_moved));
}

bool told_is(const struct agentsh_ebpf_event *e, const struct counts *s)
{
	return e->bytes_sent == s->bytes_sent && e->bytes_received == s->bytes_received &&
	       e->packets_sent == s->packets_sent && e->packets_received == s->packets_received;
}

const struct agentsh_ebpf_event *told_last(const struct counts *s, uint32_t kind)
{
	for (size_t i = live_seen.count; i-- > 0;)
		if (live_seen.list[i].socket_cookie == s->cookie && live_seen.list[i].kind == kind)
			return &live_seen.list[i];
	return NULL;
}

bool told_is_seen(const struct counts *s)
{
	bool traffic = s->bytes_sent || s->bytes_received;

	return traffic && !(moves_is_tcp(s) && connection_errors_hidden);
}

void told_same(const struct counts *s, const struct agentsh_ebpf_event *e)
{
	LIVE_CHECK(told_is(e, s),
		   "%s: sent %llu in %u, received %llu in %u; the process: %llu in %u, %llu in %u",
		   s->name, (unsigned long long)e->bytes_sent, e->packets_sent,
		   (unsigned long long)e->bytes_received, e->packets_received,
		   (unsigned long long)s->bytes_sent, s->packets_sent,
		   (unsigned long long)s->bytes_received, s->packets_received);
}

void told_expect_rising(void)
{
	for (uint32_t n = 0; n < told_moved.count; n++) {
		const struct counts *s = &told_moved.list[n];
		const struct agentsh_ebpf_event *before = NULL;

		for (size_t i = 0; i < live_seen.count; i++) {
			const struct agentsh_ebpf_event *e = &live_seen.list[i];

			if (e->socket_cookie != s->cookie || e->kind != PROGRESS)
				continue;
			LIVE_CHECK(told_is_seen(s), "%s has PROGRESS", s->name);
			LIVE_CHECK(!before || (e->bytes_sent >= before->bytes_sent &&
					       e->bytes_received >= before->bytes_received &&
					       e->packets_sent >= before->packets_sent &&
					       e->packets_received >= before->packets_received &&
					       e->duration_ns > before->duration_ns),
				   "%s: a value decreases", s->name);
			LIVE_CHECK(!before || e->bytes_sent + e->bytes_received >
						      before->bytes_sent + before->bytes_received,
				   "%s: PROGRESS without traffic", s->name);
			before = e;
		}
	}
}

/* The first socket from this one on whose last PROGRESS does not tell everything. */
static uint32_t next_pending(uint32_t from)
{
	for (uint32_t n = from; n < told_moved.count; n++) {
		const struct agentsh_ebpf_event *e = told_last(&told_moved.list[n], PROGRESS);

		if (told_is_seen(&told_moved.list[n]) && !(e && told_is(e, &told_moved.list[n])))
			return n;
	}
	return told_moved.count;
}

size_t told_pending(void)
{
	size_t count = 0;

	for (uint32_t n = next_pending(0); n < told_moved.count; n = next_pending(n + 1))
		count++;
	return count;
}

void told_await(void)
{
	int64_t end = live_now_ms() + LIVE_DEADLINE_MS;
	uint32_t n;

	while ((n = next_pending(0)) < told_moved.count) {
		if (live_now_ms() >= end) {
			const struct counts *s = &told_moved.list[n];

			LIVE_CHECK(told_last(s, PROGRESS), "%s: no PROGRESS", s->name);
			told_same(s, told_last(s, PROGRESS));
		}
		LIVE_CHECK(agentsh_ebpf_poll(told_tracer, 100) >= 0, "poll failed");
	}
	told_expect_rising();
}
