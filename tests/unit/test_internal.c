/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, errors and option defaults, of which the public API shows too little. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/result.h"
#include "base/system.h"
#include "tracer/options.h"
#include "ring/slots.h"
#include "tracer/tracer.h"
#include "unit.h"

/* ---- slots.c ------------------------------------------------------------ */

static void slots_open(struct agentsh_slots *slots, uint32_t max)
{
	memset(slots, 0, sizeof(*slots));
	ck_assert_int_eq(agentsh_slots_init(slots, max), 0);
	ck_assert_uint_eq(slots->bytes, (size_t)max * 192);
	slots->counters = calloc(max, sizeof(*slots->counters));
	ck_assert_ptr_nonnull(slots->counters);
}

/*
 * No slot is in use twice at a time, no generation is used twice, and no more than max
 * slots are in use.
 */
START_TEST(slots_any_order)
{
	static const uint32_t maxima[] = {1, 2, 63, 64, 65, 66, 130, 1000};
	uint32_t max = maxima[_i], count = 0, last = 0;
	struct agentsh_session_state *held = calloc(max + 1, sizeof(*held));
	bool *used = calloc(max, sizeof(*used));
	struct agentsh_slots slots;

	slots_open(&slots, max);
	for (int i = 0; i < 50000; i++) {
		/* drifts between empty and full */
		if (unit_below(100) < (uint32_t)(i / 5000 % 2 ? 30 : 70)) {
			struct agentsh_session_state t = {0};
			int ret = agentsh_slots_take(&slots, &t);

			ck_assert_int_eq(ret, count == max ? -ENOSPC : 0);
			if (ret)
				continue;
			ck_assert_uint_lt(t.slot, max);
			ck_assert(!used[t.slot]);
			ck_assert_uint_eq(t.generation, ++last);
			ck_assert_uint_eq(slots.generations[t.slot], t.generation);
			ck_assert_uint_lt(t.slot, slots.used);
			used[t.slot] = true;
			held[count++] = t;
		} else if (count) {
			uint32_t k = unit_below(count);

			agentsh_slots_give(&slots, held[k].slot);
			ck_assert_uint_eq(slots.generations[held[k].slot], 0);
			used[held[k].slot] = false;
			held[k] = held[--count];
		}
	}
	agentsh_slots_free(&slots);
	free(used);
	free(held);
}
END_TEST

/* While unused slots remain, a slot is reused only after 64 others have been freed. */
START_TEST(slots_reuse_distance)
{
	struct agentsh_slots slots;
	struct agentsh_session_state states[200], again;

	slots_open(&slots, 1000);
	for (uint32_t i = 0; i < 200; i++)
		ck_assert_int_eq(agentsh_slots_take(&slots, &states[i]), 0);
	agentsh_slots_give(&slots, states[7].slot);
	for (uint32_t i = 100; i < 164; i++) {
		ck_assert_int_eq(agentsh_slots_take(&slots, &again), 0);
		ck_assert_uint_ne(again.slot, states[7].slot);
		agentsh_slots_give(&slots, states[i].slot);
	}
	ck_assert_int_eq(agentsh_slots_take(&slots, &again), 0);
	ck_assert_uint_eq(again.slot, states[7].slot);
	agentsh_slots_free(&slots);
}
END_TEST

START_TEST(slots_retire)
{
	struct agentsh_slots slots;
	struct agentsh_session_state states[3], again;

	slots_open(&slots, 3);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(agentsh_slots_take(&slots, &states[i]), 0);
	agentsh_slots_retire(&slots, states[1].slot);
	ck_assert_uint_eq(slots.generations[states[1].slot], 0);
	ck_assert_int_eq(agentsh_slots_take(&slots, &again), -ENOSPC);
	agentsh_slots_give(&slots, states[2].slot);
	ck_assert_int_eq(agentsh_slots_take(&slots, &again), 0);
	ck_assert_uint_eq(again.slot, states[2].slot);
	ck_assert_int_eq(agentsh_slots_take(&slots, &again), -ENOSPC);
	agentsh_slots_free(&slots);
}
END_TEST

/* After 2^32 sessions the generation starts again, without 0, which means "not attached". */
START_TEST(slots_generation_wraps)
{
	struct agentsh_slots slots;
	struct agentsh_session_state state;

	slots_open(&slots, 10);
	slots.last_generation = UINT32_MAX - 1;
	ck_assert_int_eq(agentsh_slots_take(&slots, &state), 0);
	ck_assert_uint_eq(state.generation, UINT32_MAX);
	ck_assert_int_eq(agentsh_slots_take(&slots, &state), 0);
	ck_assert_uint_eq(state.generation, 1);
	agentsh_slots_free(&slots);
}
END_TEST

