/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session that lost its sight: agentsh_ebpf_session_check() tells what is missing, and poll,
 * read and the descriptor tell a host that does not ask. What does not blind a session gives
 * no event.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blinding.h"
#include "host_limits.h"
#include "traffic.h"

#define INTERVAL_MS 100
#define HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE)
#define BIT(check) (1ULL << AGENTSH_EBPF_CHECK_##check)

static struct live_cgroup above, cgroup;
static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;

static void begin(void)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = HOOKS,
		.check_interval_ms = INTERVAL_MS,
	};

	live_cgroup_make(&above, NULL);
	live_cgroup_make(&cgroup, &above);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 7);
}

static void end(void)
{
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	live_close(tracer);
}

static struct agentsh_ebpf_session_check check(void)
{
	struct agentsh_ebpf_session_check out = {.size = sizeof(out)};
	int ret = agentsh_ebpf_session_check(session, &out);

	LIVE_CHECK(!ret, "check: %d", ret);
	return out;
}

static void expect_sight(void)
{
	struct agentsh_ebpf_session_check now = check();

	ck_assert_int_eq(now.error, 0);
	ck_assert_uint_eq(now.hooks, agentsh_ebpf_tracer_hooks(tracer));
	ck_assert_uint_eq(now.wanted & BIT(CONNECT4), BIT(CONNECT4));
	ck_assert_uint_eq(now.attached, now.wanted);
	ck_assert_uint_eq(now.effective, now.wanted);
}

/* ---- what blinds --------------------------------------------------------- */

static void detach_link(void)
{
	blinding_detach_link(&cgroup, BPF_CGROUP_INET4_CONNECT);
}

static void detach_sock_ops(void)
{
	blinding_detach_link(&cgroup, BPF_CGROUP_SOCK_OPS);
}

static void update_link(void)
{
	blinding_update_link(&cgroup, BPF_CGROUP_UDP6_SENDMSG);
}

static void clear_state(void)
{
	blinding_clear_state(&cgroup, BPF_CGROUP_INET4_CONNECT);
}

static void remove_cgroup(void)
{
	LIVE_CHECK(!rmdir(cgroup.path), "rmdir: %s", strerror(errno));
}

static void make_again(void)
{
	remove_cgroup();
	LIVE_CHECK(!mkdir(cgroup.path, 0755), "mkdir: %s", strerror(errno));
}

static const struct {
	const char *what;
	void (*blind)(void);
	int error;
	uint32_t lost; /* AGENTSH_EBPF_HOOK_ bits */
	uint64_t detached, ineffective;
} ways[] = {
	{"a link was detached", detach_link, ENOLINK,
	 AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE, BIT(CONNECT4), BIT(CONNECT4)},
	{"the link of sock_ops was detached", detach_sock_ops, ENOLINK, AGENTSH_EBPF_HOOK_LIFECYCLE,
	 BIT(SOCK_OPS), BIT(SOCK_OPS)},
	{"a link has another program", update_link, EBUSY, AGENTSH_EBPF_HOOK_UDP, BIT(SENDMSG6),
	 BIT(SENDMSG6)},
	{"the session state was cleared", clear_state, ESTALE, HOOKS, 0, 0},
	{"the cgroup was removed", remove_cgroup, ENOENT, HOOKS, ~0ULL, ~0ULL},
	{"the cgroup was removed and made again", make_again, ENOENT, HOOKS, ~0ULL, ~0ULL},
};

START_TEST(check_tells)
{
	struct agentsh_ebpf_session_check now;
	uint32_t hooks;

	begin();
	hooks = agentsh_ebpf_tracer_hooks(tracer);
	expect_sight();
	ways[_i].blind();
	now = check();
	ck_assert_msg(now.error == ways[_i].error, "%s: %d", ways[_i].what, now.error);
	ck_assert_uint_eq(now.hooks, hooks & ~ways[_i].lost);
	ck_assert_uint_eq(now.attached, now.wanted & ~ways[_i].detached);
	ck_assert_uint_eq(now.effective, now.wanted & ~ways[_i].ineffective);
	end();
}
END_TEST

