/* SPDX-License-Identifier: Apache-2.0 */
/* STRICT_SOCKETS: which kinds of sockets socket(2) refuses, and how that is reported. */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "expectation.h"
#include "io_uring_ops.h"
#include "rules.h"
#include "socket_kinds.h"

#define SOCK_PACKET_OLD 10 /* SOCK_PACKET: an AF_PACKET socket in spite of its family */
#define SESSION_ID 16
#define HOOKS (RULES_HOOKS | AGENTSH_EBPF_HOOK_SOCK_CREATE)
#define STRICT AGENTSH_EBPF_RULES_STRICT_SOCKETS
#define AUDIT AGENTSH_EBPF_RULES_AUDIT

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;
static struct live_worker worker;

static void begin_with(uint64_t missing, uint32_t flags)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = HOOKS,
		.required_hooks = HOOKS,
		.flags = flags,
		.simulate_missing = missing,
	};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, SESSION_ID);
	live_worker_start(&worker, NULL);
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
}

static void set(uint32_t flags)
{
	rules_set(session, rules_create(tracer, NULL, 0, ALLOW, flags));
}

/* ---- calls ---------------------------------------------------------------------- */

/* What the worker knows of its call. */
struct made {
	struct expectation expected; /* the task and the time */
	int error;
};

static void enter(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	live_cgroup_enter(&cgroup);
}

/* live_fn */
static void make(const void *arg, void *out)
{
	const struct kind *kind = arg;
	struct made *made = out;
	int fd;

	memset(made, 0, sizeof(*made));
	expectation_task(&made->expected);
	expectation_clocks(&made->expected, 0);
	fd = socket(kind->family, kind->type, kind->protocol);
	made->error = fd < 0 ? errno : 0;
	expectation_clocks(&made->expected, 1);
	if (fd >= 0)
		close(fd);
}

static struct made make_in_worker(const struct kind *kind)
{
	struct made made;

	live_worker_call(&worker, make, kind, sizeof(*kind), &made, sizeof(made));
	return made;
}

/* live_fn: what the kernel says of each kind without rules; errno values. */
static void make_all(const void *unused, void *errors)
{
	(void)unused;
	for (size_t i = 0; i < KINDS; i++) {
		struct kind kind = kind_of(i);
		int fd = socket(kind.family, kind.type | SOCK_CLOEXEC, kind.protocol);

		((int *)errors)[i] = fd < 0 ? errno : 0;
		if (fd >= 0)
			close(fd);
	}
}

/* ---- events -------------------------------------------------------------------- */

static void expect_event(const struct kind *kind, struct made *made, uint32_t verdict)
{
	const struct agentsh_ebpf_event *e = &live_seen.list[0];
	struct agentsh_ebpf_event *want = &made->expected.want;
	const char *differs;

	snprintf(made->expected.name, sizeof(made->expected.name), "socket(%d, %d, %d)",
		 kind->family, kind->type, kind->protocol);
	want->kind = AGENTSH_EBPF_EVENT_SOCKET_DENIED;
	want->session_id = SESSION_ID;
	want->family = (uint16_t)kind->family;
	want->socket_type = (uint16_t)(kind->type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK));
	/* the kernel replaces 0 by the protocol of the type */
	want->protocol = kind->protocol ? (uint16_t)kind->protocol : e->protocol;
	LIVE_CHECK(live_seen.count == 1, "%s: %zu events", made->expected.name, live_seen.count);
	differs = expectation_differs(&made->expected, e);
	LIVE_CHECK(!differs, "%s", differs);
	LIVE_CHECK(e->verdict == verdict && !e->rule_id && e->protocol && !e->ifindex &&
			   !e->name_id && !e->retransmits && !e->packets_sent,
		   "%s: verdict %u, rule %u, protocol %u", made->expected.name, e->verdict,
		   e->rule_id, e->protocol);
}

static void expect_counted(const struct agentsh_ebpf_stats *before, uint64_t denied,
			   uint64_t would_deny, uint64_t delivered)
{
	struct agentsh_ebpf_stats after = live_session_stats(session);

	ck_assert_uint_eq(after.denied - before->denied, denied);
	ck_assert_uint_eq(after.would_deny - before->would_deny, would_deny);
	ck_assert_uint_eq(after.allowed, before->allowed);
	ck_assert_uint_eq(after.delivered - before->delivered, delivered);
	ck_assert_uint_eq(after.lost + after.deduplicated, 0);
	ck_assert_uint_eq(after.packets_denied + after.packets_would_deny, 0);
}

