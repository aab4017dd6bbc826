/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder and the delivery after it. Whatever bytes the ring contains, nothing outside
 * the buffers is read or written, and malformed records are counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "ring/decode.h"
#include "ring/deliver.h"
#include "tracer/tracer.h"
#include "unit.h"

/* Generated from bpf/constants.h; asserts that its constants equal those of the public header. */
#include "kernel_constants.h"

static const struct agentsh_session_state state = {.session_id = 77, .slot = 3, .generation = 5};

START_TEST(encode_and_decode)
{
	for (int i = 0; i < 20000; i++) {
		const struct agentsh_ebpf_event put = unit_random_event();
		struct agentsh_record_outcome record;
		struct agentsh_ebpf_event got;
		struct agentsh_origin origin;
		size_t size;

		memset(&record, 0xa5, sizeof(record));
		memset(&got, 0xa5, sizeof(got));
		size = agentsh_encode(&put, &state, &record);
		ck_assert_uint_eq(size, unit_ring_bytes(&put) - 8);
		ck_assert_int_eq(agentsh_decode(&record, size, &got, &origin), 0);
		unit_expect_event(&got, &put, 77, put.session_lost);
		ck_assert_uint_eq(origin.slot, 3);
		ck_assert_uint_eq(origin.generation, 5);
		ck_assert_uint_eq(origin.ring_bytes, unit_ring_bytes(&put));
	}
}
END_TEST

/*
 * Each record lies in a block of its size, so that a sanitizer reports a read of one byte
 * too many.
 */
START_TEST(sizes)
{
	for (size_t size = 0; size <= 400; size++) {
		unsigned char *data = malloc(size ? size : 1);
		struct agentsh_ebpf_event event, before;
		struct agentsh_origin origin = {.slot = 1, .generation = 2, .ring_bytes = 3};
		int ret;

		ck_assert_ptr_nonnull(data);
		memset(data, AGENTSH_RECORD_VERSION, size ? size : 1);
		memset(&event, 0x5a, sizeof(event));
		before = event;
		ret = agentsh_decode(data, size, &event, &origin);
		if (size == 192 || size == 200 || size == 240) {
			ck_assert_int_eq(ret, 0);
			ck_assert_uint_eq(origin.ring_bytes, size + 8);
			ck_assert_int_eq(event.error,
					 size == 240 ? AGENTSH_RECORD_VERSION * 0x01010101 : 0);
			ck_assert_uint_eq(event.verdict,
					  size == 200 ? AGENTSH_RECORD_VERSION * 0x01010101 : 0);
		} else {
			ck_assert_int_eq(ret, -EBADMSG);
			ck_assert_mem_eq(&event, &before, sizeof(event));
			ck_assert_uint_eq(origin.slot, 1);
			ck_assert_uint_eq(origin.generation, 2);
			ck_assert_uint_eq(origin.ring_bytes, 3);
		}
		free(data);
	}
}
END_TEST

START_TEST(versions)
{
	struct agentsh_record record = {0};
	struct agentsh_ebpf_event event;
	struct agentsh_origin origin;

	for (unsigned int version = 0; version < 256; version++) {
		record.head.version = (uint8_t)version;
		ck_assert_int_eq(agentsh_decode(&record, sizeof(record), &event, &origin),
				 version == AGENTSH_RECORD_VERSION ? 0 : -EBADMSG);
	}
}
END_TEST

/* Records in the ring are aligned to 8; other buffers need not be. */
START_TEST(unaligned)
{
	unsigned char buffer[sizeof(struct agentsh_record_outcome) + 16];

	for (size_t shift = 0; shift < 16; shift++) {
		const struct agentsh_ebpf_event put = unit_random_event();
		struct agentsh_record_outcome record;
		size_t size = agentsh_encode(&put, &state, &record);
		struct agentsh_ebpf_event got;
		struct agentsh_origin origin;

		memcpy(buffer + shift, &record, size);
		ck_assert_int_eq(agentsh_decode(buffer + shift, size, &got, &origin), 0);
		unit_expect_event(&got, &put, 77, put.session_lost);
	}
}
END_TEST

