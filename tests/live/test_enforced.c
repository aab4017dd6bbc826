/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares what agentsh_ebpf_coverage() claims to be enforced with real calls on each egress path,
 * in a session whose rules deny everything: an enforced path lets nothing out, and every other one
 * does.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "egress_paths.h"
#include "outgoing.h"
#include "rules.h"

#define SESSION_ID 12
#define BIT(path) (1ULL << (path))
#define ALL_HOOKS (RULES_HOOKS | AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS)
#define STRICT AGENTSH_EBPF_RULES_STRICT_SOCKETS
#define EGRESS AGENTSH_EBPF_RULES_EGRESS
#define AUDIT AGENTSH_EBPF_RULES_AUDIT
#ifndef AF_SMC
#define AF_SMC 43
#endif

static const struct {
	uint32_t hooks, flags;
} sets[] = {
	{ALL_HOOKS, 0},	     {ALL_HOOKS, STRICT},
	{ALL_HOOKS, EGRESS}, {ALL_HOOKS, STRICT | EGRESS},
	{ALL_HOOKS, AUDIT},  {ALL_HOOKS, AUDIT | STRICT | EGRESS},
	{RULES_HOOKS, 0},
};

/* Whether no row of the path is tried here. */
static bool is_no_way_out(uint32_t number)
{
	switch (number) {
	case AGENTSH_EBPF_COVERAGE_TCP_OUTCOME:
	case AGENTSH_EBPF_COVERAGE_DATAGRAM_CLOSE:
		/* what is said of a connection later; the connection itself has rows */
	case AGENTSH_EBPF_COVERAGE_TCP_ACCEPT:
		/* rules do not judge inbound connections */
	case AGENTSH_EBPF_COVERAGE_RXRPC:
		/* the kernel's UDP socket belongs to the cgroup that was first to use it */
		return true;
	default:
		return false;
	}
}

static uint64_t enforced_by(const struct agentsh_ebpf_tracer *tracer, uint32_t flags)
{
	struct agentsh_ebpf_coverage c = {.size = sizeof(c), .rules_flags = flags};
	int ret = agentsh_ebpf_coverage(tracer, &c);

	LIVE_CHECK(!ret, "coverage: %d", ret);
	return c.enforced;
}

static struct agentsh_ebpf_tracer *open_tracer(uint32_t hooks)
{
	const struct agentsh_ebpf_tracer_options options = {.hooks = hooks,
							    .required_hooks = hooks};

	return live_open_kept(&options);
}

static struct agentsh_ebpf_session *attach(struct agentsh_ebpf_tracer *tracer,
					   struct agentsh_ebpf_rules *rules)
{
	struct agentsh_ebpf_session *session = live_attach(tracer, &egress_cgroup, SESSION_ID);

	rules_set(session, rules);
	return session;
}

static void enter(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	live_cgroup_enter(&egress_cgroup);
}

/*
 * Whether the row, if nothing refuses it, sends packets to its destination at once, here. A socket
 * that was passed in belongs to another network namespace.
 */
static bool sends_packets(const struct egress_path *w)
{
	bool connects = w->how == GO_CONNECT || w->how == GO_URING_CONNECT;

	if (w->place == FROM_PARENT || w->place == FROM_MESSAGE)
		return false;
	if (w->domain != AF_INET && w->domain != AF_INET6 && w->domain != AF_SMC)
		return false;
	return !connects || w->type != SOCK_DGRAM;
}

static bool got_out(const struct egress_path *w, const struct egress_attempt *t, uint32_t packets)
{
	if (sends_packets(w))
		return packets > 0;
	return !t->error || (w->flags & EGRESS_ANY_ERROR && t->error != EPERM);
}

/* Makes the calls of the row; returns the number of packets that have left. */
static uint32_t attempt(struct agentsh_ebpf_tracer *tracer, struct agentsh_ebpf_rules *rules,
			uint32_t row, struct egress_attempt *t)
{
	const struct egress_path *w = &egress_paths[row];
	struct agentsh_ebpf_session *session = NULL;
	struct agentsh_ebpf_address to = {0};
	struct live_worker worker;
	uint32_t packets = 0;

	egress_outside(row);
	if (w->place != FROM_BEFORE)
		session = attach(tracer, rules);
	live_worker_start(&worker, NULL);
	egress_hand_over(row);
	/* outside: the kernel itself makes sockets in a new namespace */
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
	live_worker_call(&worker, egress_allow_ping, NULL, 0, NULL, 0);
	live_worker_call(&worker, outgoing_begin, NULL, 0, NULL, 0);
	if (w->place != FROM_EARLIER)
		live_worker_call(&worker, enter, NULL, 0, NULL, 0);
	live_worker_call(&worker, egress_prepare, &row, sizeof(row), t, sizeof(*t));
	if (w->place == FROM_BEFORE)
		session = attach(tracer, rules);
	to.family = t->family;
	to.port = t->port;
	memcpy(to.addr, t->addr, sizeof(to.addr));
	live_worker_call(&worker, outgoing_count_call, &to, sizeof(to), &packets, sizeof(packets));
	if (!t->error)
		live_worker_call(&worker, egress_go, t, sizeof(*t), t, sizeof(*t));
	live_worker_call(&worker, outgoing_count_call, &to, sizeof(to), &packets, sizeof(packets));
	live_worker_stop(&worker);
	live_detach(session);
	return packets;
}

