/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts with only the privileges that tracing requires: older verifiers are stricter with
 * their programs, and before kernel 5.11 the limit of locked memory counts.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

#include "kernel.h"
#include "host_limits.h"
#include "live.h"

#define SESSION_ID 9
#define STATES (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE)
#define ALL_BUT_UNIX                                                                               \
	(STATES | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC |   \
	 AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME | AGENTSH_EBPF_HOOK_RULES |         \
	 AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS)
#define RULES (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_RULES)

struct opened {
	bool counts; /* maps count against the limit */
	int ret;
	struct agentsh_ebpf_error err;
};

static struct live_cgroup cgroup;
static struct agentsh_ebpf_tracer *tracer; /* of the host process */

/* Never exceeds the present hard limit, which would require CAP_SYS_RESOURCE. */
static void memlock(rlim_t soft, rlim_t hard)
{
	struct rlimit limit;

	LIVE_CHECK(!getrlimit(RLIMIT_MEMLOCK, &limit), "getrlimit: %s", strerror(errno));
	limit.rlim_cur = soft;
	limit.rlim_max = hard < limit.rlim_max ? hard : limit.rlim_max;
	LIVE_CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit), "setrlimit: %s", strerror(errno));
}

static void open_required(const void *hooks, void *out)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.hooks = *(const uint32_t *)hooks,
		.required_hooks = *(const uint32_t *)hooks,
	};
	struct opened *o = out;

	host_memlock_unlimited();
	LIVE_CHECK(!host_nobody() && !host_keep_caps(CAPS_BPF_AND_NET), "caps: %s",
		   strerror(errno));
	o->err.size = sizeof(o->err);
	o->ret = agentsh_ebpf_tracer_open(&options, &tracer, &o->err);
	if (!o->ret)
		live_attach(tracer, &cgroup, SESSION_ID);
	agentsh_ebpf_tracer_close(tracer);
}

/* Without CAP_PERFMON older verifiers are stricter: each hook alone, and all together. */
START_TEST(hooks_without_perfmon)
{
	static const uint32_t hooks[] = {
		AGENTSH_EBPF_HOOK_CONNECT,
		AGENTSH_EBPF_HOOK_UDP,
		AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP,
		RULES,
		RULES | AGENTSH_EBPF_HOOK_SOCK_CREATE,
		RULES | AGENTSH_EBPF_HOOK_EGRESS,
		AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE,
		AGENTSH_EBPF_HOOK_ACCEPT,
		STATES | AGENTSH_EBPF_HOOK_TRAFFIC,
		STATES | AGENTSH_EBPF_HOOK_DNS,
		STATES | AGENTSH_EBPF_HOOK_SERVER_NAME,
		STATES | AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME,
		ALL_BUT_UNIX,
		AGENTSH_EBPF_HOOK_UNIX,
		ALL_BUT_UNIX | AGENTSH_EBPF_HOOK_UNIX,
	};
	struct live_worker host;
	struct opened opened;

	live_cgroup_make(&cgroup, NULL);
	for (size_t i = 0; i < LIVE_COUNT(hooks); i++) {
		bool lacking = hooks[i] & AGENTSH_EBPF_HOOK_UNIX && !kernel_hooks_unix();

		live_worker_start(&host, NULL);
		live_worker_call(&host, open_required, &hooks[i], sizeof(hooks[i]), &opened,
				 sizeof(opened));
		live_worker_stop(&host);
		LIVE_CHECK(opened.ret == (lacking ? -EOPNOTSUPP : 0), "hooks %#x: %d (%s)",
			   hooks[i], opened.ret, opened.err.message);
	}
}
END_TEST

struct memlock {
	rlim_t soft, hard;
};

static void opens_with_memlock(const void *arg, void *out)
{
	const struct memlock *m = arg;
	struct opened *o = out;

	host_memlock_unlimited();
	memlock(m->soft, m->hard);
	LIVE_CHECK(!host_nobody() && !host_keep_caps(CAPS_BPF_AND_NET), "caps: %s",
		   strerror(errno));
	o->counts = kernel_counts_memlock();
	o->err.size = sizeof(o->err);
	o->ret = agentsh_ebpf_tracer_open(NULL, &tracer, &o->err);
	agentsh_ebpf_tracer_close(tracer);
}

static struct opened open_with_memlock(rlim_t soft, rlim_t hard)
{
	const struct memlock limits = {soft, hard};
	struct opened opened;
	struct live_worker host;

	live_worker_start(&host, NULL);
	live_worker_call(&host, opens_with_memlock, &limits, sizeof(limits), &opened,
			 sizeof(opened));
	live_worker_stop(&host);
	return opened;
}

/* The soft limit is too low, but a host may raise it without CAP_SYS_RESOURCE. */
START_TEST(raises_memlock_as_far_as_it_may)
{
	struct opened o = open_with_memlock(1 << 16, 1 << 26);

	LIVE_CHECK(!o.ret, "open: %d (%s)", o.ret, o.err.message);
}
END_TEST

START_TEST(too_little_memlock)
{
	struct opened o = open_with_memlock(1 << 16, 1 << 16);

	ck_assert_int_eq(o.ret, o.counts ? -EPERM : 0);
	if (o.ret)
		live_expect_message(&o.err, "RLIMIT_MEMLOCK,65536,ring_size");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("least privilege");
	TCase *tcase = live_case(suite, "privileges");

	tcase_add_test(tcase, hooks_without_perfmon);
	tcase_add_test(tcase, raises_memlock_as_far_as_it_may);
	tcase_add_test(tcase, too_little_memlock);
	return live_main(suite);
}
