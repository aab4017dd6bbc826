/* SPDX-License-Identifier: Apache-2.0 */
/* Probe and open agree if both simulate the same missing features, also one after the other. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host_limits.h"
#include "kernel.h"
#include "live.h"
#include "traffic.h"

#define CHECKS 30
#define BIT(check) (1ULL << (check))
#define ALL_UNIX (BIT(AGENTSH_EBPF_CHECK_CONNECT_UNIX) | BIT(AGENTSH_EBPF_CHECK_SENDMSG_UNIX))
#define ALL_SENDS (BIT(AGENTSH_EBPF_CHECK_SENDMSG4) | BIT(AGENTSH_EBPF_CHECK_SENDMSG6))
#define ALL_CONNECTS (BIT(AGENTSH_EBPF_CHECK_CONNECT4) | BIT(AGENTSH_EBPF_CHECK_CONNECT6))
#define TASK                                                                                       \
	(BIT(AGENTSH_EBPF_CHECK_BTF) | BIT(AGENTSH_EBPF_CHECK_CAP_PERFMON) |                       \
	 BIT(AGENTSH_EBPF_CHECK_LOCKDOWN))
#define CONNECT_HOOK AGENTSH_EBPF_HOOK_CONNECT
#define UDP_HOOK AGENTSH_EBPF_HOOK_UDP
#define LIFE_HOOK AGENTSH_EBPF_HOOK_LIFECYCLE
#define TRAFFIC_HOOK AGENTSH_EBPF_HOOK_TRAFFIC
#define DNS_HOOK AGENTSH_EBPF_HOOK_DNS
#define NAME_HOOK AGENTSH_EBPF_HOOK_SERVER_NAME
#define WITH_RULES (CONNECT_HOOK | UDP_HOOK | AGENTSH_EBPF_HOOK_RULES)
#define WITH_NAMES (WITH_TRAFFIC | DNS_HOOK | NAME_HOOK)
#define WITH_TRAFFIC (CONNECT_HOOK | LIFE_HOOK | TRAFFIC_HOOK)

static struct live_cgroup cgroup;

static struct agentsh_ebpf_capabilities probe(uint64_t simulate)
{
	struct agentsh_ebpf_capabilities caps = {
		.size = sizeof(caps),
		.simulate_missing = simulate,
	};

	LIVE_CHECK(!agentsh_ebpf_capability_probe(&caps), "probe");
	return caps;
}

/* Makes one connect in a session of the tracer and returns its event. */
static struct agentsh_ebpf_event one_event(struct agentsh_ebpf_tracer *tracer)
{
	struct agentsh_ebpf_session *session = live_attach(tracer, &cgroup, 1);
	struct live_worker worker;

	live_seen.count = 0;
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 1));
	live_worker_stop(&worker);
	live_drain(tracer);
	LIVE_CHECK(live_seen.count == 1, "%zu events", live_seen.count);
	LIVE_CHECK(!agentsh_ebpf_session_detach(session), "detach");
	return live_seen.list[0];
}

/* Returns the result of open, with which the message, code and step must agree. */
static int same_as_probe(uint64_t simulate, uint32_t *hooks)
{
	const struct agentsh_ebpf_capabilities caps = probe(simulate);
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.simulate_missing = simulate,
	};
	struct agentsh_ebpf_tracer *tracer = (void *)&cgroup;
	struct agentsh_ebpf_error err = LIVE_ERROR;
	int ret = agentsh_ebpf_tracer_open(&options, &tracer, &err);

	LIVE_CHECK((ret == 0) == caps.usable, "0x%llx: open returned %d, usable is %u",
		   (unsigned long long)simulate, ret, caps.usable);
	LIVE_CHECK(!strcmp(err.message, caps.reason), "open says '%s', the probe '%s'", err.message,
		   caps.reason);
	ck_assert_int_eq(err.code, ret);
	if (ret) {
		ck_assert_ptr_null(tracer);
		ck_assert_uint_eq(err.step, AGENTSH_EBPF_STEP_OBJECT_LOAD);
		for (uint32_t i = 0; i < CHECKS; i++) {
			if (!caps.checks[i].required || !(caps.missing >> i & 1))
				continue;
			ck_assert_int_eq(ret, -caps.checks[i].error);
			break;
		}
	} else {
		*hooks = agentsh_ebpf_tracer_hooks(tracer);
		ck_assert_uint_eq(*hooks, caps.hooks & (CONNECT_HOOK | UDP_HOOK));
	}
	agentsh_ebpf_tracer_close(tracer);
	return ret;
}