/* Returns whether the row could be tried. */
static bool try_row(struct agentsh_ebpf_tracer *tracer, struct agentsh_ebpf_rules *rules,
		    uint32_t row, bool enforced)
{
	const struct egress_path *w = &egress_paths[row];
	struct egress_attempt t;
	uint32_t packets;

	memset(&t, 0, sizeof(t));
	packets = attempt(tracer, rules, row, &t);
	if (t.absent[0] && t.error != EPERM) {
		egress_expect_absent(w, &t);
		return false;
	}
	LIVE_CHECK(got_out(w, &t, packets) != enforced,
		   "%s, %s: claimed to be %s, but %u packets left, and the call ended with \"%s\"",
		   agentsh_ebpf_coverage_name(w->number), w->name,
		   enforced ? "enforced" : "not enforced", packets, strerror(t.error));
	return true;
}

START_TEST(as_claimed)
{
	struct agentsh_ebpf_tracer *tracer = open_tracer(sets[_i].hooks);
	const uint64_t enforced = enforced_by(tracer, sets[_i].flags);
	const struct agentsh_ebpf_stats before = live_tracer_stats(tracer);
	struct agentsh_ebpf_stats after;
	struct agentsh_ebpf_rules *rules;
	uint32_t tried = 0;

	live_cgroup_make(&egress_cgroup, NULL);
	rules = rules_create(tracer, NULL, 0, DENY, sets[_i].flags);
	for (uint32_t row = 0; row < egress_path_count; row++) {
		uint32_t number = egress_paths[row].number;

		if (is_no_way_out(number))
			ck_assert(!(enforced & BIT(number)));
		else
			tried += try_row(tracer, rules, row, enforced & BIT(number));
	}
	printf("hooks 0x%x, flags %u: %u of %u rows tried, enforced 0x%llx\n", sets[_i].hooks,
	       sets[_i].flags, tried, egress_path_count, (unsigned long long)enforced);
	after = live_tracer_stats(tracer);
	if (sets[_i].flags & AUDIT)
		ck_assert_uint_eq(before.packets_denied + before.denied,
				  after.packets_denied + after.denied);
	ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
}
END_TEST

/* More flags never enforce less; flags that the tracer does not support have no effect. */
START_TEST(flags_of_the_set)
{
	struct agentsh_ebpf_tracer *all = open_tracer(ALL_HOOKS), *few = open_tracer(RULES_HOOKS);
	uint64_t plain = enforced_by(all, 0);

	ck_assert_uint_ne(plain, 0);
	ck_assert_uint_eq(plain, enforced_by(few, 0));
	ck_assert_uint_eq(plain, enforced_by(few, STRICT | EGRESS));
	ck_assert_uint_eq(plain & ~enforced_by(all, STRICT), 0);
	ck_assert_uint_eq(plain & ~enforced_by(all, EGRESS), 0);
	ck_assert_uint_eq(enforced_by(all, STRICT | EGRESS),
			  enforced_by(all, STRICT) | enforced_by(all, EGRESS));
	for (uint32_t flags = AUDIT; flags < 16; flags += 2)
		ck_assert_uint_eq(enforced_by(all, flags), 0);
}
END_TEST

START_TEST(nothing_without_rules)
{
	ck_assert_uint_eq(enforced_by(live_open(NULL), 0), 0);
	ck_assert_uint_eq(enforced_by(live_open(NULL), STRICT | EGRESS), 0);
}
END_TEST

/* Names are no ways out. */
START_TEST(paths_of_sockets_only)
{
	uint64_t enforced = enforced_by(open_tracer(ALL_HOOKS), STRICT | EGRESS);

	ck_assert_uint_eq(enforced >> (AGENTSH_EBPF_COVERAGE_EARLIER_CONNECTION + 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("enforced");
	TCase *tcase = live_case(suite, "enforced");

	egress_may_be_refused = true;
	tcase_add_test(tcase, flags_of_the_set);
	tcase_add_test(tcase, nothing_without_rules);
	tcase_add_test(tcase, paths_of_sockets_only);
	tcase_add_loop_test(tcase, as_claimed, 0, LIVE_COUNT(sets));
	return live_main(suite);
}
