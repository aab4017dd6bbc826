/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel whose socket cookies are not unique: the hooks that rely on them are left out. */
#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "live.h"

#define ALL                                                                                        \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |         \
	 AGENTSH_EBPF_HOOK_ACCEPT)

static const char *release;

/* Replaces the C library's function, also for the library under test. */
__attribute__((visibility("default"))) int uname(struct utsname *name)
{
	*name = (struct utsname){.sysname = "Linux"};
	snprintf(name->release, sizeof(name->release), "%s", release);
	return 0;
}

static uint32_t opened_hooks(uint32_t required)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.hooks = ALL & agentsh_ebpf_hooks_built(),
		.required_hooks = required,
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_tracer *tracer;
	uint32_t hooks;
	int ret = agentsh_ebpf_tracer_open(&options, &tracer, &err);

	if (ret == -EOPNOTSUPP)
		return 0;
	LIVE_CHECK(!ret, "open: %s", err.message);
	hooks = agentsh_ebpf_tracer_hooks(tracer);
	agentsh_ebpf_tracer_close(tracer);
	return hooks;
}

START_TEST(hooks_by_version)
{
	struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps)};
	const uint32_t keep = AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT;

	release = "5.10.0";
	ck_assert_uint_eq(opened_hooks(0) & keep, keep);
	release = "5.9.16";
	ck_assert_uint_eq(opened_hooks(0), ALL & agentsh_ebpf_hooks_built() & ~keep);
	ck_assert_uint_eq(opened_hooks(AGENTSH_EBPF_HOOK_CONNECT | keep), 0);
	ck_assert_int_eq(agentsh_ebpf_capability_probe(&caps), 0);
	ck_assert_uint_eq(caps.usable, 1);
	ck_assert_uint_eq(caps.hooks & keep, 0);
	ck_assert_uint_eq(caps.checks[AGENTSH_EBPF_CHECK_SOCK_OPS].status,
			  AGENTSH_EBPF_STATUS_MISSING);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("old cookies");

	release = "6.0.0";
	tcase_add_test(live_case(suite, "old cookies"), hooks_by_version);
	return live_main(suite);
}