static void expect_event(const struct agentsh_ebpf_event *event, int error)
{
	struct agentsh_ebpf_event expected = {
		.kind = AGENTSH_EBPF_EVENT_SESSION_BLIND,
		.timestamp_ns = event->timestamp_ns,
		.session_id = 7,
		.cgroup_id = cgroup.id,
		.error = error,
	};

	ck_assert_uint_gt(event->timestamp_ns, 0);
	ck_assert_mem_eq(event, &expected, sizeof(expected));
}

/* A poll that waits for ever returns for the event. */
static void by_poll(struct agentsh_ebpf_event *event)
{
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, LIVE_DEADLINE_MS), 1);
	ck_assert_uint_eq(live_seen.count, 1);
	*event = live_seen.list[0];
}

static void by_read(struct agentsh_ebpf_event *event)
{
	ck_assert_int_eq(agentsh_ebpf_read(tracer, event, 1, LIVE_DEADLINE_MS), 1);
}

/* A host that waits only on the descriptor, and then calls poll without waiting. */
static void by_descriptor(struct agentsh_ebpf_event *event)
{
	struct pollfd fd = {.fd = agentsh_ebpf_fd(tracer), .events = POLLIN};
	int ret = 0;

	for (int i = 0; !ret && i < 10; i++) {
		ck_assert_int_eq(poll(&fd, 1, LIVE_DEADLINE_MS), 1);
		ret = agentsh_ebpf_poll(tracer, 0);
	}
	ck_assert_int_eq(ret, 1);
	*event = live_seen.list[0];
}

static void (*const how[])(struct agentsh_ebpf_event *) = {by_poll, by_read, by_descriptor};

/* Exactly one event per session, and no counter counts it. */
START_TEST(one_event)
{
	const size_t way = (size_t)_i / LIVE_COUNT(how);
	struct agentsh_ebpf_event event;

	begin();
	ways[way].blind();
	how[(size_t)_i % LIVE_COUNT(how)](&event);
	expect_event(&event, ways[way].error);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 3 * INTERVAL_MS), 0);
	ck_assert_uint_eq(live_session_stats(session).delivered, 0);
	ck_assert_uint_eq(live_tracer_stats(tracer).delivered, 0);
	end();
}
END_TEST

/* ---- what does not ------------------------------------------------------- */

static void attach_other(const struct live_cgroup *where, uint32_t flags)
{
	int program = host_attach_other(where->fd, BPF_CGROUP_INET4_CONNECT, flags);

	LIVE_CHECK(program >= 0, "flags %u: %s", flags, strerror(errno));
	close(program);
}

static size_t seen_of_kind(uint32_t kind)
{
	size_t count = 0;

	for (size_t i = 0; i < live_seen.count; i++)
		count += live_seen.list[i].kind == kind;
	return count;
}

/* A host whose session is fine sees no difference: poll returns 0 only after its timeout. */
static void expect_no_event(void)
{
	struct live_worker worker;
	size_t seen = seen_of_kind(AGENTSH_EBPF_EVENT_CONNECT);

	expect_sight();
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 3 * INTERVAL_MS), 0);
	live_worker_start(&worker, &cgroup);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 3));
	live_worker_stop(&worker);
	live_drain(tracer);
	ck_assert_uint_eq(seen_of_kind(AGENTSH_EBPF_EVENT_CONNECT), seen + 3);
	ck_assert_uint_eq(seen_of_kind(AGENTSH_EBPF_EVENT_SESSION_BLIND), 0);
}

static const uint32_t flags[] = {0, BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI};

/* A program attached later, above or below, runs beside those of the session. */
START_TEST(programs_above_and_below)
{
	struct live_cgroup below;

	begin();
	attach_other(&above, flags[_i]);
	expect_no_event();
	live_cgroup_make(&below, &cgroup);
	attach_other(&below, flags[_i]);
	expect_no_event();
	live_cgroup_remove(&below);
	expect_no_event();
	end();
}
END_TEST

