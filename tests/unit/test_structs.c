/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers that are older or newer than the library. Each struct lies at the end of a block
 * of exactly its size, so that a sanitizer or valgrind reports an access of one byte too
 * many; without them canaries do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define NEWER 64 /* bytes beyond those that the library knows */
#define CANARY 0xc5

static void *block(size_t size, int fill)
{
	unsigned char *p = malloc(size);

	ck_assert_ptr_nonnull(p);
	memset(p, fill, size);
	return p;
}

static void set_size(void *p, uint32_t size)
{
	memcpy(p, &size, sizeof(size));
}

static void expect_bytes(const void *p, size_t from, size_t to, unsigned char value)
{
	for (size_t i = from; i < to; i++)
		ck_assert_msg(((const unsigned char *)p)[i] == value, "byte %zu is 0x%02x", i,
			      ((const unsigned char *)p)[i]);
}

/* ---- tracer options ----------------------------------------------------- */

static int open_with(const void *opts, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer *tracer = NULL;
	int ret = agentsh_ebpf_tracer_open(opts, &tracer, err);

	ck_assert_int_eq(!ret, !!tracer);
	agentsh_ebpf_tracer_close(tracer);
	return ret;
}

START_TEST(tracer_options_too_small)
{
	struct agentsh_ebpf_tracer_options o = {.mode = AGENTSH_EBPF_MODE_SYNTHETIC};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	for (o.size = 0; o.size < 4; o.size++) {
		ck_assert_int_eq(open_with(&o, &err), -EINVAL);
		unit_expect_error(&err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS, "size");
		unit_expect_error(&err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				  "sizeof(struct agentsh_ebpf_tracer_options)");
	}
}
END_TEST

/*
 * Each size from the one that holds size and mode. Missing members get their defaults,
 * whatever lies behind the struct.
 */
START_TEST(tracer_options_smaller)
{
	const struct agentsh_ebpf_tracer_options o = {
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.max_sessions = 1,
	};

	for (uint32_t size = 8; size <= sizeof(o); size += 4) {
		struct agentsh_ebpf_tracer *tracer = NULL;
		struct agentsh_ebpf_session *session;
		void *p = block(size, 0);

		memcpy(p, &o, size);
		set_size(p, size);
		ck_assert_int_eq(agentsh_ebpf_tracer_open(p, &tracer, NULL), 0);
		free(p); /* the library must not keep a pointer to it */
		unit_attach(tracer, 1);
		ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &session, NULL),
				 size < offsetof(struct agentsh_ebpf_tracer_options, max_sessions) +
							 4
					 ? 0
					 : -ENOSPC);
		agentsh_ebpf_tracer_close(tracer);
	}
}
END_TEST

START_TEST(tracer_options_larger)
{
	const struct agentsh_ebpf_tracer_options o = {.mode = AGENTSH_EBPF_MODE_SYNTHETIC};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	unsigned char *p = block(sizeof(o) + NEWER, 0);

	memcpy(p, &o, sizeof(o));
	for (uint32_t more = 0; more <= NEWER; more++) {
		set_size(p, (uint32_t)sizeof(o) + more);
		ck_assert_int_eq(open_with(p, &err), 0);
	}
	for (size_t i = 0; i < NEWER; i++) {
		p[sizeof(o) + i] = 1;
		ck_assert_int_eq(open_with(p, &err), -E2BIG);
		unit_expect_error(&err, -E2BIG, AGENTSH_EBPF_STEP_OPTIONS, "size");
		unit_expect_error(&err, -E2BIG, AGENTSH_EBPF_STEP_OPTIONS, agentsh_ebpf_version());
		/* a byte behind the size that the caller gave does not matter */
		set_size(p, (uint32_t)(sizeof(o) + i));
		ck_assert_int_eq(open_with(p, &err), 0);
		set_size(p, sizeof(o) + NEWER);
		p[sizeof(o) + i] = 0;
	}
	free(p);
}
END_TEST

/* ---- session options ---------------------------------------------------- */

static int attach_with(struct agentsh_ebpf_tracer *tracer, const void *opts, uint64_t want_id,
		       struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_session *session = NULL;
	struct agentsh_ebpf_event got;
	int ret = agentsh_ebpf_session_attach(tracer, 0, opts, &session, err);

	ck_assert_int_eq(!ret, !!session);
	if (ret)
		return ret;
	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	ck_assert_uint_eq(got.session_id, want_id);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	return 0;
}

