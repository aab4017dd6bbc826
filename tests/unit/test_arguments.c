/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong arguments: NULL in every call, and each option at and beyond its limits. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define OPTIONS AGENTSH_EBPF_STEP_OPTIONS

/* ---- NULL --------------------------------------------------------------- */

START_TEST(null_tracer)
{
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *session = (void *)&err;
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};
	struct agentsh_ebpf_event buf;

	agentsh_ebpf_tracer_close(NULL);
	ck_assert_int_eq(agentsh_ebpf_session_attach(NULL, 0, NULL, &session, &err), -EFAULT);
	ck_assert_ptr_null(session);
	unit_expect_error(&err, -EFAULT, OPTIONS, "tracer is NULL");
	ck_assert_int_eq(agentsh_ebpf_session_attach(NULL, -1, NULL, NULL, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_poll(NULL, 0), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_read(NULL, &buf, 1, 0), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_fd(NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_wake(NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_tracer_stats(NULL, &stats), -EFAULT);
}
END_TEST

START_TEST(null_out)
{
	const struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;
	int fds = unit_open_fds();

	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, NULL, &err), -EFAULT);
	unit_expect_error(&err, -EFAULT, OPTIONS, "out is NULL");
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, NULL, NULL), -EFAULT);
	ck_assert_int_eq(unit_open_fds(), fds);

	tracer = unit_open(NULL);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, NULL, &err), -EFAULT);
	unit_expect_error(&err, -EFAULT, OPTIONS, "out is NULL");
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, 0);
	ck_assert_int_eq(agentsh_ebpf_tracer_stats(tracer, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_stats(unit_attach(tracer, 1), NULL), -EFAULT);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* A path that does not fit leaves the buffer unchanged. */
START_TEST(cgroup_path_size)
{
	char path[4096], exact[4096];
	size_t len;
	int ret = agentsh_ebpf_cgroup_path(path, sizeof(path));

	ck_assert_int_eq(agentsh_ebpf_cgroup_path(NULL, sizeof(path)), -EFAULT);
	if (ret) { /* a machine without cgroup v2 */
		ck_assert_int_eq(ret, -ENODEV);
		return;
	}
	len = strlen(path);
	memset(exact, 'x', sizeof(exact));
	ck_assert_int_eq(agentsh_ebpf_cgroup_path(exact, 0), -ENAMETOOLONG);
	ck_assert_int_eq(agentsh_ebpf_cgroup_path(exact, len), -ENAMETOOLONG);
	ck_assert_int_eq(exact[0], 'x');
	ck_assert_int_eq(agentsh_ebpf_cgroup_path(exact, len + 1), 0);
	ck_assert_str_eq(exact, path);
	ck_assert_int_eq(exact[len + 1], 'x');
}
END_TEST

START_TEST(null_others)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_session *session = unit_attach(tracer, 1);
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};
	const struct agentsh_ebpf_event event = unit_event(1);

	ck_assert_int_eq(agentsh_ebpf_session_detach(NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_stats(NULL, &stats), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_inject(NULL, &event), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_inject(session, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_inject(NULL, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, NULL, 1, 0), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, NULL, 1, -1), -EFAULT);
	ck_assert_uint_eq(agentsh_ebpf_event_realtime_ns(NULL), 0);
	/* no failed call has had an effect */
	ck_assert_uint_eq(unit_tracer_stats(tracer).sessions, 1);
	ck_assert_uint_eq(unit_session_stats(session).lost, 0);
	ck_assert_uint_eq(unit_drain(tracer), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* opts and err may be NULL; out is cleared even without err. */
START_TEST(optional)
{
	const struct agentsh_ebpf_tracer_options good = {
		.size = sizeof(good),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
	};
	struct agentsh_ebpf_tracer_options bad = good;
	struct agentsh_ebpf_tracer *tracer = (void *)&bad;
	struct agentsh_ebpf_session *session = (void *)&bad;

	bad.ring_quota = 101;
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&bad, &tracer, NULL), -ERANGE);
	ck_assert_ptr_null(tracer);
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&good, &tracer, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, -1, NULL, &session, NULL), -EBADF);
	ck_assert_ptr_null(session);
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &session, NULL), 0);
	ck_assert_int_eq(unit_inject(session, 1), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- tracer options ----------------------------------------------------- */

#define AT(member) offsetof(struct agentsh_ebpf_tracer_options, member), #member

static const struct option_case {
	size_t offset;
	const char *name;
	uint32_t value;
	int ret;
} option_cases[] = {
	{AT(mode), 1, -ECANCELED},
	{AT(mode), 4, -EINVAL},
	{AT(mode), UINT32_MAX, -EINVAL},
	{AT(hooks), 1, 0},
	{AT(hooks), 4, -EINVAL},
	{AT(hooks), 5, 0},
	{AT(hooks), 15, 0},
	{AT(hooks), 16, -EINVAL},
	{AT(hooks), 17, -EINVAL},
	{AT(hooks), 20, -EINVAL},
	{AT(hooks), 21, 0},
	{AT(hooks), 25, -EINVAL},
	{AT(hooks), 31, 0},
	{AT(hooks), 32, -EINVAL},
	{AT(hooks), 33, -EINVAL},
	{AT(hooks), 36, -EINVAL},
	{AT(hooks), 37, 0},
	{AT(hooks), 49, -EINVAL},
	{AT(hooks), 64, -EINVAL},
	{AT(hooks), 65, -EINVAL},
	{AT(hooks), 69, 0},
	{AT(hooks), 128, 0},
	{AT(hooks), 255, 0},
	{AT(hooks), 256, -EINVAL},
	{AT(hooks), 257, -EINVAL},
	{AT(hooks), 258, -EINVAL},
	{AT(hooks), 259, 0},
	{AT(hooks), 2047, 0},
	{AT(hooks), 2048, -EINVAL},
	{AT(hooks), 515, -EINVAL}, /* SOCK_CREATE without RULES */
	{AT(hooks), 1027, -EINVAL},
	{AT(hooks), 0x80000001, -EINVAL},
	{AT(required_hooks), 1, 0},
	{AT(required_hooks), 4, -EINVAL},
	{AT(required_hooks), 0x80000001, -EINVAL},
	{AT(wakeup_delay_us), 49, -ERANGE},
	{AT(wakeup_delay_us), 50, 0},
	{AT(wakeup_delay_us), 1000000, 0},
	{AT(wakeup_delay_us), 1000001, -ERANGE},
	{AT(max_sockets), 15, -ERANGE},
	{AT(max_sockets), 16, 0},
	{AT(max_sockets), 1 << 22, 0},
	{AT(max_sockets), (1 << 22) + 1, -ERANGE},
	{AT(check_interval_ms), 99, -ERANGE},
	{AT(check_interval_ms), 100, 0},
	{AT(check_interval_ms), 86400000, 0},
	{AT(check_interval_ms), 86400001, -ERANGE},
	{AT(check_interval_ms), UINT32_MAX, 0},
	{AT(progress_interval_ms), 1, -EINVAL},
	{AT(progress_interval_ms), 100, -EINVAL},
	{AT(dns_timeout_ms), 99, -ERANGE},
	{AT(dns_timeout_ms), 100, 0},
	{AT(dns_timeout_ms), 600000, 0},
	{AT(dns_timeout_ms), 600001, -ERANGE},
	{AT(dns_ports), 53, -EINVAL},
	{AT(rules_bytes), 4096, -EINVAL},
	{AT(rules_addresses), 16, -EINVAL},
	{AT(simulate_missing), 1 << 29, 0},
	{AT(simulate_missing), 1 << 30, -EINVAL},
	{AT(flags), 1, 0},
	{AT(flags), 3, 0},
	{AT(flags), 4, -EINVAL},
	{AT(flags), 5, -EINVAL},
	{AT(flags), 8, -EINVAL},
	{AT(flags), 16, -EINVAL},
	{AT(flags), 0x80000000, -EINVAL},
	{AT(ring_size), 1, -ERANGE},
	{AT(ring_size), 2048, -ERANGE},
	{AT(ring_size), 4095, -ERANGE},
	{AT(ring_size), 65535, -EINVAL},
	{AT(ring_size), 65536, 0},
	{AT(ring_size), 65537, -EINVAL},
	{AT(ring_size), 65536 + 32768, -EINVAL},
	{AT(ring_size), 1 << 24, 0},
	{AT(ring_size), (1 << 30) - 1, -EINVAL},
	{AT(ring_size), (1 << 30) + 1, -ERANGE},
	{AT(ring_size), 1U << 31, -ERANGE},
	{AT(ring_size), UINT32_MAX, -ERANGE},
	{AT(ring_quota), 1, 0},
	{AT(ring_quota), 100, 0},
	{AT(ring_quota), 101, -ERANGE},
	{AT(ring_quota), UINT32_MAX, -ERANGE},
	{AT(max_sessions), 1, 0},
	{AT(max_sessions), 65536, 0},
	{AT(max_sessions), 65537, -ERANGE},
	{AT(max_sessions), UINT32_MAX, -ERANGE},
	{AT(udp_dedup_entries), 1, -ERANGE},
	{AT(udp_dedup_entries), 15, -ERANGE},
	{AT(udp_dedup_entries), 16, 0},
	{AT(udp_dedup_entries), 17, 0},
	{AT(udp_dedup_entries), 1 << 24, 0},
	{AT(udp_dedup_entries), (1 << 24) + 1, -ERANGE},
	{AT(udp_dedup_entries), UINT32_MAX, -ERANGE},
};

START_TEST(option_limits)
{
	const struct option_case *c = &option_cases[_i];
	struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer = (void *)&err;
	char decimal[16], hex[16];
	int ret;

	memcpy((char *)&o + c->offset, &c->value, sizeof(c->value));
	ret = agentsh_ebpf_tracer_open(&o, &tracer, &err);
	ck_assert_msg(ret == c->ret, "%s %u: %d, not %d (%s)", c->name, c->value, ret, c->ret,
		      err.message);
	if (!ret) {
		unit_expect_no_error(&err);
		unit_attach(tracer, 1);
		agentsh_ebpf_tracer_close(tracer);
		return;
	}
	ck_assert_ptr_null(tracer);
	/* the message names the option and its value */
	unit_expect_error(&err, ret, OPTIONS, c->name);
	snprintf(decimal, sizeof(decimal), "%u", c->value);
	snprintf(hex, sizeof(hex), "0x%x", c->value);
	ck_assert_msg(strstr(err.message, decimal) || strstr(err.message, hex), "no %u in \"%s\"",
		      c->value, err.message);
}
END_TEST

START_TEST(page_size_is_a_limit)
{
	struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.ring_size = (uint32_t)sysconf(_SC_PAGESIZE),
	};
	struct agentsh_ebpf_tracer *tracer;

	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, NULL), 0);
	agentsh_ebpf_tracer_close(tracer);
	o.ring_size /= 2;
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, NULL), -ERANGE);
}
END_TEST