/* On the session's own cgroup the kernel admits only programs that allow others. */
START_TEST(programs_beside)
{
	begin();
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_lt(host_attach_other(cgroup.fd, BPF_CGROUP_INET4_CONNECT, flags[i]),
				 0);
		expect_no_event();
	}
	ck_assert(!blinding_detach_program(&cgroup, BPF_CGROUP_INET4_CONNECT));
	attach_other(&cgroup, BPF_F_ALLOW_MULTI);
	expect_no_event();
	end();
}
END_TEST

static void write_file(const char *name, const char *text)
{
	char path[sizeof(cgroup.path) + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", cgroup.path, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	LIVE_CHECK(fd >= 0 && write(fd, text, strlen(text)) > 0, "%s: %s", path, strerror(errno));
	close(fd);
}

START_TEST(frozen)
{
	begin();
	write_file("cgroup.freeze", "1");
	expect_sight();
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 2 * INTERVAL_MS), 0);
	write_file("cgroup.freeze", "0");
	expect_no_event();
	end();
}
END_TEST

/* ---- which calls --------------------------------------------------------- */

START_TEST(stale_and_wrong)
{
	struct agentsh_ebpf_session_check out = {.size = 3};

	begin();
	ck_assert_int_eq(agentsh_ebpf_session_check(session, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_check(NULL, &out), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_check(session, &out), -EINVAL);
	out.size = sizeof(out);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
	ck_assert_int_eq(agentsh_ebpf_session_check(session, &out), -EINVAL);
	ck_assert_uint_eq(out.wanted, 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 2 * INTERVAL_MS), 0);
	live_close(tracer);
}
END_TEST

/* A process without capabilities still sees what needs none, and calls nothing else a loss. */
START_TEST(without_capabilities)
{
	struct agentsh_ebpf_session_check out = {.size = sizeof(out)};
	int healthy, polled, blind;
	struct agentsh_ebpf_event event;

	begin();
	LIVE_CHECK(!host_switch_caps(0), "capset: %s", strerror(errno));
	healthy = agentsh_ebpf_session_check(session, &out);
	polled = agentsh_ebpf_poll(tracer, 3 * INTERVAL_MS);
	LIVE_CHECK(!host_switch_caps(1), "capset: %s", strerror(errno));
	ck_assert_int_eq(healthy, -EPERM);
	ck_assert_int_eq(polled, 0);
	remove_cgroup();
	LIVE_CHECK(!host_switch_caps(0), "capset: %s", strerror(errno));
	blind = agentsh_ebpf_session_check(session, &out);
	polled = agentsh_ebpf_read(tracer, &event, 1, LIVE_DEADLINE_MS);
	LIVE_CHECK(!host_switch_caps(1), "capset: %s", strerror(errno));
	ck_assert_int_eq(blind, 0);
	ck_assert_int_eq(out.error, ENOENT);
	ck_assert_int_eq(polled, 1);
	expect_event(&event, ENOENT);
	end();
}
END_TEST

static void check_in_child(const void *unused, void *out)
{
	struct agentsh_ebpf_session_check now = {.size = sizeof(now)};
	int *ret = out;

	(void)unused;
	ret[0] = agentsh_ebpf_session_check(session, &now);
	agentsh_ebpf_session_detach(session);
	ret[1] = agentsh_ebpf_session_check(session, &now);
}

START_TEST(forked_child)
{
	int ret[2];

	begin();
	live_forked(0, check_in_child, NULL, ret, sizeof(ret));
	ck_assert_int_eq(ret[0], -EPERM);
	ck_assert_int_eq(ret[1], -EINVAL);
	/* the child has not stopped the parent's timer */
	detach_link();
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, LIVE_DEADLINE_MS), 1);
	end();
}
END_TEST

/* ---- many sessions -------------------------------------------------------- */

#define SESSIONS 150 /* more than one look has */