START_TEST(session_options_sizes)
{
	const uint64_t id = 0x1122334455667788;
	const struct agentsh_ebpf_session_options o = {.session_id = id};
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	unsigned char *p = block(sizeof(o) + NEWER, 0);

	memcpy(p, &o, sizeof(o));
	for (uint32_t size = 0; size < 4; size++) {
		set_size(p, size);
		ck_assert_int_eq(attach_with(tracer, p, 0, &err), -EINVAL);
		unit_expect_error(&err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				  "sizeof(struct agentsh_ebpf_session_options)");
	}
	for (uint32_t size = 4; size <= 8; size += 4) {
		unsigned char *small = block(size, 0);

		set_size(small, size);
		ck_assert_int_eq(attach_with(tracer, small, 0, &err), 0);
		free(small);
	}
	for (uint32_t size = sizeof(o); size <= sizeof(o) + NEWER; size++) {
		set_size(p, size);
		ck_assert_int_eq(attach_with(tracer, p, id, &err), 0);
	}
	for (size_t i = 0; i < NEWER; i++) {
		p[sizeof(o) + i] = 0x80;
		ck_assert_int_eq(attach_with(tracer, p, 0, &err), -E2BIG);
		unit_expect_error(&err, -E2BIG, AGENTSH_EBPF_STEP_OPTIONS, "size");
		p[sizeof(o) + i] = 0;
	}
	free(p);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- error -------------------------------------------------------------- */

/* Open and attach do nothing if they cannot report an error. */
START_TEST(error_too_small)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL), *second = (void *)&tracer;
	struct agentsh_ebpf_session *session = (void *)&tracer;
	const struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
	};
	struct agentsh_ebpf_error err;

	for (uint32_t size = 0; size < 4; size++) {
		memset(&err, CANARY, sizeof(err));
		err.size = size;
		ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &second, &err), -EINVAL);
		ck_assert_ptr_null(second);
		ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &session, &err),
				 -EINVAL);
		ck_assert_ptr_null(session);
		ck_assert_uint_eq(err.size, size);
		expect_bytes(&err, sizeof(err.size), sizeof(err), CANARY);
	}
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/*
 * An error of every size gets as much of the full error as fits, and nothing behind it is
 * written.
 */
START_TEST(error_sizes)
{
	const size_t text = offsetof(struct agentsh_ebpf_error, message);
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_error full = {.size = sizeof(full)};
	struct agentsh_ebpf_session *session;

	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, -1, NULL, &session, &full), -EBADF);
	for (uint32_t size = 4; size <= sizeof(full) + NEWER; size++) {
		size_t known = size < sizeof(full) ? size : sizeof(full);
		unsigned char *p = block(size + 8, CANARY);

		set_size(p, size);
		set_size(&full, size);
		ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, -1, NULL, &session,
							     (struct agentsh_ebpf_error *)p),
				 -EBADF);
		expect_bytes(p, size, size + 8, CANARY);
		if (size > text) { /* cut, but NUL-terminated */
			ck_assert_ptr_nonnull(memchr(p + text, 0, known - text));
			ck_assert_mem_eq(p, &full, known - 1);
		} else {
			ck_assert_mem_eq(p, &full, known);
		}
		expect_bytes(p, known, size, 0);
		free(p);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(error_sizes_success)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *session;

	for (uint32_t size = 4; size <= sizeof(struct agentsh_ebpf_error) + NEWER; size++) {
		unsigned char *p = block(size, CANARY);

		set_size(p, size);
		ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &session,
							     (struct agentsh_ebpf_error *)p),
				 0);
		expect_bytes(p, 4, size, 0);
		free(p);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- stats -------------------------------------------------------------- */

START_TEST(stats_sizes)
{
	struct agentsh_ebpf_tracer *tracer = unit_open_ring(UNIT_RING_SMALL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_stats full[2];

	unit_fill(session);
	unit_drain(tracer);
	full[0] = unit_tracer_stats(tracer);
	full[1] = unit_session_stats(session);
	ck_assert_uint_gt(full[0].lost, 0);
	for (uint32_t size = 0; size <= sizeof(full[0]) + NEWER; size++) {
		size_t known = size < sizeof(full[0]) ? size : sizeof(full[0]);

		for (int i = 0; i < 2; i++) {
			unsigned char *p = block((size < 4 ? 4 : size) + 8, CANARY);
			struct agentsh_ebpf_stats *out = (struct agentsh_ebpf_stats *)p;

			set_size(p, size);
			set_size(&full[i], size);
			ck_assert_int_eq(i ? agentsh_ebpf_session_stats(session, out)
					   : agentsh_ebpf_tracer_stats(tracer, out),
					 size < 4 ? -EINVAL : 0);
			if (size < 4) {
				expect_bytes(p, 4, 12, CANARY);
			} else {
				ck_assert_mem_eq(p, &full[i], known);
				expect_bytes(p, known, size, 0);
				expect_bytes(p, size, size + 8, CANARY);
			}
			free(p);
		}
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("structs");
	TCase *tcase = unit_case(suite, "structs");

	tcase_add_test(tcase, tracer_options_too_small);
	tcase_add_test(tcase, tracer_options_smaller);
	tcase_add_test(tcase, tracer_options_larger);
	tcase_add_test(tcase, session_options_sizes);
	tcase_add_test(tcase, error_too_small);
	tcase_add_test(tcase, error_sizes);
	tcase_add_test(tcase, error_sizes_success);
	tcase_add_test(tcase, stats_sizes);
	return unit_main(suite);
}
