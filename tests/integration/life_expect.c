/* SPDX-License-Identifier: Apache-2.0 */
/* Events against what their process saw. */
#include <stdio.h>
#include <string.h>

#include "kernel.h"
#include "life.h"

static struct agentsh_ebpf_tracer *open_without(uint32_t hooks, uint64_t missing)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = hooks,
		.required_hooks = hooks,
		.ring_size = 1 << 22,
		.ring_share = 100,
		.simulate_missing = missing,
	};

	life_errors_hidden = missing || kernel_hides_tasks();
	return live_open(&options);
}

struct agentsh_ebpf_tracer *life_open(uint32_t hooks)
{
	return open_without(hooks, 0);
}

struct agentsh_ebpf_tracer *life_open_without_btf(uint32_t hooks)
{
	return open_without(hooks, 1ULL << AGENTSH_EBPF_CHECK_BTF);
}

size_t life_count(uint32_t kind)
{
	size_t count = 0;

	for (size_t i = 0; i < live_seen.count; i++)
		count += live_seen.list[i].kind == kind;
	return count;
}

const struct agentsh_ebpf_event *life_find(uint32_t kind, size_t n)
{
	for (size_t i = 0; i < live_seen.count; i++)
		if (live_seen.list[i].kind == kind && !n--)
			return &live_seen.list[i];
	return NULL;
}

/* The other side of a connection; tests of those look at them for themselves. */
static bool inbound(const struct agentsh_ebpf_event *e)
{
	return e->flags & AGENTSH_EBPF_FLAG_INBOUND;
}

static size_t inbounds(void)
{
	size_t count = 0;

	for (size_t i = 0; i < live_seen.count; i++)
		count += inbound(&live_seen.list[i]);
	return count;
}

void life_drain(struct agentsh_ebpf_tracer *tracer, const struct life *list, size_t count)
{
	size_t events = 0;

	for (size_t i = 0; i < count; i++)
		events += 1 + (list[i].connected != 0) + (list[i].end != 0);
	for (size_t others = 0; live_drain_until(tracer, events + others), others != inbounds();)
		others = inbounds();
	live_drain(tracer);
}

/* What the calling thread knew, less what a tracer without BTF can't say. */
static struct truth visible(const struct life *life, const struct agentsh_ebpf_event *e)
{
	struct truth want = life->connect;

	want.want.session_id = e->session_id;
	if (life_errors_hidden) {
		want.want.ppid = 0;
		want.want.ns_pid = 0;
		want.want.ns_tgid = 0;
		want.start_ticks = 0;
	}
	return want;
}

static void within(const struct life *life, const char *what, uint64_t is, uint64_t from,
		   uint64_t to)
{
	LIVE_CHECK(is >= from && is <= to, "%s: %s is %llu, should be %llu to %llu",
		   life->connect.name, what, (unsigned long long)is, (unsigned long long)from,
		   (unsigned long long)to);
}

static void equal(const struct life *life, const char *what, uint64_t is, uint64_t should)
{
	LIVE_CHECK(is == should, "%s: %s is %llu, should be %llu", life->connect.name, what,
		   (unsigned long long)is, (unsigned long long)should);
}

/* What all events of the socket share: who connected, from which socket, where to. */
static void same_socket(const struct life *life, const struct agentsh_ebpf_event *e)
{
	struct agentsh_ebpf_event rest = *e;
	const struct truth want = visible(life, e);
	const char *differs;

	if (life->known & LIFE_LOCAL) {
		equal(life, "local_port", e->local_port, life->local_port);
		LIVE_CHECK(!memcmp(e->local_addr, life->local_addr, 16), "%s: %s: local_addr",
			   life->connect.name, agentsh_ebpf_kind_name(e->kind));
	}
	/* what differs from the event of the call is compared elsewhere */
	memcpy(rest.local_addr, want.want.local_addr, sizeof(rest.local_addr));
	rest.local_port = want.want.local_port;
	rest.kind = want.want.kind;
	rest.flags = e->flags & AGENTSH_EBPF_FLAG_V4_MAPPED;
	rest.timestamp_ns = want.boot_ns[0];
	rest.error = 0;
	rest.rtt_us = 0;
	rest.duration_ns = 0;
	rest.bytes_sent = 0;
	rest.bytes_received = 0;
	rest.retransmits = 0;
	rest.datagrams = 0;
	differs = truth_differs(&want, &rest);
	LIVE_CHECK(!differs, "%s: %s", agentsh_ebpf_kind_name(e->kind), differs);
}