/* A hook that the build lacks is left out, unless it is required. */
START_TEST(hooks_built)
{
	const uint32_t all =
		AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |
		AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS |
		AGENTSH_EBPF_HOOK_SERVER_NAME | AGENTSH_EBPF_HOOK_UNIX | AGENTSH_EBPF_HOOK_RULES |
		AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS;
	const uint32_t built = agentsh_ebpf_hooks_built();
	struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.hooks = all,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;

	ck_assert_uint_eq(built | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_RULES |
				  AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS,
			  all);
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, &err), 0);
	ck_assert_uint_eq(agentsh_ebpf_tracer_hooks(tracer), built);
	agentsh_ebpf_tracer_close(tracer);

	o.required_hooks = AGENTSH_EBPF_HOOK_UDP;
	if (built & AGENTSH_EBPF_HOOK_UDP) {
		ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, &err), 0);
		agentsh_ebpf_tracer_close(tracer);
		return;
	}
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, &err), -EOPNOTSUPP);
	unit_expect_error(&err, -EOPNOTSUPP, OPTIONS, "AGENTSH_EBPF_UDP");
	/* none of the requested hooks is built */
	o.hooks = AGENTSH_EBPF_HOOK_UDP;
	o.required_hooks = 0;
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, &err), -EOPNOTSUPP);
}
END_TEST

