/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares what agentsh_ebpf_coverage() claims on this kernel with the events of real calls
 * on each egress path.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "host_limits.h"
#include "kernel.h"
#include "live.h"
#include "egress_paths.h"

#define SESSION_ID 11
#define BIT(path) (1ULL << (path))

enum claim { SEEN, IMPLIED, UNSEEN };

static const uint32_t hook_sets[] = {
	AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP,
	AGENTSH_EBPF_HOOK_CONNECT,
	AGENTSH_EBPF_HOOK_UDP,
	AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |
		AGENTSH_EBPF_HOOK_ACCEPT,
	AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_TRAFFIC,
	AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |
		AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC,
	AGENTSH_EBPF_HOOK_UNIX,
	AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |
		AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS |
		AGENTSH_EBPF_HOOK_SERVER_NAME | AGENTSH_EBPF_HOOK_UNIX,
};

#define RULES_HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_RULES)

/* Tracers whose sessions can have rules. */
static const uint32_t rules_hooks[] = {
	RULES_HOOKS,
	RULES_HOOKS | AGENTSH_EBPF_HOOK_SOCK_CREATE,
	RULES_HOOKS | AGENTSH_EBPF_HOOK_EGRESS,
	RULES_HOOKS | AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS,
};

#define RULES_FLAGS                                                                                \
	(AGENTSH_EBPF_RULES_AUDIT | AGENTSH_EBPF_RULES_REFUSE |                                    \
	 AGENTSH_EBPF_RULES_STRICT_SOCKETS | AGENTSH_EBPF_RULES_EGRESS)
/* The size of the struct before it had enforced and rules_flags. */
#define OLD_SIZE offsetof(struct agentsh_ebpf_coverage, enforced)

/* The paths of sockets. Those behind them are about names: tests/live/test_names_*.c. */
#define SOCKET_PATHS (AGENTSH_EBPF_COVERAGE_EARLIER_CONNECTION + 1)

/* Whether the kernel lacks a hook of the set. */
static bool is_left_out(uint32_t hooks)
{
	if (!(hooks & AGENTSH_EBPF_HOOK_UNIX) || kernel_hooks_unix())
		return false;
	printf("left out: hooks 0x%x: the kernel is older than 6.7\n", hooks);
	return true;
}

static struct agentsh_ebpf_coverage coverage_of(const struct agentsh_ebpf_tracer *tracer,
						uint32_t rules_flags)
{
	struct agentsh_ebpf_coverage c = {.size = sizeof(c), .rules_flags = rules_flags};
	int ret = agentsh_ebpf_coverage(tracer, &c);

	LIVE_CHECK(!ret, "coverage: %d", ret);
	return c;
}

static enum claim claim_of(const struct agentsh_ebpf_coverage *c, uint32_t path)
{
	return c->seen & BIT(path) ? SEEN : c->implied & BIT(path) ? IMPLIED : UNSEEN;
}

static bool matches(const struct agentsh_ebpf_event *e, const struct egress_path *w,
		    const struct egress_attempt *t)
{
	if (w->domain == AF_UNIX)
		return e->session_id == SESSION_ID && e->family == AF_UNIX &&
		       e->kind == AGENTSH_EBPF_EVENT_UNIX_CONNECT && e->socket_cookie == t->cookie;
	return e->session_id == SESSION_ID && e->family == t->family && e->remote_port == t->port &&
	       !memcmp(e->remote_addr, t->addr, sizeof(t->addr)) &&
	       (w->flags & EGRESS_NO_COOKIE || e->socket_cookie == t->cookie);
}

/* Whether the event is of a connection's accepting end, which is in the session, too. */
static bool is_inbound(const struct agentsh_ebpf_event *e)
{
	return e->protocol == IPPROTO_TCP && e->flags & AGENTSH_EBPF_FLAG_INBOUND;
}

/* Whether the event tells that a socket begins to use the network. */
static bool is_attempt(uint32_t kind)
{
	return kind == AGENTSH_EBPF_EVENT_CONNECT || kind == AGENTSH_EBPF_EVENT_UDP_SEND ||
	       kind == AGENTSH_EBPF_EVENT_FIRST_DATA || kind == AGENTSH_EBPF_EVENT_UNANNOUNCED ||
	       kind == AGENTSH_EBPF_EVENT_UNIX_CONNECT;
}