START_TEST(each_alone_and_in_pairs)
{
	uint32_t hooks;

	for (int k = _i; k < CHECKS; k++)
		same_as_probe(BIT(_i) | BIT(k), &hooks);
}
END_TEST

START_TEST(all_at_once)
{
	uint32_t hooks = 0;

	ck_assert_int_eq(same_as_probe(0, &hooks), 0);
	ck_assert_uint_eq(hooks, CONNECT_HOOK | UDP_HOOK);
	ck_assert_int_lt(same_as_probe(BIT(CHECKS) - 1, &hooks), 0);
}
END_TEST

/* Without one optional feature, events lack exactly what depends on it. */
START_TEST(optional_ones)
{
	static const uint32_t optional[] = {
		AGENTSH_EBPF_CHECK_KERNEL,   AGENTSH_EBPF_CHECK_CAP_PERFMON,
		AGENTSH_EBPF_CHECK_LOCKDOWN, AGENTSH_EBPF_CHECK_BTF,
		AGENTSH_EBPF_CHECK_JIT,	     AGENTSH_EBPF_CHECK_SENDMSG4,
		AGENTSH_EBPF_CHECK_SENDMSG6};

	live_cgroup_make(&cgroup, NULL);
	for (size_t i = 0; i < LIVE_COUNT(optional); i++) {
		const struct agentsh_ebpf_tracer_options options = {
			.simulate_missing = BIT(optional[i]),
		};
		struct agentsh_ebpf_tracer *tracer = live_open(&options);
		struct agentsh_ebpf_event e = one_event(tracer);
		bool sends = !(options.simulate_missing & ALL_SENDS);
		bool task = !(options.simulate_missing & TASK) && !kernel_hides_tasks();
		const char *name = agentsh_ebpf_check_name(optional[i]);

		LIVE_CHECK(agentsh_ebpf_tracer_hooks(tracer) ==
				   (CONNECT_HOOK | (sends ? UDP_HOOK : 0)),
			   "without %s: hooks", name);
		LIVE_CHECK(kernel_attached(cgroup.fd) == 0, "detached");
		live_attach(tracer, &cgroup, 2);
		LIVE_CHECK(kernel_attached(cgroup.fd) == (sends ? 4 : 2), "without %s: links",
			   name);
		LIVE_CHECK(!e.ppid == !task && !e.process_start_ns == !task && !e.ns_pid == !task &&
				   !e.ns_tgid == !task && !e.container_pid == !task &&
				   !e.container_tgid == !task && !e.exe_inode == !task &&
				   !e.process_comm[0] == !task && (!e.exe_device || task),
			   "without %s: ppid %u, start %llu, ns_pid %u", name, e.ppid,
			   (unsigned long long)e.process_start_ns, e.ns_pid);
		LIVE_CHECK(e.comm[0], "without %s: no comm", name);
		live_close(tracer);
	}
}
END_TEST