/* ---- the truth table ------------------------------------------------------------ */

/* Makes a socket of each kind; returns how many were refused or would be. */
static size_t try_all(const int kernel[KINDS], uint32_t flags)
{
	size_t refused = 0;

	for (size_t i = 0; i < KINDS; i++) {
		struct agentsh_ebpf_stats before = live_session_stats(session);
		const struct kind kind = kind_of(i);
		bool denies = !kernel[i] && flags & STRICT && !kind_is_judged(&kind);
		bool audit = flags & AUDIT;
		struct made made;

		live_seen.count = 0;
		made = make_in_worker(&kind);
		live_drain(tracer);
		LIVE_CHECK(made.error == (denies && !audit ? EPERM : kernel[i]),
			   "socket(%d, %d, %d): %s", kind.family, kind.type, kind.protocol,
			   strerror(made.error));
		if (denies)
			expect_event(&kind, &made,
				     audit ? AGENTSH_EBPF_VERDICT_WOULD_DENY
					   : AGENTSH_EBPF_VERDICT_DENIED);
		else
			ck_assert_uint_eq(live_seen.count, 0);
		expect_counted(&before, denies && !audit, denies && audit, denies);
		refused += denies;
	}
	return refused;
}

START_TEST(each_kind)
{
	int kernel[KINDS];
	size_t refused;

	begin_with(0, 0);
	live_worker_call(&worker, make_all, NULL, 0, kernel, sizeof(kernel));
	live_worker_call(&worker, enter, NULL, 0, NULL, 0);
	set(STRICT);
	refused = try_all(kernel, STRICT);
	ck_assert_uint_ge(refused, 10); /* raw sockets, at least */
	set(STRICT | AUDIT);
	ck_assert_uint_eq(try_all(kernel, STRICT | AUDIT), refused);
	set(0);
	ck_assert_uint_eq(try_all(kernel, 0), 0);
	rules_set(session, NULL);
	ck_assert_uint_eq(try_all(kernel, 0), 0);
	live_worker_stop(&worker);
}
END_TEST

/* A rule that allows everything does not allow sockets that no rule could judge. */
START_TEST(refused_whatever_is_allowed)
{
	const struct agentsh_ebpf_rule all = {.family = AF_INET, .action = ALLOW, .rule_id = 5};
	const struct kind raw = {AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP};
	struct made made;

	begin_with(0, AGENTSH_EBPF_OPEN_UDP_NO_DEDUP);
	live_worker_call(&worker, enter, NULL, 0, NULL, 0);
	rules_set(session, rules_create(tracer, &all, 1, ALLOW, STRICT));
	made = make_in_worker(&raw);
	ck_assert_int_eq(made.error, EPERM);
	live_drain(tracer);
	expect_event(&raw, &made, AGENTSH_EBPF_VERDICT_DENIED);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(without_btf)
{
	const struct kind raw = {AF_INET6, SOCK_RAW, IPPROTO_UDP}, udp = {AF_INET6, SOCK_DGRAM, 0};
	struct made made;

	begin_with(1ULL << AGENTSH_EBPF_CHECK_CAP_PERFMON, 0);
	live_worker_call(&worker, enter, NULL, 0, NULL, 0);
	set(STRICT);
	ck_assert_int_eq(make_in_worker(&udp).error, 0);
	made = make_in_worker(&raw);
	ck_assert_int_eq(made.error, EPERM);
	live_drain(tracer);
	expectation_hide_task(&made.expected);
	expect_event(&raw, &made, AGENTSH_EBPF_VERDICT_DENIED);
	live_worker_stop(&worker);
}
END_TEST

/* ---- what is not refused --------------------------------------------------------- */

START_TEST(other_families)
{
	static const struct kind kinds[] = {
		{AF_UNIX, SOCK_STREAM, 0},
		{AF_UNIX, SOCK_SEQPACKET, 0},
		{AF_UNIX, SOCK_DGRAM, 0},
		{AF_PACKET, SOCK_RAW, 0},
		{AF_PACKET, SOCK_DGRAM, 0},
		{AF_INET, SOCK_PACKET_OLD, 0},
		{AF_NETLINK, SOCK_RAW, NETLINK_ROUTE},
		{AF_NETLINK, SOCK_DGRAM, NETLINK_GENERIC},
	};

	begin_with(0, 0);
	live_worker_call(&worker, enter, NULL, 0, NULL, 0);
	set(STRICT);
	for (size_t i = 0; i < LIVE_COUNT(kinds); i++)
		LIVE_CHECK(!make_in_worker(&kinds[i]).error, "socket(%d, %d, %d) was refused",
			   kinds[i].family, kinds[i].type, kinds[i].protocol);
	ck_assert_uint_eq(live_drain(tracer), 0);
	live_worker_stop(&worker);
}
END_TEST

/* ---- other callers ---------------------------------------------------------------- */

static void *make_raw(void *error)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);

	*(int *)error = fd < 0 ? errno : 0;
	return NULL;
}