/* Only a tracer with the hook TRAFFIC has an interval; the messages name what is missing. */
START_TEST(progress_interval)
{
	static const struct {
		uint32_t value;
		int ret;
	} rows[] = {
		{0, 0},	       {1, -ERANGE},	    {99, -ERANGE},	   {100, 0},
		{86400000, 0}, {86400001, -ERANGE}, {UINT32_MAX, -ERANGE},
	};
	struct agentsh_ebpf_tracer_options o = {
		.size = sizeof(o),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE |
			 AGENTSH_EBPF_HOOK_TRAFFIC,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;

	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		o.progress_interval_ms = rows[i].value;
		ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, &err), rows[i].ret);
		if (rows[i].ret)
			unit_expect_error(&err, rows[i].ret, OPTIONS, "progress_interval_ms");
		else
			unit_attach(tracer, 1);
		agentsh_ebpf_tracer_close(tracer);
	}
	o.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE;
	o.progress_interval_ms = 100;
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, &err), -EINVAL);
	unit_expect_error(&err, -EINVAL, OPTIONS, "TRAFFIC (16)");
	o.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_TRAFFIC;
	ck_assert_int_eq(agentsh_ebpf_tracer_open(&o, &tracer, &err), -EINVAL);
	unit_expect_error(&err, -EINVAL, OPTIONS, "TRAFFIC (16) needs LIFECYCLE (4)");
}
END_TEST

