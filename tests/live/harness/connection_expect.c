/* SPDX-License-Identifier: Apache-2.0 */
/* Compares events with what their process saw. */
#include <stdio.h>
#include <string.h>

#include "kernel.h"
#include "connection.h"

static struct agentsh_ebpf_tracer *open_without(uint32_t hooks, uint64_t missing)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = hooks,
		.required_hooks = hooks,
		.ring_size = 1 << 22,
		.ring_quota = 100,
		.simulate_missing = missing,
	};

	connection_errors_hidden = missing || kernel_hides_tasks();
	return live_open_kept(&options);
}

struct agentsh_ebpf_tracer *connection_open(uint32_t hooks)
{
	return open_without(hooks, 0);
}

struct agentsh_ebpf_tracer *connection_open_without_btf(uint32_t hooks)
{
	return open_without(hooks, 1ULL << AGENTSH_EBPF_CHECK_BTF);
}

size_t connection_count(uint32_t kind)
{
	size_t count = 0;

	for (size_t i = 0; i < live_seen.count; i++)
		count += live_seen.list[i].kind == kind;
	return count;
}

const struct agentsh_ebpf_event *connection_find(uint32_t kind, size_t n)
{
	for (size_t i = 0; i < live_seen.count; i++)
		if (live_seen.list[i].kind == kind && !n--)
			return &live_seen.list[i];
	return NULL;
}

/* Whether the event is of the accepting side, which other tests compare. */
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

void connection_drain(struct agentsh_ebpf_tracer *tracer, const struct connection *list,
		      size_t count)
{
	size_t events = 0;

	for (size_t i = 0; i < count; i++)
		events += 1 + (list[i].connected != 0) + (list[i].end != 0);
	for (size_t others = 0; live_drain_until(tracer, events + others), others != inbounds();)
		others = inbounds();
	live_drain(tracer);
}

/* What the process knew, without what a tracer without BTF cannot report. */
static struct expectation visible(const struct connection *connection,
				  const struct agentsh_ebpf_event *e)
{
	struct expectation want = connection->connect;

	want.want.session_id = e->session_id;
	if (connection_errors_hidden)
		expectation_hide_task(&want);
	return want;
}

static void within(const struct connection *connection, const char *what, uint64_t is,
		   uint64_t from, uint64_t to)
{
	LIVE_CHECK(is >= from && is <= to, "%s: %s is %llu, expected %llu to %llu",
		   connection->connect.name, what, (unsigned long long)is, (unsigned long long)from,
		   (unsigned long long)to);
}

static void equal(const struct connection *connection, const char *what, uint64_t is,
		  uint64_t should)
{
	LIVE_CHECK(is == should, "%s: %s is %llu, expected %llu", connection->connect.name, what,
		   (unsigned long long)is, (unsigned long long)should);
}

/* Compares what all events of a socket share: task, socket and both ends. */
static void same_socket(const struct connection *connection, const struct agentsh_ebpf_event *e)
{
	struct agentsh_ebpf_event rest = *e;
	const struct expectation want = visible(connection, e);
	const char *differs;

	if (connection->known & CONNECTION_LOCAL) {
		equal(connection, "local_port", e->local_port, connection->local_port);
		LIVE_CHECK(!memcmp(e->local_addr, connection->local_addr, 16), "%s: %s: local_addr",
			   connection->connect.name, agentsh_ebpf_kind_name(e->kind));
	}
	/* the members that differ from CONNECT are compared elsewhere */
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
	rest.packets_sent = 0;
	rest.packets_received = 0;
	differs = expectation_differs(&want, &rest);
	LIVE_CHECK(!differs, "%s: %s", agentsh_ebpf_kind_name(e->kind), differs);
}

static void is_connect(const struct connection *connection, const struct agentsh_ebpf_event *e)
{
	const struct expectation want = visible(connection, e);
	const char *differs;

	differs = expectation_differs(&want, e);
	LIVE_CHECK(!differs, "%s", differs);
}

