/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neither attach nor the probe keeps a program of somebody else from running. That program is
 * attached above with BPF_F_ALLOW_OVERRIDE, and the kernel would leave it out for a cgroup with
 * a link of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "host_limits.h"
#include "kernel.h"
#include "live.h"
#include "traffic.h"

#define PROBES 120
#define PROBES_S 20 /* an emulated machine makes fewer probes in this time */
#define ATTACHES 20

enum how { CONNECT, SEND, BIND, UNSEEN /* the return value of the program has no effect */ };

static const struct hook {
	uint32_t attach_type;
	uint32_t check;
	const char *name;
	enum how how;
	int domain;
} hooks[] = {
	{BPF_CGROUP_INET4_CONNECT, AGENTSH_EBPF_CHECK_CONNECT4, "cgroup/connect4", CONNECT,
	 AF_INET},
	{BPF_CGROUP_INET6_CONNECT, AGENTSH_EBPF_CHECK_CONNECT6, "cgroup/connect6", CONNECT,
	 AF_INET6},
	{BPF_CGROUP_UDP4_SENDMSG, AGENTSH_EBPF_CHECK_SENDMSG4, "cgroup/sendmsg4", SEND, AF_INET},
	{BPF_CGROUP_UDP6_SENDMSG, AGENTSH_EBPF_CHECK_SENDMSG6, "cgroup/sendmsg6", SEND, AF_INET6},
	{BPF_CGROUP_SOCK_OPS, AGENTSH_EBPF_CHECK_SOCK_OPS, "sock_ops", UNSEEN, 0},
	{BPF_CGROUP_INET_SOCK_RELEASE, AGENTSH_EBPF_CHECK_SOCK_RELEASE, "cgroup/sock_release",
	 UNSEEN, 0},
	{BPF_CGROUP_INET4_BIND, AGENTSH_EBPF_CHECK_BIND4, "cgroup/bind4", BIND, AF_INET},
	{BPF_CGROUP_INET6_BIND, AGENTSH_EBPF_CHECK_BIND6, "cgroup/bind6", BIND, AF_INET6},
};
static const struct hook *const connect4 = &hooks[0];

static struct live_cgroup above, inside;
static struct live_worker worker;
static struct agentsh_ebpf_tracer *tracer;
static uint32_t firewall; /* program id */

static const struct agentsh_ebpf_tracer_options all_hooks = {
	.size = sizeof(all_hooks),
	.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |
		 AGENTSH_EBPF_HOOK_ACCEPT,
};

static void setup(void)
{
	live_cgroup_make(&above, NULL);
	live_cgroup_make(&inside, &above);
	live_worker_start(&worker, &inside);
	tracer = live_open_kept(&all_hooks);
}

static void raise_firewall(const struct live_cgroup *cgroup, const struct hook *hook,
			   uint32_t flags)
{
	int fd = host_attach_firewall(cgroup->fd, hook->attach_type, flags, 0);

	LIVE_CHECK(fd >= 0, "%s: %s", hook->name, strerror(errno));
	firewall = kernel_program_id(fd);
	close(fd);
}

/* ---- what the firewall refuses ------------------------------------------- */

/* Makes a call that the hook sees; returns 0 or errno. */
static int call(const struct hook *hook)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	const struct sockaddr *to = hook->domain == AF_INET ? (void *)&v4 : (void *)&v6;
	socklen_t size = hook->domain == AF_INET ? sizeof(v4) : sizeof(v6);
	int fd = socket(hook->domain, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v6.sin6_addr = in6addr_loopback;
	if (hook->how == BIND)
		v4.sin_port = v6.sin6_port = 0;
	ret = hook->how == CONNECT ? connect(fd, to, size)
	      : hook->how == BIND  ? bind(fd, to, size)
				   : (int)sendto(fd, "", 0, 0, to, size);
	ret = ret < 0 ? errno : 0;
	close(fd);
	return ret;
}

static void call_once(const void *index, void *error)
{
	*(int *)error = call(&hooks[*(const int *)index]);
}

static void expect_refused(const struct hook *hook, bool refused, const char *when)
{
	int index = (int)(hook - hooks), error;

	if (hook->how == UNSEEN)
		return;
	live_worker_call(&worker, call_once, &index, sizeof(index), &error, sizeof(error));
	LIVE_CHECK(error == (refused ? EPERM : 0), "%s: %s: %s", hook->name, when, strerror(error));
}

static size_t effective(const struct hook *hook, bool *has_firewall)
{
	uint32_t ids[KERNEL_IDS_MAX];
	size_t count = kernel_effective(inside.fd, hook->attach_type, ids);

	*has_firewall = false;
	for (size_t i = 0; i < count; i++)
		*has_firewall |= ids[i] == firewall;
	return count;
}

static void expect_effective(const struct hook *hook, size_t count, bool has_firewall,
			     const char *when)
{
	bool has;
	size_t found = effective(hook, &has);

	LIVE_CHECK(found == count && has == has_firewall,
		   "%s: %s: %zu programs in effect, %s the firewall", hook->name, when, found,
		   has ? "with" : "without");
}