/* Whether the row is about this event: about the attempt or about its outcome. */
static bool is_about(const struct egress_path *w, const struct egress_attempt *t,
		     const struct agentsh_ebpf_event *e)
{
	switch (w->number) {
	case AGENTSH_EBPF_COVERAGE_TCP_OUTCOME:
		return e->kind == AGENTSH_EBPF_EVENT_CONNECTED ||
		       e->kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED;
	case AGENTSH_EBPF_COVERAGE_DATAGRAM_CLOSE:
		return e->kind == AGENTSH_EBPF_EVENT_CLOSED && matches(e, w, t);
	case AGENTSH_EBPF_COVERAGE_TCP_ACCEPT:
		return e->kind == AGENTSH_EBPF_EVENT_ACCEPTED ||
		       (e->kind == AGENTSH_EBPF_EVENT_UNANNOUNCED && is_inbound(e));
	default:
		return is_attempt(e->kind) && matches(e, w, t);
	}
}

/* Counts the row's events from an index on; other attempts must not be among them. */
static size_t count_matching(const struct egress_path *w, const struct egress_attempt *t,
			     size_t from)
{
	size_t count = 0;

	for (size_t i = from; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		count += is_about(w, t, e);
		/* both ends of an earlier connection are in the session */
		LIVE_CHECK(matches(e, w, t) || !is_attempt(e->kind) || is_inbound(e) ||
				   w->place == FROM_BEFORE,
			   "%s, %s: an event of another row: %s to port %u",
			   agentsh_ebpf_coverage_name(w->number), w->name,
			   agentsh_ebpf_kind_name(e->kind), e->remote_port);
	}
	return count;
}

static void enter(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	live_cgroup_enter(&egress_cgroup);
}

/* Returns whether the row could be tried. */
static bool try_row(struct agentsh_ebpf_tracer *tracer, uint32_t row, enum claim claim)
{
	static const char *const words[] = {"seen", "implied", "unseen"};
	const struct egress_path *w = &egress_paths[row];
	bool before = w->place == FROM_BEFORE;
	struct agentsh_ebpf_session *session = NULL;
	struct live_worker worker;
	struct egress_attempt t;
	size_t early, prepared, after;

	memset(&t, 0, sizeof(t));
	live_seen.count = 0;
	egress_outside(row);
	if (!before)
		session = live_attach(tracer, &egress_cgroup, SESSION_ID);
	live_worker_start(&worker, NULL);
	egress_hand_over(row);
	/* outside: the kernel itself makes sockets in a new namespace */
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
	live_worker_call(&worker, egress_allow_ping, NULL, 0, NULL, 0);
	if (w->place != FROM_EARLIER)
		live_worker_call(&worker, enter, NULL, 0, NULL, 0);
	live_worker_call(&worker, egress_prepare, &row, sizeof(row), &t, sizeof(t));
	if (before)
		session = live_attach(tracer, &egress_cgroup, SESSION_ID);
	live_drain(tracer);
	early = count_matching(w, &t, 0);
	prepared = live_seen.count;
	if (!t.absent[0])
		live_worker_call(&worker, egress_go, &t, sizeof(t), &t, sizeof(t));
	live_worker_stop(&worker);
	live_drain(tracer);
	after = count_matching(w, &t, prepared);
	agentsh_ebpf_session_detach(session);
	live_drain(tracer);
	if (t.absent[0]) {
		egress_expect_absent(w, &t);
		return false;
	}
	LIVE_CHECK((after > 0) == (claim == SEEN) && (claim != IMPLIED || early > 0),
		   "%s, %s: claimed to be %s, but there were %zu events, and %zu before",
		   agentsh_ebpf_coverage_name(w->number), w->name, words[claim], after, early);
	return true;
}