/* The program read the clock for CONNECT between the two times around the call. */
static void duration(const struct connection *connection, const struct agentsh_ebpf_event *e)
{
	const uint64_t *called = connection->connect.boot_ns;

	within(connection, "duration_ns", e->duration_ns,
	       e->timestamp_ns > called[1] ? e->timestamp_ns - called[1] : 1,
	       e->timestamp_ns - called[0]);
}

static void is_connected(const struct connection *connection, const struct agentsh_ebpf_event *e)
{
	equal(connection, "kind", e->kind, AGENTSH_EBPF_EVENT_CONNECTED);
	same_socket(connection, e);
	equal(connection, "flags", e->flags, connection->connect.want.flags);
	within(connection, "timestamp_ns", e->timestamp_ns, connection->connect.boot_ns[0],
	       connection->connected_ns);
	duration(connection, e);
	equal(connection, "error", (uint64_t)e->error, 0);
	if (connection->known & CONNECTION_RTT)
		equal(connection, "rtt_us", e->rtt_us, connection->rtt_us);
	equal(connection, "bytes_sent", e->bytes_sent, 0);
	equal(connection, "bytes_received", e->bytes_received, 0);
	equal(connection, "packets", e->packets_sent + e->packets_received, 0);
}

static void is_end(const struct connection *connection, const struct agentsh_ebpf_event *e)
{
	uint32_t hidden = connection_errors_hidden ? AGENTSH_EBPF_FLAG_NO_ERROR : 0;

	equal(connection, "kind", e->kind, connection->end);
	same_socket(connection, e);
	equal(connection, "flags", e->flags,
	      connection->connect.want.flags | connection->flags | hidden);
	within(connection, "timestamp_ns", e->timestamp_ns, connection->end_ns[0],
	       connection->end_ns[1]);
	duration(connection, e);
	equal(connection, "error", (uint64_t)e->error, hidden ? 0 : (uint64_t)connection->error);
	equal(connection, "bytes_sent", e->bytes_sent, connection->sent);
	equal(connection, "bytes_received", e->bytes_received, connection->received);
	equal(connection, "packets", e->packets_sent + e->packets_received, 0);
	if (connection->known & CONNECTION_RETRANSMITS)
		equal(connection, "retransmits", e->retransmits, connection->retransmits);
	if (connection->end == AGENTSH_EBPF_EVENT_CONNECT_FAILED)
		equal(connection, "rtt_us", e->rtt_us, 0);
	else if (connection->known & CONNECTION_END_RTT)
		equal(connection, "rtt_us of the end", e->rtt_us, connection->end_rtt_us);
}

/* The next event of the socket that has not been compared yet. */
static const struct agentsh_ebpf_event *next_of(const struct connection *connection,
						uint64_t session_id, bool *compared)
{
	uint64_t cookie = connection->connect.want.socket_cookie;

	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (compared[i] || inbound(e) || (cookie && e->socket_cookie != cookie) ||
		    (session_id && e->session_id != session_id))
			continue;
		compared[i] = true;
		return e;
	}
	LIVE_FAIL("%s: an event is missing, of %zu", connection->connect.name, live_seen.count);
}

void connection_expect_of(uint64_t session_id, const struct connection *list, size_t count)
{
	static bool compared[LIVE_EVENTS_MAX];

	memset(compared, 0, sizeof(compared));
	for (size_t i = 0; i < count; i++) {
		is_connect(&list[i], next_of(&list[i], session_id, compared));
		if (list[i].connected)
			is_connected(&list[i], next_of(&list[i], session_id, compared));
		if (list[i].end)
			is_end(&list[i], next_of(&list[i], session_id, compared));
	}
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		LIVE_CHECK(compared[i] || inbound(e) || (session_id && e->session_id != session_id),
			   "%s: an unexpected event: %s, flags %u, error %d", list[0].connect.name,
			   agentsh_ebpf_kind_name(e->kind), e->flags, e->error);
	}
}

void connection_expect(const struct connection *list, size_t count)
{
	connection_expect_of(0, list, count);
}
