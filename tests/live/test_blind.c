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

#define BIT(check) (1ULL << AGENTSH_EBPF_CHECK_##check)

static void expect_sight(void)
{
	struct agentsh_ebpf_session_check now = blinding_check();

	ck_assert_int_eq(now.error, 0);
	ck_assert_uint_eq(now.hooks, agentsh_ebpf_tracer_hooks(blinding_tracer));
	ck_assert_uint_eq(now.wanted & BIT(CONNECT4), BIT(CONNECT4));
	ck_assert_uint_eq(now.attached, now.wanted);
	ck_assert_uint_eq(now.effective, now.wanted);
}

/* ---- what blinds --------------------------------------------------------- */

static void detach_link(void)
{
	blinding_detach_link(&blinding_cgroup, BPF_CGROUP_INET4_CONNECT);
}

static void detach_sock_ops(void)
{
	blinding_detach_link(&blinding_cgroup, BPF_CGROUP_SOCK_OPS);
}

static bool update_refused;

static void update_link(void)
{
	update_refused = !blinding_update_link(&blinding_cgroup, BPF_CGROUP_UDP6_SENDMSG);
}

static void clear_state(void)
{
	blinding_clear_state(&blinding_cgroup, BPF_CGROUP_INET4_CONNECT);
}

static void remove_cgroup(void)
{
	LIVE_CHECK(!rmdir(blinding_cgroup.path), "rmdir: %s", strerror(errno));
}

static void make_again(void)
{
	remove_cgroup();
	LIVE_CHECK(!mkdir(blinding_cgroup.path, 0755), "mkdir: %s", strerror(errno));
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
	{"the session state was cleared", clear_state, ESTALE, BLINDING_HOOKS, 0, 0},
	{"the cgroup was removed", remove_cgroup, ENOENT, BLINDING_HOOKS, ~0ULL, ~0ULL},
	{"the cgroup was removed and made again", make_again, ENOENT, BLINDING_HOOKS, ~0ULL, ~0ULL},
};

/* Ends the test if the kernel refused the update of the link: the session must still see all. */
static bool still_sees(void)
{
	if (!update_refused)
		return false;
	update_refused = false;
	expect_sight();
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, 3 * BLINDING_INTERVAL_MS), 0);
	blinding_end();
	return true;
}

START_TEST(check_tells)
{
	struct agentsh_ebpf_session_check now;
	uint32_t hooks;

	blinding_begin();
	hooks = agentsh_ebpf_tracer_hooks(blinding_tracer);
	expect_sight();
	ways[_i].blind();
	if (still_sees())
		return;
	now = blinding_check();
	ck_assert_msg(now.error == ways[_i].error, "%s: %d", ways[_i].what, now.error);
	ck_assert_uint_eq(now.hooks, hooks & ~ways[_i].lost);
	ck_assert_uint_eq(now.attached, now.wanted & ~ways[_i].detached);
	ck_assert_uint_eq(now.effective, now.wanted & ~ways[_i].ineffective);
	blinding_end();
}
END_TEST

static void expect_event(const struct agentsh_ebpf_event *event, int error)
{
	struct agentsh_ebpf_event expected = {
		.kind = AGENTSH_EBPF_EVENT_SESSION_BLIND,
		.timestamp_ns = event->timestamp_ns,
		.session_id = 7,
		.cgroup_id = blinding_cgroup.id,
		.error = error,
	};

	ck_assert_uint_gt(event->timestamp_ns, 0);
	ck_assert_mem_eq(event, &expected, sizeof(expected));
}

/* A poll that waits for ever returns for the event. */
static void by_poll(struct agentsh_ebpf_event *event)
{
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, LIVE_DEADLINE_MS), 1);
	ck_assert_uint_eq(live_seen.count, 1);
	*event = live_seen.list[0];
}

static void by_read(struct agentsh_ebpf_event *event)
{
	ck_assert_int_eq(agentsh_ebpf_read(blinding_tracer, event, 1, LIVE_DEADLINE_MS), 1);
}

/* A host that waits only on the descriptor, and then calls poll without waiting. */
static void by_descriptor(struct agentsh_ebpf_event *event)
{
	struct pollfd fd = {.fd = agentsh_ebpf_fd(blinding_tracer), .events = POLLIN};
	int ret = 0;

	for (int i = 0; !ret && i < 10; i++) {
		ck_assert_int_eq(poll(&fd, 1, LIVE_DEADLINE_MS), 1);
		ret = agentsh_ebpf_poll(blinding_tracer, 0);
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

	blinding_begin();
	ways[way].blind();
	if (still_sees())
		return;
	how[(size_t)_i % LIVE_COUNT(how)](&event);
	expect_event(&event, ways[way].error);
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, 3 * BLINDING_INTERVAL_MS), 0);
	ck_assert_uint_eq(live_session_stats(blinding_session).delivered, 0);
	ck_assert_uint_eq(live_tracer_stats(blinding_tracer).delivered, 0);
	blinding_end();
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
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, 3 * BLINDING_INTERVAL_MS), 0);
	live_worker_start(&worker, &blinding_cgroup);
	traffic_of(&worker, CONNECTS(.first = 1, .count = 3));
	live_worker_stop(&worker);
	live_drain(blinding_tracer);
	ck_assert_uint_eq(seen_of_kind(AGENTSH_EBPF_EVENT_CONNECT), seen + 3);
	ck_assert_uint_eq(seen_of_kind(AGENTSH_EBPF_EVENT_SESSION_BLIND), 0);
}