static void try_all(uint32_t hooks)
{
	const struct agentsh_ebpf_tracer_options options = {.hooks = hooks,
							    .required_hooks = hooks};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	const struct agentsh_ebpf_coverage c = coverage_of(tracer, 0);
	uint64_t rows = 0, tried = 0;
	uint32_t absent = 0;

	live_cgroup_make(&egress_cgroup, NULL);
	for (uint32_t row = 0; row < egress_path_count; row++) {
		uint32_t number = egress_paths[row].number;

		rows |= BIT(number);
		if (try_row(tracer, row, claim_of(&c, number)))
			tried |= BIT(number);
		else
			absent++;
	}
	printf("hooks 0x%x: %u rows tried, %u not\n", hooks, egress_path_count - absent, absent);
	/* each path of a socket that coverage knows has a row */
	ck_assert_uint_eq(rows, BIT(SOCKET_PATHS) - 1);
	for (uint32_t i = 0; i < SOCKET_PATHS; i++)
		if (!(tried & BIT(i)))
			printf("no row of %s could be tried\n", agentsh_ebpf_coverage_name(i));
	ck_assert_uint_eq(live_tracer_stats(tracer).lost, 0);
}

START_TEST(as_claimed)
{
	if (!is_left_out(hook_sets[_i]))
		try_all(hook_sets[_i]);
}
END_TEST

/* Asks with a struct of this size, and with what a host writes into it. */
static void expect_filled(const struct agentsh_ebpf_tracer *tracer, uint32_t size,
			  const struct agentsh_ebpf_coverage *full)
{
	const size_t flags_end = offsetof(struct agentsh_ebpf_coverage, reserved);
	uint32_t known = size < sizeof(*full) ? size : sizeof(*full);
	struct agentsh_ebpf_coverage want = *full;
	unsigned char bytes[80];

	/* flags that do not fit are neither read nor written */
	if (size < flags_end)
		want.enforced = coverage_of(tracer, 0).enforced;
	memset(bytes, 0xa5, sizeof(bytes));
	memcpy(bytes, &size, sizeof(size));
	if (size >= flags_end)
		memcpy(bytes + offsetof(struct agentsh_ebpf_coverage, rules_flags),
		       &full->rules_flags, sizeof(full->rules_flags));
	ck_assert_int_eq(agentsh_ebpf_coverage(tracer, (void *)bytes), 0);
	if (size < flags_end && size > offsetof(struct agentsh_ebpf_coverage, rules_flags))
		want.rules_flags = 0;
	ck_assert_mem_eq(bytes + 4, (const char *)&want + 4, known - 4);
	for (uint32_t i = known; i < sizeof(bytes); i++)
		ck_assert_uint_eq(bytes[i], i < size ? 0 : 0xa5);
}

/* Each path is in exactly one mask, and structs of every size are filled correctly. */
START_TEST(masks)
{
	const int sets = LIVE_COUNT(hook_sets);
	const uint32_t hooks = _i < sets ? hook_sets[_i] : rules_hooks[_i - sets];
	const struct agentsh_ebpf_tracer_options options = {.hooks = hooks};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_coverage c;

	if (is_left_out(hooks))
		return;
	tracer = live_open(&options);
	c = coverage_of(tracer, RULES_FLAGS & ~AGENTSH_EBPF_RULES_AUDIT);
	ck_assert_uint_eq(OLD_SIZE, 32);
	ck_assert_uint_eq(c.count, AGENTSH_EBPF_COVERAGE_QUIC_SERVER_NAME + 1);
	ck_assert_uint_eq(c.seen | c.implied | c.unseen, BIT(c.count) - 1);
	ck_assert_uint_eq(c.seen & c.implied, 0);
	ck_assert_uint_eq(c.seen & c.unseen, 0);
	ck_assert_uint_eq(c.implied & c.unseen, 0);
	ck_assert_uint_ne(c.seen, 0);
	ck_assert_uint_eq(c.reserved, 0);
	ck_assert_uint_eq(!c.enforced, !(hooks & AGENTSH_EBPF_HOOK_RULES));
	for (uint32_t size = 4; size <= sizeof(c) + 16; size++)
		expect_filled(tracer, size, &c);
}
END_TEST