/* live_fn: errno values of a second thread, and of io_uring. */
static void make_otherwise(const void *unused, void *out)
{
	int *errors = out;
	pthread_t thread;
	int fd;

	(void)unused;
	LIVE_CHECK(!pthread_create(&thread, NULL, make_raw, &errors[0]) &&
			   !pthread_join(thread, NULL),
		   "pthread_create");
	fd = uring_socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	errors[1] = fd < 0 ? -fd : 0;
}

START_TEST(threads_rings_and_child_cgroups)
{
	struct live_cgroup child;
	int errors[2];

	begin_with(0, 0);
	live_cgroup_make(&child, &cgroup);
	set(STRICT);
	live_worker_stop(&worker);
	live_worker_start(&worker, &child);
	live_worker_call(&worker, make_otherwise, NULL, 0, errors, sizeof(errors));
	live_worker_stop(&worker);
	ck_assert_int_eq(errors[0], EPERM);
	if (errors[1] == -URING_ABSENT || errors[1] == EINVAL)
		printf("not tried: socket() of io_uring: this kernel lacks it\n");
	else
		ck_assert_int_eq(errors[1], EPERM);
	ck_assert_uint_eq(live_drain(tracer), errors[1] == EPERM ? 2 : 1);
}
END_TEST

/* Both sessions count and report a socket that either refuses. */
START_TEST(nested_sessions)
{
	const struct kind raw = {AF_INET, SOCK_RAW, IPPROTO_ICMP};
	struct agentsh_ebpf_session *outer;
	struct live_cgroup child;

	begin_with(0, 0);
	outer = session;
	live_cgroup_make(&child, &cgroup);
	session = live_attach(tracer, &child, SESSION_ID + 1);
	live_worker_stop(&worker);
	live_worker_start(&worker, &child);
	rules_set(outer, rules_create(tracer, NULL, 0, ALLOW, STRICT));
	ck_assert_int_eq(make_in_worker(&raw).error, EPERM);
	ck_assert_uint_eq(live_session_stats(outer).denied, 1);
	ck_assert_uint_eq(live_session_stats(session).denied, 0);
	set(STRICT);
	ck_assert_int_eq(make_in_worker(&raw).error, EPERM);
	ck_assert_uint_eq(live_session_stats(outer).denied, 2);
	ck_assert_uint_eq(live_session_stats(session).denied, 1);
	rules_set(outer, NULL);
	ck_assert_int_eq(make_in_worker(&raw).error, EPERM);
	live_detach(session);
	ck_assert_int_eq(make_in_worker(&raw).error, 0);
	session = outer;
	live_drain(tracer);
	ck_assert_uint_eq(live_seen.count, 4);
	live_worker_stop(&worker);
}
END_TEST

/* The flag requires the hook. */
START_TEST(requires_its_hook)
{
	const struct agentsh_ebpf_tracer_options options = {.hooks = RULES_HOOKS,
							    .required_hooks = RULES_HOOKS};
	const struct agentsh_ebpf_rules_options strict = {.size = sizeof(strict), .flags = STRICT};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_rules *rules;

	ck_assert_int_eq(
		agentsh_ebpf_rules_create(live_open(&options), NULL, 0, &strict, &rules, &err),
		-EOPNOTSUPP);
	live_expect_message(&err, "STRICT_SOCKETS,SOCK_CREATE");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("strict sockets");
	TCase *tc = live_case(s, "strict");

	tcase_add_test(tc, each_kind);
	tcase_add_test(tc, refused_whatever_is_allowed);
	tcase_add_test(tc, without_btf);
	tcase_add_test(tc, other_families);
	tcase_add_test(tc, threads_rings_and_child_cgroups);
	tcase_add_test(tc, nested_sessions);
	tcase_add_test(tc, requires_its_hook);
	return live_main(s);
}