static void is_connect(const struct life *life, const struct agentsh_ebpf_event *e)
{
	const struct truth want = visible(life, e);
	const char *differs;

	differs = truth_differs(&want, e);
	LIVE_CHECK(!differs, "%s", differs);
}

/* Since connect() was called: the program's clock stood between these two then. */
static void duration(const struct life *life, const struct agentsh_ebpf_event *e)
{
	const uint64_t *called = life->connect.boot_ns;

	within(life, "duration_ns", e->duration_ns,
	       e->timestamp_ns > called[1] ? e->timestamp_ns - called[1] : 1,
	       e->timestamp_ns - called[0]);
}

static void is_connected(const struct life *life, const struct agentsh_ebpf_event *e)
{
	equal(life, "kind", e->kind, AGENTSH_EBPF_EVENT_CONNECTED);
	same_socket(life, e);
	equal(life, "flags", e->flags, life->connect.want.flags);
	within(life, "timestamp_ns", e->timestamp_ns, life->connect.boot_ns[0], life->connected_ns);
	duration(life, e);
	equal(life, "error", (uint64_t)e->error, 0);
	if (life->known & LIFE_RTT)
		equal(life, "rtt_us", e->rtt_us, life->rtt_us);
	equal(life, "bytes_sent", e->bytes_sent, 0);
	equal(life, "bytes_received", e->bytes_received, 0);
	equal(life, "datagrams", e->datagrams, 0);
}

static void is_end(const struct life *life, const struct agentsh_ebpf_event *e)
{
	uint32_t hidden = life_errors_hidden ? AGENTSH_EBPF_FLAG_NO_ERROR : 0;

	equal(life, "kind", e->kind, life->end);
	same_socket(life, e);
	equal(life, "flags", e->flags, life->connect.want.flags | life->flags | hidden);
	within(life, "timestamp_ns", e->timestamp_ns, life->end_ns[0], life->end_ns[1]);
	duration(life, e);
	equal(life, "error", (uint64_t)e->error, hidden ? 0 : (uint64_t)life->error);
	equal(life, "bytes_sent", e->bytes_sent, life->sent);
	equal(life, "bytes_received", e->bytes_received, life->received);
	equal(life, "datagrams", e->datagrams, 0);
	if (life->known & LIFE_RETRANSMITS)
		equal(life, "retransmits", e->retransmits, life->retransmits);
	if (life->end == AGENTSH_EBPF_EVENT_CONNECT_FAILED)
		equal(life, "rtt_us", e->rtt_us, 0);
	else if (life->known & LIFE_END_RTT)
		equal(life, "rtt_us of the end", e->rtt_us, life->end_rtt_us);
}

/* The next event of the socket that was not looked at. */
static const struct agentsh_ebpf_event *next_of(const struct life *life, uint64_t session_id,
						bool *taken)
{
	uint64_t cookie = life->connect.want.socket_cookie;

	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (taken[i] || inbound(e) || (cookie && e->socket_cookie != cookie) ||
		    (session_id && e->session_id != session_id))
			continue;
		taken[i] = true;
		return e;
	}
	LIVE_FAIL("%s: an event is missing, of %zu", life->connect.name, live_seen.count);
}

void life_expect_of(uint64_t session_id, const struct life *list, size_t count)
{
	static bool taken[LIVE_EVENTS_MAX];

	memset(taken, 0, sizeof(taken));
	for (size_t i = 0; i < count; i++) {
		is_connect(&list[i], next_of(&list[i], session_id, taken));
		if (list[i].connected)
			is_connected(&list[i], next_of(&list[i], session_id, taken));
		if (list[i].end)
			is_end(&list[i], next_of(&list[i], session_id, taken));
	}
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		LIVE_CHECK(taken[i] || inbound(e) || (session_id && e->session_id != session_id),
			   "%s: one event too many: %s, flags %u, error %d", list[0].connect.name,
			   agentsh_ebpf_kind_name(e->kind), e->flags, e->error);
	}
}

void life_expect(const struct life *list, size_t count)
{
	life_expect_of(0, list, count);
}
