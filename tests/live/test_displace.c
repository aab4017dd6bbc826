/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neither attach nor the probe keeps a program of somebody else from running. That program is
 * attached above with BPF_F_ALLOW_OVERRIDE, and the kernel would leave it out for a cgroup with
 * a link of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "firewall.h"
#include "host_limits.h"
#include "kernel.h"
#include "traffic.h"

#define PROBES 120
#define PROBES_S 20 /* an emulated machine makes fewer probes in this time */
#define ATTACHES 20

static struct agentsh_ebpf_tracer *tracer;

static const struct agentsh_ebpf_tracer_options all_hooks = {
	.size = sizeof(all_hooks),
	.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |
		 AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS |
		 AGENTSH_EBPF_HOOK_SERVER_NAME | AGENTSH_EBPF_HOOK_UNIX | AGENTSH_EBPF_HOOK_RULES |
		 AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS,
};

static void setup(void)
{
	firewall_begin();
	tracer = live_open_kept(&all_hooks);
}

/* ---- attach -------------------------------------------------------------- */

static int attach(const struct live_cgroup *cgroup, uint32_t flags,
		  struct agentsh_ebpf_session **session, struct agentsh_ebpf_error *err)
{
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options),
		.session_id = 7,
		.flags = flags,
	};

	*err = (struct agentsh_ebpf_error)LIVE_ERROR;
	return agentsh_ebpf_session_attach(tracer, cgroup->fd, &options, session, err);
}

static void expect_busy(const struct live_cgroup *cgroup, const struct hook *hook,
			const char *words)
{
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_error err;
	char program[64];
	int ret = attach(cgroup, 0, &session, &err);

	LIVE_CHECK(ret == -EBUSY && !session, "%s: attach: %d, %s", hook->name, ret, err.message);
	LIVE_CHECK(err.step == AGENTSH_EBPF_STEP_LINK && err.code == ret, "step %u", err.step);
	snprintf(program, sizeof(program), "program %u (" HOST_FIREWALL ")", firewall);
	live_expect_message(&err, program);
	live_expect_message(&err, hook->name);
	live_expect_message(&err, words);
	live_expect_message(&err, "BPF_F_ALLOW_MULTI,AGENTSH_EBPF_ATTACH_DISPLACE");
}

static struct agentsh_ebpf_session *expect_attached(uint32_t flags)
{
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_error err;
	int ret = attach(&inside, flags, &session, &err);

	LIVE_CHECK(!ret, "attach: %d, %s", ret, err.message);
	return session;
}

START_TEST(override_above)
{
	const struct hook *hook = &hooks[_i];
	int fds = live_open_fds();
	struct live_worker caller;

	raise_firewall(&above, hook, BPF_F_ALLOW_OVERRIDE);
	expect_refused(hook, true, "before");
	if (hook->how != UNSEEN)
		loop_start(&caller, hook);
	for (int i = 0; i < ATTACHES; i++)
		expect_busy(&inside, hook, "would displace");
	if (hook->how != UNSEEN)
		loop_end(&caller, hook->name);
	expect_refused(hook, true, "after the refused attach");
	expect_effective(hook, 1, true, "after the refused attach");
	ck_assert_int_eq(live_open_fds(), fds);
	ck_assert_uint_eq(kernel_attached(inside.fd), 0);

	live_detach(expect_attached(AGENTSH_EBPF_ATTACH_DISPLACE));
	expect_refused(hook, true, "after detach");
	expect_attached(AGENTSH_EBPF_ATTACH_DISPLACE);
	expect_effective(hook, 1, false, "with DISPLACE");
	expect_refused(hook, false, "with DISPLACE");
}
END_TEST

/* The kernel runs both, and there is nothing to refuse. */
START_TEST(multi_above)
{
	const struct hook *hook = &hooks[_i];

	raise_firewall(&above, hook, BPF_F_ALLOW_MULTI);
	expect_attached(0);
	expect_effective(hook, 2, true, "attached");
	expect_refused(hook, true, "attached");
	live_drain(tracer);
	/* the refused call and the end of its socket */
	ck_assert_uint_eq(live_seen.count, hook->how == CONNECT || hook->how == SEND ? 2 : 0);
}
END_TEST

