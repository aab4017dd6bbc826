/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever the ring contains, nothing outside the buffers is read or written, and every
 * record is counted once, as delivered or as malformed. The expected counts are computed
 * here independently.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "ring/decode.h"
#include "ring/deliver.h"
#include "tracer/tracer.h"

#define SLOTS 3
#define RING_BYTES(size) (((size) + 8 + 7) / 8 * 8)

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *sessions[2]; /* the third slot is free */
static uint64_t called;
static int answer;

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	FUZZ_CHECK(!ctx);
	FUZZ_CHECK(!event->comm[sizeof(event->comm) - 1]);
	FUZZ_CHECK(!event->process_comm[sizeof(event->process_comm) - 1]);
	called++;
	return answer;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE |
			 AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME |
			 AGENTSH_EBPF_HOOK_UNIX,
		.flags = AGENTSH_EBPF_OPEN_DNS_EVENTS,
		.max_sessions = SLOTS,
		.on_event = on_event,
	};

	(void)argc;
	(void)argv;
	FUZZ_CHECK(!agentsh_ebpf_tracer_open(&options, &tracer, NULL));
	for (int i = 0; i < 2; i++)
		FUZZ_CHECK(!agentsh_ebpf_session_attach(tracer, 0, NULL, &sessions[i], NULL));
	return 0;
}

/*
 * Makes a record in a block of its size: from the input as it is, or changed to be more
 * likely valid.
 */
static unsigned char *make_record(struct fuzz_input *in, size_t *size)
{
	const size_t sizes[] = {192, 240, 312, 720, 4304, 720, 4304, 720};
	uint8_t how = fuzz_byte(in);
	struct agentsh_record *rec;
	unsigned char *data;

	*size = how & 1 ? sizes[how >> 5] : fuzz_byte(in);
	data = malloc(*size ? *size : 1);
	FUZZ_CHECK(data);
	fuzz_bytes(in, data, *size);
	rec = (void *)data;
	if (how & 4 && *size >= sizeof(*rec))
		rec->head.version = AGENTSH_RECORD_VERSION;
	if (how & 8 && *size >= sizeof(*rec)) {
		rec->head.slot %= SLOTS + 1;
		if (how & 16 && rec->head.slot < SLOTS)
			rec->head.generation = tracer->ring.slots.generations[rec->head.slot];
	}
	return data;
}

/* What a record is; the numbers are those of record.h. */
enum type { MALFORMED, EVENT, PACKET };

static uint32_t number_at(const unsigned char *data, size_t at)
{
	uint32_t number;

	memcpy(&number, data + at, sizeof(number));
	return number;
}

static enum type type_of(const unsigned char *data, size_t size)
{
	const struct agentsh_record *rec = (const void *)data;

	if (size < 192 || data[0] != AGENTSH_RECORD_VERSION || rec->head.slot >= SLOTS)
		return MALFORMED;
	if (size == 192 || size == 240)
		return EVENT;
	if (size == 312)
		return rec->head.kind == 14 && number_at(data, 192) <= 112 ? EVENT : MALFORMED;
	if (size != 720 && size != 4304)
		return MALFORMED;
	return rec->head.kind >= 11 && rec->head.kind <= 13 && number_at(data, 196) <= size - 208 &&
			       number_at(data, 196) <= number_at(data, 192)
		       ? PACKET
		       : MALFORMED;
}

/* What the counters of the slot have to be after the record gave this many events. */
static void expect_slot(struct agentsh_slot *slot, const struct agentsh_record *rec, size_t size,
			enum type type, uint64_t events)
{
	slot->consumed += RING_BYTES(size);
	if (type == PACKET)
		slot->packets_consumed += RING_BYTES(size);
	slot->delivered += events;
	if (!events)
		return;
	if (slot->seen_generation != rec->head.generation)
		slot->seen_lost = 0;
	slot->seen_generation = rec->head.generation;
	if (slot->seen_lost < rec->session_lost)
		slot->seen_lost = rec->session_lost;
}