/* ---- session options ---------------------------------------------------- */

START_TEST(session_reserved)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	const struct agentsh_ebpf_session_options o = {.size = sizeof(o), .reserved = 1};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *session = (void *)&err;

	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, &o, &session, &err), -EINVAL);
	ck_assert_ptr_null(session);
	unit_expect_error(&err, -EINVAL, OPTIONS, "reserved");
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* A successful call clears the error that a failed call has written. */
START_TEST(error_is_written_each_time)
{
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *session;

	memset((char *)&err + sizeof(err.size), 0xa5, sizeof(err) - sizeof(err.size));
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, -7, NULL, &session, &err), -EBADF);
	unit_expect_error(&err, -EBADF, AGENTSH_EBPF_STEP_CGROUP, "-7");
	ck_assert_int_eq(agentsh_ebpf_session_attach(tracer, 0, NULL, &session, &err), 0);
	unit_expect_no_error(&err);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arguments");
	TCase *tcase = unit_case(suite, "arguments");

	tcase_add_test(tcase, null_tracer);
	tcase_add_test(tcase, null_out);
	tcase_add_test(tcase, null_others);
	tcase_add_test(tcase, cgroup_path_size);
	tcase_add_test(tcase, optional);
	tcase_add_loop_test(tcase, option_limits, 0, (int)UNIT_COUNT(option_cases));
	tcase_add_test(tcase, page_size_is_a_limit);
	tcase_add_test(tcase, hooks_built);
	tcase_add_test(tcase, progress_interval);
	tcase_add_test(tcase, session_reserved);
	tcase_add_test(tcase, error_is_written_each_time);
	return unit_main(suite);
}
