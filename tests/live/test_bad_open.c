/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong options of open: each is refused with its errno and message, and nothing is left open. */
#include <errno.h>
#include <string.h>

#include "live.h"

#define NOTHING ((void *)&never_a_result) /* a result that the call must overwrite */

static char never_a_result;

static const struct bad_options {
	struct agentsh_ebpf_tracer_options options;
	int ret;
	const char *words;
} bad_options[] = {
	{{.ring_size = 5000}, -EINVAL, "ring_size,5000,power of two"},
	{{.ring_size = 1048577}, -EINVAL, "ring_size,1048577,power of two"},
	{{.ring_size = 2048}, -ERANGE, "ring_size,2048,4096"},
	{{.ring_size = 1}, -ERANGE, "ring_size,1"},
	{{.ring_size = 1U << 31}, -ERANGE, "ring_size,2147483648,1073741824"},
	{{.ring_size = UINT32_MAX}, -ERANGE, "ring_size,4294967295"},
	{{.ring_quota = 101}, -ERANGE, "ring_quota,101,100"},
	{{.max_sessions = 65537}, -ERANGE, "max_sessions,65537,65536"},
	{{.udp_dedup_entries = 15}, -ERANGE, "udp_dedup_entries,15,16"},
	{{.udp_dedup_entries = 16777217}, -ERANGE, "udp_dedup_entries,16777217,16777216"},
	{{.mode = 99}, -EINVAL, "mode,99"},
	{{.mode = 1}, -ECANCELED, "mode,DISABLED"},
	{{.required_hooks = 4}, -EINVAL, "required_hooks,0x4"},
	{{.simulate_missing = 1U << 30}, -EINVAL, "simulate_missing"},
	{{.hooks = 4}, -EINVAL, "hooks,0x4,LIFECYCLE,CONNECT"},
	{{.hooks = 16}, -EINVAL, "hooks,0x10,TRAFFIC,LIFECYCLE"},
	{{.hooks = 32}, -EINVAL, "hooks,0x20,DNS,LIFECYCLE"},
	{{.hooks = 64}, -EINVAL, "hooks,0x40,SERVER_NAME,LIFECYCLE"},
	{{.hooks = 256}, -EINVAL, "hooks,0x100,RULES (256) needs CONNECT (1)"},
	{{.hooks = 2048}, -EINVAL, "hooks,0x800,0x7ff"},
	{{.flags = 4}, -EINVAL, "flags,0x4,DNS_EVENTS,DNS"},
	{{.hooks = 5, .dns_ports = {0, 5353}}, -EINVAL, "dns_ports[1],5353,DNS"},
	{{.hooks = 37, .dns_timeout_ms = 99}, -ERANGE, "dns_timeout_ms,99,100"},
	{{.progress_interval_ms = 1000}, -EINVAL, "progress_interval_ms,1000,TRAFFIC"},
	{{.hooks = 21, .progress_interval_ms = 99}, -ERANGE, "progress_interval_ms,99,100"},
	{{.hooks = 0x80000001}, -EINVAL, "hooks,0x80000001"},
	{{.flags = 8}, -EINVAL, "flags,0x8,needs RULES (256)"},
	{{.flags = 16}, -EINVAL, "flags,0x10,0xf"},
	{{.wakeup_delay_us = 49}, -ERANGE, "wakeup_delay_us,49,50"},
};

START_TEST(open_with_bad_options)
{
	const struct bad_options *bad = &bad_options[_i];
	struct agentsh_ebpf_tracer_options options = bad->options;
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_tracer *out = NOTHING;
	int fds = live_open_fds();

	options.size = sizeof(options);
	LIVE_CHECK(agentsh_ebpf_tracer_open(&options, &out, &err) == bad->ret, "%d, expected %d",
		   err.code, bad->ret);
	ck_assert_ptr_null(out);
	ck_assert_int_eq(err.code, bad->ret);
	ck_assert_uint_eq(err.step, AGENTSH_EBPF_STEP_OPTIONS);
	live_expect_message(&err, bad->words);
	ck_assert_int_eq(live_open_fds(), fds);
	out = NOTHING; /* again, without a struct for the error */
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&options, &out, NULL), bad->ret);
	ck_assert_ptr_null(out);
}
END_TEST

/* An options struct of a caller that was built with another version. */
struct other_options {
	struct agentsh_ebpf_tracer_options known;
	uint8_t tail[64];
};

static int open_sized(uint32_t size, uint8_t last, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer *out = NOTHING;
	struct other_options options;
	int ret;

	memset(&options, 0, sizeof(options));
	options.known.size = size;
	options.known.ring_size = 4096;
	options.tail[sizeof(options.tail) - 1] = last;
	*err = (struct agentsh_ebpf_error)LIVE_ERROR;
	ret = agentsh_ebpf_tracer_open(&options.known, &out, err);
	LIVE_CHECK(ret ? !out : out && out != NOTHING, "*out is wrong after %d", ret);
	LIVE_CHECK(err->code == ret, "code %d after %d", err->code, ret);
	agentsh_ebpf_tracer_close(out);
	return ret;
}

START_TEST(open_with_other_sizes)
{
	struct agentsh_ebpf_error err;

	ck_assert_int_eq(open_sized(0, 0, &err), -EINVAL);
	live_expect_message(&err, "tracer_options.size,0,sizeof");
	ck_assert_int_eq(open_sized(3, 0, &err), -EINVAL);
	live_expect_message(&err, "tracer_options.size,3");
	ck_assert_int_eq(open_sized(sizeof(struct other_options), 1, &err), -E2BIG);
	live_expect_message(&err, "tracer_options.size,newer");
	ck_assert_int_eq(open_sized(sizeof(struct other_options), 0, &err), 0);
	ck_assert_str_eq(err.message, "");
	ck_assert_uint_eq(err.step, AGENTSH_EBPF_STEP_NONE);
	ck_assert_int_eq(open_sized(4, 0, &err), 0);
	ck_assert_int_eq(open_sized(8, 0, &err), 0);
	ck_assert_int_eq(
		open_sized(offsetof(struct agentsh_ebpf_tracer_options, ring_quota), 0, &err), 0);
}
END_TEST

START_TEST(open_with_null)
{
	struct agentsh_ebpf_error err = LIVE_ERROR, odd = {.size = 0};
	struct agentsh_ebpf_tracer *out = NOTHING;

	ck_assert_int_eq(agentsh_ebpf_tracer_open(NULL, NULL, &err), -EFAULT);
	live_expect_message(&err, "out,NULL");
	ck_assert_int_eq(agentsh_ebpf_tracer_open(NULL, NULL, NULL), -EFAULT);
	odd.code = 4711;
	ck_assert_int_eq(agentsh_ebpf_tracer_open(NULL, &out, &odd), -EINVAL);
	ck_assert_int_eq(odd.code, 4711); /* its size is 0, so it is not written */
	ck_assert_ptr_null(out);
	ck_assert_int_eq(agentsh_ebpf_tracer_open(NULL, &out, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(out, 0), -EINVAL); /* no callback */
	agentsh_ebpf_tracer_close(out);
	agentsh_ebpf_tracer_close(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bad open");
	TCase *tcase = live_case(suite, "open");

	tcase_add_loop_test(tcase, open_with_bad_options, 0, LIVE_COUNT(bad_options));
	tcase_add_test(tcase, open_with_other_sizes);
	tcase_add_test(tcase, open_with_null);
	return live_main(suite);
}