START_TEST(exclusive_above)
{
	const struct hook *hook = &hooks[_i];
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_error err;

	raise_firewall(&above, hook, 0);
	for (int i = 0; i < 2; i++) {
		uint32_t flags = i ? AGENTSH_EBPF_ATTACH_DISPLACE : 0;

		ck_assert_int_eq(attach(&inside, flags, &session, &err), -EPERM);
		live_expect_message(&err, hook->name);
		live_expect_message(&err, "exclusively");
		expect_refused(hook, true, "after the refused attach");
		expect_effective(hook, 1, true, "after the refused attach");
	}
}
END_TEST

/* Only the nearest cgroup with programs counts, however far above it is. */
START_TEST(override_further_above)
{
	struct live_cgroup deep, deeper;
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_error err;

	live_cgroup_make(&deep, &inside);
	live_cgroup_make(&deeper, &deep);
	raise_firewall(&above, connect4, BPF_F_ALLOW_OVERRIDE);
	expect_busy(&deeper, connect4, "would displace");
	expect_refused(connect4, true, "after the refused attach");

	/* a program in between displaces it without us */
	close(host_attach_other(inside.fd, connect4->attach_type, BPF_F_ALLOW_MULTI));
	LIVE_CHECK(!attach(&deeper, 0, &session, &err), "below: %s", err.message);
	LIVE_CHECK(!attach(&inside, 0, &session, &err), "beside: %s", err.message);
}
END_TEST

START_TEST(beside_and_below_another_tracer)
{
	struct agentsh_ebpf_tracer *other = live_open(&all_hooks);

	live_attach(other, &above, 1);
	live_attach(tracer, &inside, 2);
	live_attach(other, &inside, 3);
	live_attach(tracer, &above, 4);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 5));
	live_drain(other);
	ck_assert_uint_eq(live_seen.count, 10);
	live_drain(tracer);
	ck_assert_uint_eq(live_seen.count, 20);
	live_close(other);
}
END_TEST

/* ---- cgroups that are not visible ---------------------------------------- */

static void attach_hidden(const void *index, void *unused_out)
{
	const struct hook *hook = &hooks[*(const int *)index];
	int fds;

	(void)unused_out;
	open_own_root();
	tracer = live_open(&all_hooks);
	fds = live_open_fds();
	expect_busy(&inside, hook, "undone,displaced");
	LIVE_CHECK(live_open_fds() == fds, "descriptors are left");
	expect_effective(hook, 1, true, "after the undone attach");
	expect_attached(AGENTSH_EBPF_ATTACH_DISPLACE);
	expect_effective(hook, 1, false, "with DISPLACE");
	live_close(tracer);
}

START_TEST(hidden_override)
{
	const struct hook *hook = &hooks[_i];
	struct live_worker host;

	raise_firewall(&above, hook, BPF_F_ALLOW_OVERRIDE);
	live_worker_start(&host, &inside);
	live_worker_call(&host, attach_hidden, &_i, sizeof(_i), NULL, 0);
	live_worker_stop(&host);
	expect_effective(hook, 1, true, "at the end");
	expect_refused(hook, true, "at the end");
}
END_TEST

static void attach_beside_hidden(const void *index, void *unused_out)
{
	(void)unused_out;
	open_own_root();
	tracer = live_open(&all_hooks);
	expect_attached(0);
	expect_effective(&hooks[*(const int *)index], 2, true, "attached");
	live_close(tracer);
}

START_TEST(hidden_multi)
{
	struct live_worker host;

	raise_firewall(&above, &hooks[_i], BPF_F_ALLOW_MULTI);
	live_worker_start(&host, &inside);
	live_worker_call(&host, attach_beside_hidden, &_i, sizeof(_i), NULL, 0);
	live_worker_stop(&host);
}
END_TEST