/* ---- error.c ------------------------------------------------------------ */

START_TEST(fail_formats)
{
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	ck_assert_int_eq(agentsh_fail(&err, -EPERM, AGENTSH_EBPF_STEP_LINK, "%s %d %%", "a", 5),
			 -EPERM);
	ck_assert_str_eq(err.message, "a 5 %");
	unit_expect_error(&err, -EPERM, AGENTSH_EBPF_STEP_LINK, "a 5");
	ck_assert_int_eq(agentsh_fail(NULL, -ENOMEM, 0, "%s", "nobody listens"), -ENOMEM);
}
END_TEST

START_TEST(fail_long)
{
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	agentsh_fail(&err, -EPERM, AGENTSH_EBPF_STEP_LINK, "%s", text);
	ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
	/* a short message leaves nothing of a long one behind */
	agentsh_fail(&err, -EPERM, AGENTSH_EBPF_STEP_LINK, "y");
	ck_assert_str_eq(err.message, "y");
	for (size_t i = 1; i < sizeof(err.message); i++)
		ck_assert_int_eq(err.message[i], 0);
	ck_assert(agentsh_error_begin(&err));
	unit_expect_no_error(&err);
	ck_assert(agentsh_error_begin(NULL));
}
END_TEST

/* A message is one line of UTF-8, whatever it quotes and wherever it is cut. */
START_TEST(fail_hostile)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?"},
		{"\xc2\x9b", "??"},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		 "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"\xc3", "?"},
		{"\xe2\x82", "??"},
		{"\xff\xfe\xc0\xaf", "????"},
		{"\xe0\x80\xaf\xed\xa0\x80", "??????"},
		{"\xf0\x80\x80\xaf\xf4\x90\x80\x80", "????????"},
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	uint64_t mask;

	agentsh_fail(&err, -EPERM, AGENTSH_EBPF_STEP_LINK, "%s", rows[_i].text);
	ck_assert_str_eq(err.message, rows[_i].message);
	ck_assert_int_eq(agentsh_ebpf_checks_parse(rows[_i].text, &mask, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, rows[_i].message));
	/* the caller's struct has space for the first two bytes of a three-byte character */
	err.size = offsetof(struct agentsh_ebpf_error, message) + 3;
	agentsh_fail(&err, -EPERM, AGENTSH_EBPF_STEP_LINK, "\xe2\x82\xac");
	ck_assert_str_eq(err.message, "??");
}
END_TEST

/* ---- options.c ---------------------------------------------------------- */

START_TEST(defaults)
{
	struct agentsh_ebpf_tracer_options to;
	struct agentsh_ebpf_tracer_options from = {.size = 4};

	for (int i = 0; i < 2; i++) { /* no options at all, and the smallest struct */
		memset(&to, 0xa5, sizeof(to));
		ck_assert_int_eq(agentsh_tracer_options_check(i ? &from : NULL, &to, NULL), 0);
		ck_assert_uint_eq(to.mode, AGENTSH_EBPF_MODE_AUTO);
		ck_assert_uint_eq(to.hooks, agentsh_ebpf_hooks_built() & 3);
		ck_assert_uint_eq(to.hooks & AGENTSH_EBPF_HOOK_CONNECT, AGENTSH_EBPF_HOOK_CONNECT);
		ck_assert_uint_eq(to.flags, 0);
		ck_assert_uint_eq(to.ring_size, 1 << 20);
		ck_assert_uint_eq(to.ring_quota, 25);
		ck_assert_uint_eq(to.max_sessions, 4096);
		ck_assert_uint_eq(to.udp_dedup_entries, 8192);
		ck_assert_uint_eq(to.wakeup_delay_us, 1000);
		ck_assert_uint_eq(to.max_sockets, 65536);
		ck_assert_uint_eq(to.check_interval_ms, 10000);
		ck_assert_uint_eq(to.progress_interval_ms, 0);
		ck_assert_uint_eq(to.dns_timeout_ms, 5000);
		for (size_t k = 0; k < UNIT_COUNT(to.dns_ports); k++)
			ck_assert_uint_eq(to.dns_ports[k], 0);
		ck_assert(!to.on_event);
		ck_assert_ptr_null(to.event_ctx);
		ck_assert(!to.on_log);
		ck_assert_ptr_null(to.log_ctx);
	}
}
END_TEST