START_TEST(all_ones)
{
	unsigned char data[240];
	struct agentsh_ebpf_event event;
	struct agentsh_origin origin;

	memset(data, 0xff, sizeof(data));
	ck_assert_int_eq(agentsh_decode(data, 192, &event, &origin), -EBADMSG);
	ck_assert_int_eq(agentsh_decode(data, 240, &event, &origin), -EBADMSG);
	data[0] = AGENTSH_RECORD_VERSION;
	for (size_t size = 192; size <= 240; size += 48) {
		ck_assert_int_eq(agentsh_decode(data, size, &event, &origin), 0);
		ck_assert_uint_eq(event.kind, 0xff);
		ck_assert_uint_eq(event.flags, 0xffff);
		ck_assert_uint_eq(event.session_lost, UINT64_MAX);
		ck_assert_uint_eq(strlen(event.comm), sizeof(event.comm) - 1);
		ck_assert_uint_eq(strlen(event.process_comm), sizeof(event.process_comm) - 1);
		ck_assert_uint_eq(event.exe_inode, UINT64_MAX);
		ck_assert_uint_eq(event.exe_device, UINT32_MAX);
		ck_assert_uint_eq(event.container_pid, UINT32_MAX);
		ck_assert_uint_eq(event.container_tgid, UINT32_MAX);
		ck_assert_uint_eq(event.packets_received, size == 240 ? UINT32_MAX : 0);
		ck_assert_uint_eq(origin.slot, UINT16_MAX);
		ck_assert_uint_eq(event.ifindex, UINT32_MAX);
		/* members that no record has are zero, whatever the record contains */
		ck_assert_uint_eq(event.reserved0, 0);
		for (size_t i = 0; i < sizeof(event.reserved); i++)
			ck_assert_uint_eq(event.reserved[i], 0);
	}
	ck_assert_int_eq(event.error, -1);
}
END_TEST

/*
 * The kernel has 12 bits of major and 20 bits of minor in a row. stat(2) shows the low 8
 * bits of the minor number below the major number and the other 12 above it; major() and
 * minor() of the C library take that apart.
 */
START_TEST(exe_device)
{
	static const uint32_t majors[] = {0, 1, 8, 253, 255, 256, 259, 2048, 4095};
	static const uint32_t minors[] = {0, 1, 27, 254, 255, 256, 257, 65535, 65536, 0xfffff};

	for (size_t i = 0; i < UNIT_COUNT(majors); i++) {
		for (size_t k = 0; k < UNIT_COUNT(minors); k++) {
			dev_t device = makedev(majors[i], minors[k]);
			struct agentsh_ebpf_event put = {.exe_device = (uint32_t)device}, got;
			struct agentsh_record_outcome record;
			struct agentsh_origin origin;
			size_t size = agentsh_encode(&put, &state, &record);

			ck_assert_uint_eq(put.exe_device, device);
			ck_assert_uint_eq(record.base.task.exe_device, majors[i] << 20 | minors[k]);
			ck_assert_int_eq(agentsh_decode(&record, size, &got, &origin), 0);
			ck_assert_uint_eq(got.exe_device, device);
			ck_assert_uint_eq(major(got.exe_device), majors[i]);
			ck_assert_uint_eq(minor(got.exe_device), minors[k]);
		}
	}
}
END_TEST

/* No two bits of either encoding become one. */
START_TEST(exe_device_any)
{
	for (int i = 0; i < 100000; i++) {
		struct agentsh_ebpf_event put = {.exe_device = (uint32_t)(unit_random() >> 32)},
					  got;
		struct agentsh_record_outcome record;
		struct agentsh_origin origin;
		size_t size = agentsh_encode(&put, &state, &record);

		ck_assert_int_eq(agentsh_decode(&record, size, &got, &origin), 0);
		ck_assert_uint_eq(got.exe_device, put.exe_device);
	}
}
END_TEST

START_TEST(any_bytes)
{
	unsigned char data[400];
	struct agentsh_ebpf_event event;
	struct agentsh_origin origin;

	for (int i = 0; i < 100000; i++) {
		size_t size = unit_below(2) ? (unit_below(2) ? 192 : 240) : unit_below(400);

		for (size_t k = 0; k < sizeof(data); k += 8) {
			uint64_t r = unit_random();

			memcpy(data + k, &r, 8);
		}
		if (unit_below(2))
			data[0] = AGENTSH_RECORD_VERSION;
		if (agentsh_decode(data, size, &event, &origin))
			continue;
		ck_assert_uint_lt(strlen(event.comm), sizeof(event.comm));
		ck_assert_uint_lt(strlen(event.process_comm), sizeof(event.process_comm));
	}
}
END_TEST