/* Each session has its turn within about one interval, and its own event, one per call. */
START_TEST(each_of_many)
{
	static struct live_cgroup cgroups[SESSIONS];
	static bool told[SESSIONS];
	struct agentsh_ebpf_event event;

	memset(told, 0, sizeof(told));
	begin();
	for (uint64_t i = 0; i < SESSIONS; i++) {
		live_cgroup_make(&cgroups[i], &above);
		live_attach(tracer, &cgroups[i], 100 + i);
	}
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 3 * INTERVAL_MS), 0);
	for (size_t i = 0; i < SESSIONS; i++)
		blinding_detach_link(&cgroups[i], BPF_CGROUP_INET4_CONNECT);
	for (size_t i = 0; i < SESSIONS; i++) {
		ck_assert_int_eq(agentsh_ebpf_read(tracer, &event, 1, LIVE_DEADLINE_MS), 1);
		ck_assert_uint_eq(event.kind, AGENTSH_EBPF_EVENT_SESSION_BLIND);
		ck_assert_uint_ge(event.session_id, 100);
		ck_assert(!told[event.session_id - 100]);
		told[event.session_id - 100] = true;
	}
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 3 * INTERVAL_MS), 0);
	live_close(tracer);
}
END_TEST

/* A host whose ring is never empty still looks. */
START_TEST(while_events_flow)
{
	struct live_worker worker;
	bool blind = false;

	begin();
	blinding_detach_link(&cgroup, BPF_CGROUP_UDP4_SENDMSG);
	live_worker_start(&worker, &cgroup);
	for (uint32_t i = 0; !blind && i < 2000; i++) {
		struct agentsh_ebpf_event events[10];
		int n;

		traffic_of(&worker, CONNECTS(.first = 1 + 50 * i, .count = 50));
		n = agentsh_ebpf_read(tracer, events, 10, 0);
		for (int k = 0; k < n; k++)
			blind |= events[k].kind == AGENTSH_EBPF_EVENT_SESSION_BLIND;
	}
	live_worker_stop(&worker);
	ck_assert(blind);
	end();
}
END_TEST

static int detach_in_callback(void *ctx, const struct agentsh_ebpf_event *event)
{
	live_on_event(ctx, event);
	LIVE_CHECK(!agentsh_ebpf_session_detach(session), "detach");
	return 0;
}

START_TEST(detach_for_the_event)
{
	const struct agentsh_ebpf_tracer_options options = {
		.check_interval_ms = INTERVAL_MS,
		.on_event = detach_in_callback,
	};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 7);
	detach_link();
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, LIVE_DEADLINE_MS), 1);
	ck_assert_int_eq(agentsh_ebpf_session_detach(session), -EINVAL);
	live_close(tracer);
}
END_TEST

START_TEST(never)
{
	const struct agentsh_ebpf_tracer_options options = {.check_interval_ms = UINT32_MAX};
	int fds = live_open_fds(), with;

	live_cgroup_make(&cgroup, NULL);
	fds = live_open_fds();
	tracer = live_open(&options);
	with = live_open_fds() - fds;
	session = live_attach(tracer, &cgroup, 7);
	detach_link();
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 5 * INTERVAL_MS), 0);
	ck_assert_int_eq(check().error, ENOLINK);
	live_close(tracer);
	tracer = live_open(NULL);
	ck_assert_int_eq(live_open_fds() - fds, with + 1); /* the timer */
	live_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blind");
	TCase *tcase = live_case(suite, "blind");

	tcase_add_loop_test(tcase, check_tells, 0, LIVE_COUNT(ways));
	tcase_add_loop_test(tcase, one_event, 0, LIVE_COUNT(ways) * LIVE_COUNT(how));
	tcase_add_loop_test(tcase, programs_above_and_below, 0, LIVE_COUNT(flags));
	tcase_add_test(tcase, programs_beside);
	tcase_add_test(tcase, frozen);
	tcase_add_test(tcase, stale_and_wrong);
	tcase_add_test(tcase, without_capabilities);
	tcase_add_test(tcase, forked_child);
	tcase_add_test(tcase, each_of_many);
	tcase_add_test(tcase, while_events_flow);
	tcase_add_test(tcase, detach_for_the_event);
	tcase_add_test(tcase, never);
	return live_main(suite);
}