static const uint32_t flags[] = {0, BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI};

/* A program attached later, above or below, runs beside those of the session. */
START_TEST(programs_above_and_below)
{
	struct live_cgroup below;

	blinding_begin();
	attach_other(&blinding_above, flags[_i]);
	expect_no_event();
	live_cgroup_make(&below, &blinding_cgroup);
	attach_other(&below, flags[_i]);
	expect_no_event();
	live_cgroup_remove(&below);
	expect_no_event();
	blinding_end();
}
END_TEST

/* On the session's own cgroup the kernel admits only programs that allow others. */
START_TEST(programs_beside)
{
	blinding_begin();
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_lt(
			host_attach_other(blinding_cgroup.fd, BPF_CGROUP_INET4_CONNECT, flags[i]),
			0);
		expect_no_event();
	}
	ck_assert(!blinding_detach_program(&blinding_cgroup, BPF_CGROUP_INET4_CONNECT));
	attach_other(&blinding_cgroup, BPF_F_ALLOW_MULTI);
	expect_no_event();
	blinding_end();
}
END_TEST

static void write_file(const char *name, const char *text)
{
	char path[sizeof(blinding_cgroup.path) + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", blinding_cgroup.path, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	LIVE_CHECK(fd >= 0 && write(fd, text, strlen(text)) > 0, "%s: %s", path, strerror(errno));
	close(fd);
}

START_TEST(frozen)
{
	blinding_begin();
	write_file("cgroup.freeze", "1");
	expect_sight();
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, 2 * BLINDING_INTERVAL_MS), 0);
	write_file("cgroup.freeze", "0");
	expect_no_event();
	blinding_end();
}
END_TEST

/* ---- which calls --------------------------------------------------------- */

START_TEST(stale_and_wrong)
{
	struct agentsh_ebpf_session_check out = {.size = 3};

	blinding_begin();
	ck_assert_int_eq(agentsh_ebpf_session_check(blinding_session, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_check(NULL, &out), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_check(blinding_session, &out), -EINVAL);
	out.size = sizeof(out);
	ck_assert_int_eq(agentsh_ebpf_session_detach(blinding_session), 0);
	ck_assert_int_eq(agentsh_ebpf_session_check(blinding_session, &out), -EINVAL);
	ck_assert_uint_eq(out.wanted, 0);
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, 2 * BLINDING_INTERVAL_MS), 0);
	live_close(blinding_tracer);
}
END_TEST

/* A process without capabilities still sees what needs none, and calls nothing else a loss. */
START_TEST(without_capabilities)
{
	struct agentsh_ebpf_session_check out = {.size = sizeof(out)};
	int healthy, polled, blind;
	struct agentsh_ebpf_event event;

	blinding_begin();
	LIVE_CHECK(!host_switch_caps(0), "capset: %s", strerror(errno));
	healthy = agentsh_ebpf_session_check(blinding_session, &out);
	polled = agentsh_ebpf_poll(blinding_tracer, 3 * BLINDING_INTERVAL_MS);
	LIVE_CHECK(!host_switch_caps(1), "capset: %s", strerror(errno));
	ck_assert_int_eq(healthy, -EPERM);
	ck_assert_int_eq(polled, 0);
	remove_cgroup();
	LIVE_CHECK(!host_switch_caps(0), "capset: %s", strerror(errno));
	blind = agentsh_ebpf_session_check(blinding_session, &out);
	polled = agentsh_ebpf_read(blinding_tracer, &event, 1, LIVE_DEADLINE_MS);
	LIVE_CHECK(!host_switch_caps(1), "capset: %s", strerror(errno));
	ck_assert_int_eq(blind, 0);
	ck_assert_int_eq(out.error, ENOENT);
	ck_assert_int_eq(polled, 1);
	expect_event(&event, ENOENT);
	blinding_end();
}
END_TEST

static void check_in_child(const void *unused, void *out)
{
	struct agentsh_ebpf_session_check now = {.size = sizeof(now)};
	int *ret = out;

	(void)unused;
	ret[0] = agentsh_ebpf_session_check(blinding_session, &now);
	agentsh_ebpf_session_detach(blinding_session);
	ret[1] = agentsh_ebpf_session_check(blinding_session, &now);
}

START_TEST(forked_child)
{
	int ret[2];

	blinding_begin();
	live_forked(0, check_in_child, NULL, ret, sizeof(ret));
	ck_assert_int_eq(ret[0], -EPERM);
	ck_assert_int_eq(ret[1], -EINVAL);
	/* the child has not stopped the parent's timer */
	detach_link();
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, LIVE_DEADLINE_MS), 1);
	blinding_end();
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
	return live_main(suite);
}