/* ---- delivery -------------------------------------------------------------  */

/*
 * Delivers records from a callback, because agentsh_deliver_record() needs a batch, and
 * one exists there.
 */
static struct agentsh_ebpf_tracer *tracer;
static uint32_t events;
static bool inside;

static int feed(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct agentsh_record_outcome record;
	size_t size;

	(void)ctx;
	events++;
	if (inside)
		return 0;
	inside = true;
	size = agentsh_encode(event, &state, &record); /* slot 3 of 4 */
	ck_assert_int_eq(agentsh_deliver_record(&tracer->ring, &record, size), 0);
	ck_assert_uint_eq(events, 2);
	ck_assert_uint_eq(unit_tracer_stats(tracer).malformed, 0);
	for (uint32_t i = 0; i < 3; i++) {
		static const uint16_t slots[] = {4, 0x8000, UINT16_MAX};

		record.base.head.slot = slots[i];
		ck_assert_int_eq(agentsh_deliver_record(&tracer->ring, &record, size), 0);
		ck_assert_uint_eq(unit_tracer_stats(tracer).malformed, i + 1);
	}
	record.base.head.slot = 0;
	ck_assert_int_eq(agentsh_deliver_record(&tracer->ring, &record, size - 1), 0);
	ck_assert_int_eq(agentsh_deliver_record(&tracer->ring, &record, 0), 0);
	record.base.head.version++;
	ck_assert_int_eq(agentsh_deliver_record(&tracer->ring, &record, size), 0);
	ck_assert_uint_eq(unit_tracer_stats(tracer).malformed, 6);
	/* no malformed record was delivered */
	ck_assert_uint_eq(events, 2);
	ck_assert_uint_eq(unit_tracer_stats(tracer).delivered, 2);
	inside = false;
	return 1;
}

START_TEST(malformed)
{
	const struct agentsh_ebpf_tracer_options o = {.max_sessions = 4, .on_event = feed};
	struct agentsh_ebpf_session *session;

	tracer = unit_open(&o);
	session = unit_attach(tracer, 1);
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 2);
	/* no session owns slot 3 */
	ck_assert_uint_eq(unit_session_stats(session).delivered, 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Programs on two CPUs may write their records in the other order. */
START_TEST(lost_never_falls)
{
	static const struct {
		int session;
		uint64_t lost, delivered_lost;
	} records[] = {{0, 6, 6}, {0, 5, 6}, {1, 2, 2}, {0, 5, 6}, {0, 9, 9}, {1, 1, 2}};
	struct agentsh_ebpf_event out[UNIT_COUNT(records)];
	struct agentsh_batch batch = {.buf = out, .max = UNIT_COUNT(records)};
	struct agentsh_ebpf_session *sessions[2];

	tracer = unit_open(NULL);
	sessions[0] = unit_attach(tracer, 1);
	sessions[1] = unit_attach(tracer, 2);
	tracer->ring.batch = &batch;
	for (size_t i = 0; i < UNIT_COUNT(records); i++) {
		const struct agentsh_ebpf_event event = {.kind = AGENTSH_EBPF_EVENT_CONNECT,
							 .session_lost = records[i].lost};
		struct agentsh_record_outcome record;
		const struct agentsh_session *session =
			agentsh_handle_session(sessions[records[i].session]);
		size_t size = agentsh_encode(&event, &session->state, &record);

		agentsh_deliver_record(&tracer->ring, &record, size);
		ck_assert_int_eq(batch.count, (int)i + 1);
		ck_assert_uint_eq(out[i].session_lost, records[i].delivered_lost);
	}
	tracer->ring.batch = NULL;
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decode");
	TCase *tcase = unit_case(suite, "decode");

	tcase_add_test(tcase, encode_and_decode);
	tcase_add_test(tcase, sizes);
	tcase_add_test(tcase, versions);
	tcase_add_test(tcase, unaligned);
	tcase_add_test(tcase, all_ones);
	tcase_add_test(tcase, exe_device);
	tcase_add_test(tcase, exe_device_any);
	tcase_add_test(tcase, any_bytes);
	tcase_add_test(tcase, malformed);
	tcase_add_test(tcase, lost_never_falls);
	return unit_main(suite);
}