static void check_event(const struct agentsh_ebpf_event *e, const struct agentsh_record *rec)
{
	static const unsigned char zero[sizeof(e->reserved)];
	struct agentsh_ebpf_name name = {.size = sizeof(name)};

	FUZZ_CHECK(e->kind == rec->head.kind && e->flags == rec->head.flags);
	FUZZ_CHECK(e->session_id == rec->session_id && e->tgid == rec->task.tgid);
	FUZZ_CHECK(!e->comm[sizeof(e->comm) - 1]);
	FUZZ_CHECK(!e->process_comm[sizeof(e->process_comm) - 1]);
	FUZZ_CHECK(e->exe_inode == rec->task.exe_inode);
	FUZZ_CHECK(!memcmp(e->reserved, zero, sizeof(zero)));
	FUZZ_CHECK(!memcmp(e->remote_addr, rec->remote_addr, sizeof(e->remote_addr)));
	FUZZ_CHECK(agentsh_ebpf_event_name(tracer, e, &name) == (e->name_id ? 0 : -ENOENT));
	FUZZ_CHECK(memchr(name.asked, 0, sizeof(name.asked)));
	FUZZ_CHECK(memchr(name.owner, 0, sizeof(name.owner)));
	FUZZ_CHECK(memchr(name.server_name, 0, sizeof(name.server_name)));
	FUZZ_CHECK(memchr(name.alpn, 0, sizeof(name.alpn)));
}

static void deliver_one(struct fuzz_input *in, struct agentsh_batch *batch)
{
	const struct agentsh_ebpf_stats none = {.size = sizeof(none)};
	struct agentsh_ebpf_stats before = none, after = none;
	struct agentsh_slot slots[SLOTS];
	size_t size;
	unsigned char *data = make_record(in, &size);
	const struct agentsh_record *rec = (void *)data;
	enum type type = type_of(data, size);
	int count = batch->count, ret;
	uint64_t calls = called, events;

	FUZZ_CHECK(!agentsh_ebpf_tracer_stats(tracer, &before));
	memcpy(slots, tracer->ring.slots.counters, sizeof(slots));
	ret = agentsh_deliver_record(&tracer->ring, data, size);
	FUZZ_CHECK(!agentsh_ebpf_tracer_stats(tracer, &after));
	events = (uint64_t)(batch->count - count);

	if (type != MALFORMED &&
	    tracer->ring.slots.generations[rec->head.slot] == rec->head.generation)
		expect_slot(&slots[rec->head.slot], rec, size, type, events);
	FUZZ_CHECK(!memcmp(slots, tracer->ring.slots.counters, sizeof(slots)));
	FUZZ_CHECK(type == PACKET || events == (type == EVENT));
	FUZZ_CHECK(after.delivered == before.delivered + events);
	FUZZ_CHECK(after.malformed == before.malformed + (type == MALFORMED));
	FUZZ_CHECK(after.lost == before.lost && after.deduplicated == before.deduplicated);
	FUZZ_CHECK(called == calls + (batch->buf ? 0 : events));
	FUZZ_CHECK((ret < 0) ==
		   (events && (batch->count == batch->max || (!batch->buf && answer))));
	for (int i = count; batch->buf && i < batch->count; i++)
		check_event(&batch->buf[i], rec);
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct agentsh_batch batch = {0};
	uint8_t how = fuzz_byte(&in);

	batch.max = 1 + (how >> 1) % 16;
	answer = how >> 5 == 7 ? INT_MIN : how >> 5 == 6;
	if (how & 1)
		batch.buf = calloc((size_t)batch.max, sizeof(*batch.buf));
	FUZZ_CHECK(!(how & 1) || batch.buf);
	tracer->ring.batch = &batch;
	agentsh_names_begin(&tracer->ring.names, 0);
	agentsh_deliver_ready(&tracer->ring); /* what the last input has left */
	while (in.left && !batch.full)
		deliver_one(&in, &batch);
	tracer->ring.batch = NULL;
	free(batch.buf);
	return 0;
}