/* Flags that the library does not know are an error, unless the struct has no room for them. */
START_TEST(unknown_rules_flags)
{
	struct agentsh_ebpf_tracer *tracer = live_open(NULL);
	struct agentsh_ebpf_coverage c = {.size = sizeof(c), .count = 7};

	for (uint32_t bit = 0; bit < 32; bit++) {
		c.size = sizeof(c);
		c.count = 7;
		c.rules_flags = 1U << bit;
		ck_assert_int_eq(agentsh_ebpf_coverage(tracer, &c),
				 c.rules_flags & RULES_FLAGS ? 0 : -EINVAL);
		ck_assert_uint_eq(c.rules_flags, 1U << bit);
		ck_assert_uint_eq(c.count == 7, !(c.rules_flags & RULES_FLAGS));
	}
	c.size = OLD_SIZE;
	c.count = 7;
	ck_assert_int_eq(agentsh_ebpf_coverage(tracer, &c), 0);
	ck_assert_uint_gt(c.count, 7);
	ck_assert_uint_eq(c.rules_flags, 1U << 31);
}
END_TEST

/* A flag without its hook changes nothing, and AUDIT enforces nothing. */
START_TEST(enforced_by_flags)
{
	const struct agentsh_ebpf_tracer_options options = {.hooks = rules_hooks[_i]};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	const uint64_t calls = BIT(AGENTSH_EBPF_COVERAGE_TCP_CONNECT) |
			       BIT(AGENTSH_EBPF_COVERAGE_UDP_CONNECT) |
			       BIT(AGENTSH_EBPF_COVERAGE_UDP_SEND);
	const uint64_t raw = BIT(AGENTSH_EBPF_COVERAGE_RAW);
	const uint64_t earlier = BIT(AGENTSH_EBPF_COVERAGE_EARLIER_CONNECTION);
	const uint64_t plain = coverage_of(tracer, 0).enforced;
	bool strict = rules_hooks[_i] & AGENTSH_EBPF_HOOK_SOCK_CREATE;
	bool egress = rules_hooks[_i] & AGENTSH_EBPF_HOOK_EGRESS;

	ck_assert_uint_eq(plain & calls, calls);
	ck_assert_uint_eq(plain & (raw | earlier | BIT(AGENTSH_EBPF_COVERAGE_PACKET)), 0);
	for (uint32_t flags = 0; flags <= RULES_FLAGS; flags++) {
		const struct agentsh_ebpf_coverage c = coverage_of(tracer, flags);
		bool is_strict = strict && flags & AGENTSH_EBPF_RULES_STRICT_SOCKETS;
		bool is_egress = egress && flags & AGENTSH_EBPF_RULES_EGRESS;

		if (flags & AGENTSH_EBPF_RULES_AUDIT) {
			ck_assert_uint_eq(c.enforced, 0);
			continue;
		}
		ck_assert_uint_eq(c.enforced & plain, plain);
		ck_assert_uint_eq(!!(c.enforced & raw), is_strict || is_egress);
		ck_assert_uint_eq(!!(c.enforced & earlier), is_egress);
		if (!is_strict && !is_egress)
			ck_assert_uint_eq(c.enforced, plain);
		ck_assert_uint_eq(c.enforced & ~(BIT(c.count) - 1), 0);
	}
}
END_TEST

static void without_btf(const void *unused, void *out)
{
	(void)unused;
	LIVE_CHECK(!host_hide("/sys/kernel/btf"), "hide: %s", strerror(errno));
	*(struct agentsh_ebpf_coverage *)out = coverage_of(live_open(NULL), 0);
}

/* The kernel runs the same hooks whether its BTF can be read or not. */
START_TEST(the_same_without_btf)
{
	const struct agentsh_ebpf_coverage with = coverage_of(live_open(NULL), 0);
	struct agentsh_ebpf_coverage without;
	struct live_worker worker;

	live_worker_start(&worker, NULL);
	live_worker_call(&worker, without_btf, NULL, 0, &without, sizeof(without));
	live_worker_stop(&worker);
	ck_assert_mem_eq(&with, &without, sizeof(with));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("coverage");
	TCase *tcase = live_case(suite, "coverage");

	tcase_add_loop_test(tcase, masks, 0, LIVE_COUNT(hook_sets) + LIVE_COUNT(rules_hooks));
	tcase_add_test(tcase, unknown_rules_flags);
	tcase_add_loop_test(tcase, enforced_by_flags, 0, LIVE_COUNT(rules_hooks));
	tcase_add_test(tcase, the_same_without_btf);
	tcase_add_loop_test(tcase, as_claimed, 0, LIVE_COUNT(hook_sets));
	return live_main(suite);
}