/* The largest values, only checked, because opening such a ring takes too much memory. */
START_TEST(largest)
{
	const struct agentsh_ebpf_tracer_options from = {
		.size = sizeof(from),
		.ring_size = 1 << 30,
		.ring_quota = 100,
		.max_sessions = 65536,
		.udp_dedup_entries = 1 << 24,
		.wakeup_delay_us = 1000000,
		.flags = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP | AGENTSH_EBPF_OPEN_DNS_EVENTS,
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE |
			 AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS,
		.required_hooks = AGENTSH_EBPF_HOOK_CONNECT,
		.simulate_missing = 1 << AGENTSH_EBPF_CHECK_INET_EGRESS,
		.max_sockets = 1 << 22,
		.check_interval_ms = UINT32_MAX,
		.progress_interval_ms = 86400000,
		.dns_timeout_ms = 600000,
		.dns_ports = {1, 65535, 53, 5353},
	};
	struct agentsh_ebpf_tracer_options to;

	ck_assert_int_eq(agentsh_tracer_options_check(&from, &to, NULL), 0);
	ck_assert_mem_eq(&to, &from, sizeof(to));
}
END_TEST

/* ---- read.c and deliver.c ---------------------------------------------------  */

/*
 * The counter of an eventfd has a maximum. At the maximum a wake is pending, so another
 * wake is no error.
 */
START_TEST(wake_without_end)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	const uint64_t most = UINT64_MAX - 1;
	struct agentsh_ebpf_event buf;

	ck_assert_int_eq(write(tracer->ring.wake_fd, &most, sizeof(most)), sizeof(most));
	errno = EXDEV;
	ck_assert_int_eq(agentsh_ebpf_wake(tracer), 0);
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &buf, 1, -1), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* A detached session counts nothing more, even if its slot is reused with a new generation. */
START_TEST(delivered_by_generation)
{
	const struct agentsh_ebpf_tracer_options o = {.max_sessions = 1};
	struct agentsh_ebpf_tracer *tracer = unit_open(&o);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_event buf;

	ck_assert_int_eq(unit_inject(session, 1), 0);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	ck_assert_uint_eq(tracer->ring.slots.generations[0], 0);
	session = unit_attach(tracer, 2);
	ck_assert_uint_eq(agentsh_handle_session(session)->state.slot, 0);
	ck_assert_uint_eq(agentsh_handle_session(session)->state.generation, 2);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &buf, 1, 0), 1);
	ck_assert_uint_eq(tracer->ring.slots.counters[0].delivered, 0);
	ck_assert_uint_eq(unit_session_stats(session).delivered, 0);
	ck_assert_uint_eq(unit_tracer_stats(tracer).delivered, 1);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- system.c ----------------------------------------------------------- */

START_TEST(kernel_releases)
{
	static const struct {
		const char *release;
		uint32_t version;
	} cases[] = {
		{"6.1.0-13-amd64", 0x060100},
		{"5.10.209", 0x050ad1},
		{"5.10", 0x050a00},
		{"6.12-rc1", 0x060c00},
		{"7.2.", 0x070200},
		{"4.19.300-generic", 0x0413ff},
		{"5.4.99999999999999999999", 0x0504ff},
		{"6.8.x", 0x060800},
		{"", 0},
		{"6", 0},
		{"6.", 0},
		{"6.x", 0},
		{".6.1", 0},
		{"?", 0},
		{"v6.1", 0},
		{"6-1", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(agentsh_parse_kernel_version(cases[i].release) == cases[i].version,
			      "%s: %06x", cases[i].release,
			      agentsh_parse_kernel_version(cases[i].release));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("internal");
	TCase *tcase = unit_case(suite, "internal");

	tcase_add_loop_test(tcase, slots_any_order, 0, 8);
	tcase_add_test(tcase, slots_reuse_distance);
	tcase_add_test(tcase, slots_retire);
	tcase_add_test(tcase, slots_generation_wraps);
	tcase_add_test(tcase, fail_formats);
	tcase_add_test(tcase, fail_long);
	tcase_add_loop_test(tcase, fail_hostile, 0, 8);
	tcase_add_test(tcase, defaults);
	tcase_add_test(tcase, largest);
	tcase_add_test(tcase, wake_without_end);
	tcase_add_test(tcase, delivered_by_generation);
	tcase_add_test(tcase, kernel_releases);
	return unit_main(suite);
}