/* The directory above a bind mount is not the cgroup above. */
static void attach_bind_mount(const void *elsewhere, void *unused_out)
{
	const struct live_cgroup *at = elsewhere;

	(void)unused_out;
	LIVE_CHECK(!host_own_mounts() && !mount(inside.path, at->path, NULL, MS_BIND, NULL),
		   "mount: %s", strerror(errno));
	close(inside.fd);
	inside.fd = open(at->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	LIVE_CHECK(inside.fd >= 0, "%s: %s", at->path, strerror(errno));
	tracer = live_open(&all_hooks);
	expect_busy(&inside, connect4, "undone,displaced");
	live_close(tracer);
}

START_TEST(bind_mount)
{
	struct live_cgroup aside, below_it;
	struct live_worker host;

	live_cgroup_make(&aside, NULL);
	live_cgroup_make(&below_it, &aside);
	close(host_attach_other(aside.fd, connect4->attach_type, BPF_F_ALLOW_MULTI));
	raise_firewall(&above, connect4, BPF_F_ALLOW_OVERRIDE);
	live_worker_start(&host, NULL);
	live_worker_call(&host, attach_bind_mount, &below_it, sizeof(below_it), NULL, 0);
	live_worker_stop(&host);
	expect_refused(connect4, true, "afterwards");
}
END_TEST

/* ---- the probe ----------------------------------------------------------- */

static struct agentsh_ebpf_capabilities probe(void)
{
	struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps)};

	LIVE_CHECK(!agentsh_ebpf_capability_probe(&caps), "probe");
	if (!kernel_hooks_unix())
		caps.hooks |= AGENTSH_EBPF_HOOK_UNIX;
	LIVE_CHECK(caps.usable && caps.hooks == all_hooks.hooks, "%s", caps.reason);
	return caps;
}

/* Checks what the probe says of each hook; words are expected where there is a firewall. */
static void expect_probed(const char *words)
{
	struct agentsh_ebpf_capabilities caps = probe();

	LIVE_CHECK(caps.load_only == 1, "load_only is %u", caps.load_only);
	for (size_t i = 0; i < FIREWALL_HOOKS; i++) {
		const struct agentsh_ebpf_check *check = &caps.checks[hooks[i].check];
		struct agentsh_ebpf_error text = LIVE_ERROR;
		char program[64];

		snprintf(program, sizeof(program), "program %u (" HOST_FIREWALL ")", firewalls[i]);
		snprintf(text.message, sizeof(text.message), "%s", check->detail);
		LIVE_CHECK(check->status == AGENTSH_EBPF_STATUS_AVAILABLE, "%s: status %u",
			   hooks[i].name, check->status);
		live_expect_message(&text, hooks[i].name);
		live_expect_message(&text, firewalls[i] ? words : "loads and attaches");
		if (firewalls[i])
			live_expect_message(&text, program);
	}
}

static void probe_below(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	expect_probed("only loaded,would displace");
	hide_above();
	expect_probed("only loaded,could displace");
}

START_TEST(probe_below_override)
{
	const size_t count = _i ? FIREWALL_HOOKS : 1;
	struct live_worker host;

	for (size_t i = 0; i < count; i++)
		raise_firewall(&above, &hooks[i], BPF_F_ALLOW_OVERRIDE);
	live_worker_start(&host, &inside);
	live_worker_call(&host, probe_below, NULL, 0, NULL, 0);
	live_worker_stop(&host);
	for (size_t i = 0; i < count; i++) {
		firewall = firewalls[i];
		expect_effective(&hooks[i], 1, true, "afterwards");
	}
}
END_TEST

static void probe_often(const void *hidden, void *unused_out)
{
	time_t end = time(NULL) + PROBES_S;

	(void)unused_out;
	if (*(const bool *)hidden)
		hide_above();
	for (int i = 0; i < PROBES && time(NULL) <= end; i++)
		probe();
}

START_TEST(many_probes)
{
	struct live_worker caller;
	bool hidden = _i;

	raise_firewall(&above, connect4, BPF_F_ALLOW_OVERRIDE);
	loop_start(&caller, connect4);
	live_worker_call(&worker, probe_often, &hidden, sizeof(hidden), NULL, 0);
	loop_end(&caller, hidden ? "probes that do not see the firewall" : "probes");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("displace");
	TCase *tcase = live_case(suite, "attach"), *probes = live_case(suite, "probe");
	const int count = (int)FIREWALL_HOOKS;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, override_above, 0, count);
	tcase_add_loop_test(tcase, multi_above, 0, count);
	tcase_add_loop_test(tcase, exclusive_above, 0, count);
	tcase_add_test(tcase, override_further_above);
	tcase_add_test(tcase, beside_and_below_another_tracer);
	tcase_add_loop_test(tcase, hidden_override, 0, count);
	tcase_add_loop_test(tcase, hidden_multi, 3, 5); /* one hook of each kind of program */
	tcase_add_test(tcase, bind_mount);
	tcase_add_checked_fixture(probes, setup, NULL);
	tcase_add_loop_test(probes, probe_below_override, 0, 2);
	tcase_add_loop_test(probes, many_probes, 0, 2);
	return live_main(suite);
}