/* The options decide whether a missing hook makes the open fail. */
static const struct {
	uint32_t mode, hooks, required;
	uint64_t simulate;
	int ret;
	uint32_t got;
	const char *words;
} requests[] = {
	{0, 0, 0, ALL_SENDS, 0, CONNECT_HOOK, NULL},
	{0, 0, UDP_HOOK, ALL_CONNECTS, 0, UDP_HOOK, NULL},
	{0, 0, UDP_HOOK, BIT(AGENTSH_EBPF_CHECK_CONNECT6), 0, UDP_HOOK, NULL},
	{0, 0, UDP_HOOK, BIT(AGENTSH_EBPF_CHECK_SENDMSG6), -EINVAL, 0, "cgroup/sendmsg6,simulated"},
	{0, 0, UDP_HOOK | CONNECT_HOOK, BIT(AGENTSH_EBPF_CHECK_SENDMSG4), -EINVAL, 0,
	 "cgroup/sendmsg4,simulated"},
	{0, UDP_HOOK, 0, ALL_CONNECTS, 0, UDP_HOOK, NULL},
	{0, UDP_HOOK, 0, BIT(AGENTSH_EBPF_CHECK_SENDMSG4), -EOPNOTSUPP, 0, "none of hooks"},
	{0, UDP_HOOK, 0, ALL_SENDS, -EOPNOTSUPP, 0, ""},
	{0, CONNECT_HOOK, 0, ALL_SENDS, 0, CONNECT_HOOK, NULL},
	{0, 0, UDP_HOOK, ALL_CONNECTS | ALL_SENDS, -EINVAL, 0, "cgroup/sendmsg4,cgroup/sendmsg6"},
	{0, WITH_TRAFFIC, 0, 0, 0, WITH_TRAFFIC, NULL},
	{0, WITH_TRAFFIC, 0, BIT(AGENTSH_EBPF_CHECK_INET_EGRESS), 0, CONNECT_HOOK | LIFE_HOOK,
	 NULL},
	{0, WITH_TRAFFIC, 0, BIT(AGENTSH_EBPF_CHECK_INET_INGRESS), 0, CONNECT_HOOK | LIFE_HOOK,
	 NULL},
	{0, WITH_TRAFFIC, TRAFFIC_HOOK, BIT(AGENTSH_EBPF_CHECK_INET_EGRESS), -EINVAL, 0,
	 "cgroup_skb/egress,simulated"},
	{0, WITH_TRAFFIC, 0, BIT(AGENTSH_EBPF_CHECK_SOCK_OPS), 0, CONNECT_HOOK, NULL},
	{0, WITH_TRAFFIC, TRAFFIC_HOOK, BIT(AGENTSH_EBPF_CHECK_SOCK_RELEASE), -EINVAL, 0,
	 "cgroup/sock_release,simulated"},
	{0, WITH_NAMES, 0, 0, 0, WITH_NAMES, NULL},
	{0, WITH_NAMES, 0, BIT(AGENTSH_EBPF_CHECK_INET_INGRESS), 0,
	 CONNECT_HOOK | LIFE_HOOK | NAME_HOOK, NULL},
	{0, WITH_NAMES, 0, BIT(AGENTSH_EBPF_CHECK_INET_EGRESS), 0, CONNECT_HOOK | LIFE_HOOK, NULL},
	{0, WITH_NAMES, 0, BIT(AGENTSH_EBPF_CHECK_SOCK_RELEASE), 0, CONNECT_HOOK, NULL},
	{0, WITH_NAMES, DNS_HOOK, BIT(AGENTSH_EBPF_CHECK_INET_INGRESS), -EINVAL, 0,
	 "cgroup_skb/ingress,simulated"},
	{0, WITH_RULES, 0, 0, 0, WITH_RULES, NULL},
	{0, WITH_RULES, 0, BIT(AGENTSH_EBPF_CHECK_SENDMSG4), 0, CONNECT_HOOK, NULL},
	{0, WITH_RULES, AGENTSH_EBPF_HOOK_RULES, BIT(AGENTSH_EBPF_CHECK_SENDMSG6), -EINVAL, 0,
	 "cgroup/sendmsg6,simulated"},
	{0, WITH_RULES, 0, TASK, 0, WITH_RULES, NULL},
	{0, AGENTSH_EBPF_HOOK_UNIX, 0, ALL_UNIX, -EOPNOTSUPP, 0, ""},
	{0, CONNECT_HOOK | AGENTSH_EBPF_HOOK_UNIX, 0, BIT(AGENTSH_EBPF_CHECK_SENDMSG_UNIX), 0,
	 CONNECT_HOOK, NULL},
	{AGENTSH_EBPF_MODE_REQUIRED, 0, 0, BIT(AGENTSH_EBPF_CHECK_SENDMSG4), -EINVAL, 0,
	 "cgroup/sendmsg4,simulated"},
	{AGENTSH_EBPF_MODE_REQUIRED, 0, 0, BIT(AGENTSH_EBPF_CHECK_SENDMSG6), -EINVAL, 0,
	 "cgroup/sendmsg6,simulated"},
	{AGENTSH_EBPF_MODE_REQUIRED, 0, 0, TASK, 0, CONNECT_HOOK | UDP_HOOK, NULL},
	{AGENTSH_EBPF_MODE_REQUIRED, CONNECT_HOOK, 0, ALL_SENDS, 0, CONNECT_HOOK, NULL},
	{AGENTSH_EBPF_MODE_REQUIRED, UDP_HOOK, 0, ALL_CONNECTS, 0, UDP_HOOK, NULL},
	{AGENTSH_EBPF_MODE_DISABLED, 0, 0, 1, -ECANCELED, 0, "DISABLED"},
	{AGENTSH_EBPF_MODE_SYNTHETIC, 0, 0, BIT(CHECKS) - 1, 0, CONNECT_HOOK | UDP_HOOK, NULL},
};

