/* SPDX-License-Identifier: Apache-2.0 */
#include "name_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "names/packet.h"
#include "ring/decode.h"

void name_open(struct name_host *h, uint32_t flags, const struct agentsh_ebpf_session_options *opts)
{
	const struct agentsh_ebpf_tracer_options o = {.hooks = NAME_HOOKS, .flags = flags};

	memset(h, 0, sizeof(*h));
	h->tracer = unit_open(&o);
	ck_assert_int_eq(agentsh_ebpf_session_attach(h->tracer, 0, opts, &h->session, NULL), 0);
	h->now = agentsh_clock_ns(CLOCK_BOOTTIME);
	name_begin(h);
}

void name_close(struct name_host *h)
{
	agentsh_ebpf_tracer_close(h->tracer);
}

void name_begin(struct name_host *h)
{
	h->batch = (struct agentsh_batch){.buf = h->events, .max = UNIT_COUNT(h->events)};
	h->tracer->ring.batch = &h->batch;
	agentsh_names_begin(&h->tracer->ring.names, agentsh_ring_consumed(&h->tracer->ring));
}

struct agentsh_ebpf_event name_event(const struct name_host *h, uint32_t kind, uint64_t cookie,
				     uint32_t tgid, uint32_t address, uint16_t port)
{
	struct agentsh_ebpf_event event = {
		.kind = kind,
		.timestamp_ns = h->now,
		.socket_cookie = cookie,
		.tgid = tgid,
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
		.socket_type = SOCK_STREAM,
		.remote_port = port,
	};

	address = htonl(address);
	memcpy(event.remote_addr, &address, sizeof(address));
	if (kind == AGENTSH_EBPF_EVENT_DNS_QUERY || kind == AGENTSH_EBPF_EVENT_DNS_ANSWER) {
		event.protocol = IPPROTO_UDP;
		event.socket_type = SOCK_DGRAM;
	}
	return event;
}

static const struct agentsh_session_state *state_of(struct agentsh_ebpf_session *session)
{
	return &agentsh_handle_session(session)->state;
}

static void deliver(struct name_host *h, void *record, size_t size)
{
	(h->deliver ? h->deliver : agentsh_deliver_record)(&h->tracer->ring, record, size);
}

const struct agentsh_ebpf_event *name_deliver(struct name_host *h,
					      struct agentsh_ebpf_session *session,
					      const struct agentsh_ebpf_event *event)
{
	struct agentsh_record_outcome record;
	size_t size = agentsh_encode(event, state_of(session), &record);
	int before = h->batch.count;

	deliver(h, &record, size);
	ck_assert_int_eq(h->batch.count, before + 1);
	return &h->events[before];
}

const struct agentsh_ebpf_event *name_connect(struct name_host *h, uint64_t cookie, uint32_t tgid,
					      uint32_t address)
{
	struct agentsh_ebpf_event event =
		name_event(h, AGENTSH_EBPF_EVENT_CONNECT, cookie, tgid, address, 443);

	return name_deliver(h, h->session, &event);
}

/* The rest of the record is what is left of old records: here what no parser accepts. */
int name_packet(struct name_host *h, struct agentsh_ebpf_session *session,
		const struct agentsh_ebpf_event *event, const struct agentsh_packet *packet)
{
	size_t room = packet->captured <= AGENTSH_PACKET_SMALL ? AGENTSH_PACKET_SMALL
							       : AGENTSH_PACKET_LARGE;
	size_t size = sizeof(struct agentsh_record_packet) + room;
	struct agentsh_record_packet *record = malloc(size);
	struct agentsh_record_outcome outcome;
	int before = h->batch.count;

	ck_assert_ptr_nonnull(record);
	memset(record, 0xc0, size);
	agentsh_encode(event, state_of(session), &outcome);
	record->base = outcome.base;
	record->length = packet->length;
	record->captured = packet->captured;
	record->sequence = packet->sequence;
	record->segment = packet->segment;
	if (packet->captured)
		memcpy(record + 1, packet->data, packet->captured);
	deliver(h, record, size);
	free(record);
	return h->batch.count - before;
}

int name_datagram(struct name_host *h, const struct agentsh_ebpf_event *event,
		  const struct dns_builder *b)
{
	const struct agentsh_packet packet = {
		.data = b->bytes,
		.captured =
			(uint32_t)(b->size < AGENTSH_PACKET_LARGE ? b->size : AGENTSH_PACKET_LARGE),
		.length = (uint32_t)b->size,
	};

	return name_packet(h, h->session, event, &packet);
}

int name_ask(struct name_host *h, uint64_t cookie, uint32_t tgid, uint16_t id, const char *name)
{
	const struct agentsh_ebpf_event event =
		name_event(h, AGENTSH_EBPF_EVENT_DNS_QUERY, cookie, tgid, NAME_SERVER, 53);
	struct dns_builder b;

	dns_begin(&b, id, DNS_QUERY, name, DNS_TYPE_A);
	return name_datagram(h, &event, &b);
}

int name_answer(struct name_host *h, uint64_t cookie, uint32_t tgid, uint16_t id, const char *name,
		uint32_t address)
{
	const struct agentsh_ebpf_event event =
		name_event(h, AGENTSH_EBPF_EVENT_DNS_ANSWER, cookie, tgid, NAME_SERVER, 53);
	struct dns_builder b;

	dns_begin(&b, id, DNS_ANSWER, name, DNS_TYPE_A);
	dns_a(&b, name, 60, address);
	return name_datagram(h, &event, &b);
}

void name_resolve(struct name_host *h, uint32_t tgid, const char *name, uint32_t address)
{
	static uint64_t cookie = 1000000;
	uint64_t answers = NAME_STATS(h).answers;

	cookie++;
	name_ask(h, cookie, tgid, (uint16_t)cookie, name);
	name_answer(h, cookie, tgid, (uint16_t)cookie, name, address);
	ck_assert_uint_eq(NAME_STATS(h).answers, answers + 1);
}

struct agentsh_ebpf_name name_of(const struct name_host *h, const struct agentsh_ebpf_event *event)
{
	struct agentsh_ebpf_name name = {.size = sizeof(name)};
	int ret = agentsh_ebpf_event_name(h->tracer, event, &name);

	ck_assert_int_eq(ret, event->name_id ? 0 : -ENOENT);
	return name;
}