/* Shared with a worker that calls in a loop. */
static struct loop {
	atomic_bool stop;
	atomic_ulong refused, allowed;
	int index;
} * loop;

static void call_in_loop(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	while (!loop->stop) {
		if (call(&hooks[loop->index]) == EPERM)
			loop->refused++;
		else
			loop->allowed++;
	}
}

static void loop_start(struct live_worker *caller, const struct hook *hook)
{
	loop = mmap(NULL, sizeof(*loop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	LIVE_CHECK(loop != MAP_FAILED, "mmap: %s", strerror(errno));
	loop->index = (int)(hook - hooks);
	live_worker_start(caller, &inside);
	live_worker_send(caller, call_in_loop, NULL, 0, 0);
	while (!loop->refused && !loop->allowed)
		sched_yield();
}

static void loop_end(struct live_worker *caller, const char *what)
{
	loop->stop = true;
	live_worker_receive(caller, NULL, 0);
	live_worker_stop(caller);
	printf("%s: %lu calls refused, %lu allowed meanwhile\n", what, loop->refused,
	       loop->allowed);
	LIVE_CHECK(!loop->allowed, "%s let %lu calls through", what, loop->allowed);
	munmap(loop, sizeof(*loop));
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

/*
 * Makes the worker's cgroup the root of all that it sees. Its cgroup becomes the root of a
 * cgroup namespace, and of the only mount of cgroup v2.
 */
static void hide_above(void)
{
	LIVE_CHECK(!unshare(CLONE_NEWCGROUP) && !host_own_mounts(), "unshare: %s", strerror(errno));
	LIVE_CHECK(!umount2(live_cgroup_root(), MNT_DETACH) &&
			   !mount("none", live_cgroup_root(), "cgroup2", 0, NULL),
		   "mount: %s", strerror(errno));
}

static void open_own_root(void)
{
	hide_above();
	close(inside.fd);
	inside.fd = open(live_cgroup_root(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	LIVE_CHECK(inside.fd >= 0, "%s: %s", live_cgroup_root(), strerror(errno));
	tracer = live_open(&all_hooks);
}

static void attach_hidden(const void *index, void *unused_out)
{
	const struct hook *hook = &hooks[*(const int *)index];
	int fds;

	(void)unused_out;
	open_own_root();
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
	LIVE_CHECK(caps.usable && caps.hooks == all_hooks.hooks, "%s", caps.reason);
	return caps;
}

static void expect_probed(const struct agentsh_ebpf_capabilities *caps, const struct hook *hook,
			  const char *words)
{
	char program[64];

	snprintf(program, sizeof(program), "program %u (" HOST_FIREWALL ")", firewall);
	LIVE_CHECK(caps->load_only == 1, "load_only is %u", caps->load_only);
	for (size_t i = 0; i < LIVE_COUNT(hooks); i++) {
		const struct agentsh_ebpf_check *check = &caps->checks[hooks[i].check];
		struct agentsh_ebpf_error text = LIVE_ERROR;

		snprintf(text.message, sizeof(text.message), "%s", check->detail);
		LIVE_CHECK(check->status == AGENTSH_EBPF_STATUS_AVAILABLE, "%s: status %u",
			   hooks[i].name, check->status);
		live_expect_message(&text, hooks[i].name);
		live_expect_message(&text, &hooks[i] == hook ? words : "loads and attaches");
		if (&hooks[i] == hook)
			live_expect_message(&text, program);
	}
}

static void probe_visible(const void *index, void *unused_out)
{
	struct agentsh_ebpf_capabilities caps = probe();

	(void)unused_out;
	expect_probed(&caps, &hooks[*(const int *)index], "only loaded,would displace");
}

static void probe_hidden(const void *index, void *unused_out)
{
	const struct hook *hook = &hooks[*(const int *)index];
	struct agentsh_ebpf_capabilities caps;

	(void)unused_out;
	hide_above();
	caps = probe();
	expect_probed(&caps, hook, "only loaded,could displace");
}

START_TEST(probe_below_override)
{
	struct live_worker host;

	raise_firewall(&above, &hooks[_i], BPF_F_ALLOW_OVERRIDE);
	live_worker_start(&host, &inside);
	live_worker_call(&host, probe_visible, &_i, sizeof(_i), NULL, 0);
	live_worker_call(&host, probe_hidden, &_i, sizeof(_i), NULL, 0);
	live_worker_stop(&host);
	expect_effective(&hooks[_i], 1, true, "afterwards");
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
	const int count = (int)LIVE_COUNT(hooks);

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, override_above, 0, count);
	tcase_add_loop_test(tcase, multi_above, 0, count);
	tcase_add_loop_test(tcase, exclusive_above, 0, count);
	tcase_add_test(tcase, override_further_above);
	tcase_add_test(tcase, beside_and_below_another_tracer);
	tcase_add_loop_test(tcase, hidden_override, 0, count);
	tcase_add_loop_test(tcase, hidden_multi, 0, count);
	tcase_add_test(tcase, bind_mount);
	tcase_add_checked_fixture(probes, setup, NULL);
	tcase_add_loop_test(probes, probe_below_override, 0, count);
	tcase_add_loop_test(probes, many_probes, 0, 2);
	return live_main(suite);
}