START_TEST(required_hooks)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.mode = requests[_i].mode,
		.hooks = requests[_i].hooks,
		.required_hooks = requests[_i].required,
		.simulate_missing = requests[_i].simulate,
	};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_error err = LIVE_ERROR;
	int ret = agentsh_ebpf_tracer_open(&options, &tracer, &err);
	uint32_t got = agentsh_ebpf_tracer_hooks(tracer);

	agentsh_ebpf_tracer_close(tracer);
	LIVE_CHECK(ret == requests[_i].ret && got == requests[_i].got,
		   "%d: open returned %d, hooks 0x%x: %s", _i, ret, got, err.message);
	if (ret)
		live_expect_message(&err, requests[_i].words);
}
END_TEST

/* ---- nothing stays in the process --------------------------------------- */

/* Everything works: programs have their names, and events a ppid. */
static void expect_complete(uint32_t marker)
{
	const struct agentsh_ebpf_tracer_options options = {.max_sessions = marker};
	static struct kernel_ids ids;
	struct agentsh_ebpf_tracer *tracer = live_open(&options);

	kernel_ids(marker, &ids); /* by name */
	LIVE_CHECK(ids.programs == 4, "%zu programs have our name", ids.programs);
	LIVE_CHECK(!one_event(tracer).ppid == !!kernel_hides_tasks(), "events have no ppid");
	LIVE_CHECK(probe(0).usable, "not usable");
	live_close(tracer);
}

static void limited_first(const void *marker, void *unused)
{
	struct rlimit before, after;

	(void)unused;
	LIVE_CHECK(!getrlimit(RLIMIT_NOFILE, &before) && !getrlimit(RLIMIT_MEMLOCK, &after),
		   "getrlimit");
	for (unsigned int left = 0; left < 80; left += left % 32 ? 1 : 3) {
		struct agentsh_ebpf_capabilities caps;
		struct rlimit now;

		LIVE_CHECK(!host_descriptors(left), "limit: %s", strerror(errno));
		caps = probe(0);
		LIVE_CHECK(caps.usable == (left >= 73), "%u descriptors left: usable is %u: %s",
			   left, caps.usable, caps.reason);
		/* libbpf raises the limit if it takes the kernel for older than 5.11, also for lack
		 * of a descriptor */
		LIVE_CHECK(!getrlimit(RLIMIT_MEMLOCK, &now) &&
				   (caps.usable || now.rlim_cur == after.rlim_cur),
			   "RLIMIT_MEMLOCK was changed");
		LIVE_CHECK(!setrlimit(RLIMIT_NOFILE, &before), "setrlimit");
	}
	expect_complete(*(const uint32_t *)marker);
}

static void powerless_first(const void *marker, void *unused)
{
	(void)unused;
	LIVE_CHECK(!host_switch_caps(0), "capset: %s", strerror(errno));
	LIVE_CHECK(!probe(0).usable && !probe(BIT(AGENTSH_EBPF_CHECK_BTF)).usable, "usable");
	LIVE_CHECK(!host_switch_caps(1), "capset: %s", strerror(errno));
	expect_complete(*(const uint32_t *)marker);
}

static void simulated_first(const void *marker, void *unused)
{
	(void)unused;
	for (int i = 0; i < CHECKS; i++)
		probe(BIT(i));
	expect_complete(*(const uint32_t *)marker);
}

#define SPARE 12

static struct live_cgroup spare[SPARE];

/* As many sessions as promised, or a few more if the tracer needs fewer descriptors than reserved.
 */
static void count_sessions(const void *unused, void *unused_out)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = CONNECT_HOOK | UDP_HOOK | AGENTSH_EBPF_HOOK_LIFECYCLE |
			 AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC |
			 AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME |
			 AGENTSH_EBPF_HOOK_UNIX | AGENTSH_EBPF_HOOK_RULES |
			 AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS,
	};
	/* an old kernel lacks two of the programs */
	const uint32_t more = kernel_hooks_unix() ? 1 : 3;
	struct rlimit before;

	(void)unused;
	(void)unused_out;
	LIVE_CHECK(!getrlimit(RLIMIT_NOFILE, &before), "getrlimit");
	for (unsigned int left = 84; left < 100; left += 3) {
		struct agentsh_ebpf_session *session;
		struct agentsh_ebpf_tracer *tracer;
		uint32_t promised, got = 0;

		LIVE_CHECK(!host_descriptors(left), "limit: %s", strerror(errno));
		promised = probe(0).max_sessions;
		tracer = live_open(&options);
		for (int i = 0; i < SPARE; i++)
			got += !agentsh_ebpf_session_attach(tracer, spare[i].fd, NULL, &session,
							    NULL);
		live_close(tracer);
		LIVE_CHECK(got >= promised && got <= promised + more && got < SPARE,
			   "%u descriptors: %u sessions, promised %u", left, got, promised);
		LIVE_CHECK(!setrlimit(RLIMIT_NOFILE, &before), "setrlimit");
	}
}

static const struct {
	const char *name;
	live_fn fn;
} processes[] = {
	{"few descriptors first", limited_first},
	{"no capabilities first", powerless_first},
	{"simulation first", simulated_first},
	{"as many sessions as promised", count_sessions},
};

START_TEST(process)
{
	uint32_t marker = kernel_new_marker();
	struct live_worker worker;

	printf("%s\n", processes[_i].name);
	live_cgroup_make(&cgroup, NULL);
	for (int i = 0; i < SPARE; i++)
		live_cgroup_make(&spare[i], &cgroup);
	live_worker_start(&worker, NULL);
	live_worker_call(&worker, processes[_i].fn, &marker, sizeof(marker), NULL, 0);
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe and open");
	TCase *tcase = live_case(suite, "open");

	tcase_add_loop_test(tcase, each_alone_and_in_pairs, 0, CHECKS);
	tcase_add_test(tcase, all_at_once);
	tcase_add_test(tcase, optional_ones);
	tcase_add_loop_test(tcase, required_hooks, 0, LIVE_COUNT(requests));
	tcase_add_loop_test(tcase, process, 0, LIVE_COUNT(processes));
	return live_main(suite);
}
