/* SPDX-License-Identifier: Apache-2.0 */
/* Sets that replace each other, expire and change while processes of the session call. */
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "rules.h"

#define NETWORK 0x7f080800U /* of the addresses in rule_for() */
#define DESTINATIONS 64
#define SETS 300 /* that replace each other */
#define CALLERS 2

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;

static struct agentsh_ebpf_rule rule_for(uint32_t last_byte, uint16_t action, uint32_t rule_id)
{
	return (struct agentsh_ebpf_rule){
		.addr = {127, 8, 8, (uint8_t)last_byte},
		.family = AF_INET,
		.prefix_len = 32,
		.rule_id = rule_id,
		.action = action,
	};
}

static struct agentsh_ebpf_session *attach_with(struct agentsh_ebpf_rules *rules)
{
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options),
		.rules = rules,
	};

	return live_attach_with(tracer, &cgroup, &options);
}

static void begin(uint32_t rules_bytes)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS,
		.required_hooks = RULES_HOOKS,
		.rules_bytes = rules_bytes,
		.ring_size = 1 << 22,
		.ring_quota = 100,
	};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
}

static int connect_by(struct live_worker *caller, uint32_t last_byte)
{
	return rules_connect(caller, NETWORK | last_byte);
}

/* ---- replacement under traffic --------------------------------------------- */

struct shared {
	_Atomic bool stop;
	_Atomic uint64_t calls;
};

static struct shared *shared;

struct calls {
	uint64_t allowed, denied;
};

static void connect_until_stopped(const void *unused, void *out)
{
	struct calls calls = {0};

	(void)unused;
	for (uint32_t i = 0; !shared->stop; i = (i + 1) % DESTINATIONS) {
		int error = rules_connect_here(NETWORK | i);

		LIVE_CHECK(!error || error == EPERM, "connect: %s", strerror(error));
		calls.allowed += !error;
		calls.denied += error == EPERM;
		atomic_fetch_add(&shared->calls, 1);
	}
	*(struct calls *)out = calls;
}

/* A set in which rule 256 * number + i decides on destination i: even sets allow odd destinations.
 */
static struct agentsh_ebpf_rules *numbered(uint32_t number)
{
	struct agentsh_ebpf_rule list[DESTINATIONS];

	for (uint32_t i = 0; i < DESTINATIONS; i++)
		list[i] = rule_for(i, (i + number) % 2 ? ALLOW : DENY, 256 * number + i);
	return rules_create(tracer, list, DESTINATIONS, number % 3 ? ALLOW : DENY, 0);
}

static void check_numbered(const struct agentsh_ebpf_event *e)
{
	uint32_t number = e->rule_id / 256, last_byte = e->rule_id % 256;

	LIVE_CHECK(number && last_byte == e->remote_addr[3] &&
			   e->verdict == ((last_byte + number) % 2 ? AGENTSH_EBPF_VERDICT_ALLOWED
								   : AGENTSH_EBPF_VERDICT_DENIED),
		   "destination %u has verdict %u of rule %u of set %u", e->remote_addr[3],
		   e->verdict, last_byte, number);
}

static void check_denied(const struct agentsh_ebpf_event *e)
{
	ck_assert_uint_eq(e->verdict, AGENTSH_EBPF_VERDICT_DENIED);
}

/* Reads and checks all events, however many a busy machine lets the callers make. */
static uint64_t drain_and(void (*check)(const struct agentsh_ebpf_event *e))
{
	uint64_t count = 0;
	int ret;

	do {
		live_seen.count = 0;
		ret = agentsh_ebpf_poll(tracer, 0);
		LIVE_CHECK(ret >= 0, "poll: %s", strerror(-ret));
		for (size_t i = 0; i < live_seen.count; i++)
			check(&live_seen.list[i]);
		count += live_seen.count;
	} while (ret);
	return count;
}

/* Room for three sets, so that each is written where a former one was in force. */
START_TEST(each_call_is_judged_by_one_whole_set)
{
	struct live_worker callers[CALLERS];
	struct agentsh_ebpf_rules *now, *next;
	struct calls calls[CALLERS];
	struct agentsh_ebpf_stats stats;
	uint64_t events = 0;

	begin(3 * 4096);
	now = numbered(1);
	session = attach_with(now);
	for (int i = 0; i < CALLERS; i++) {
		live_worker_start(&callers[i], &cgroup);
		live_worker_send(&callers[i], connect_until_stopped, NULL, 0, sizeof(calls[i]));
	}
	for (uint32_t number = 2; number < SETS; number++) {
		uint64_t before = shared->calls;

		next = numbered(number);
		ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, next, NULL), 0);
		ck_assert_int_eq(agentsh_ebpf_rules_free(now), 0);
		now = next;
		while (shared->calls < before + 5)
			;
		events += drain_and(check_numbered);
	}
	shared->stop = true;
	for (int i = 0; i < CALLERS; i++) {
		live_worker_receive(&callers[i], &calls[i], sizeof(calls[i]));
		live_worker_stop(&callers[i]);
	}
	events += drain_and(check_numbered);
	stats = live_session_stats(session);
	ck_assert_uint_eq(stats.lost, 0);
	ck_assert_uint_eq(events, shared->calls);
	ck_assert_uint_eq(stats.allowed, calls[0].allowed + calls[1].allowed);
	ck_assert_uint_eq(stats.denied, calls[0].denied + calls[1].denied);
	ck_assert_uint_gt(stats.allowed, 0);
	ck_assert_uint_gt(stats.denied, 0);
}
END_TEST

/* A process that calls all the time never makes a call that the rules do not judge. */
START_TEST(rules_hold_from_the_first_call)
{
	struct live_worker caller;
	struct agentsh_ebpf_rules *deny;
	struct calls calls;

	begin(0);
	deny = rules_create(tracer, NULL, 0, DENY, 0);
	live_worker_start(&caller, &cgroup);
	live_worker_send(&caller, connect_until_stopped, NULL, 0, sizeof(calls));
	for (int i = 0; i < 30; i++) {
		uint64_t before;

		session = attach_with(deny);
		before = shared->calls;
		while (shared->calls < before + 10)
			;
		ck_assert_int_eq(agentsh_ebpf_session_detach(session), 0);
		ck_assert_uint_gt(drain_and(check_denied), 0);
	}
	shared->stop = true;
	live_worker_receive(&caller, &calls, sizeof(calls));
	live_worker_stop(&caller);
	ck_assert_int_eq(agentsh_ebpf_rules_free(deny), 0);
}
END_TEST

/* ---- time -------------------------------------------------------------------- */

/* Sleeps until this time of CLOCK_BOOTTIME. */
static void sleep_until(uint64_t boottime_ns)
{
	const struct timespec until = {
		.tv_sec = (time_t)(boottime_ns / 1000000000),
		.tv_nsec = (long)(boottime_ns % 1000000000),
	};

	while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* The first call after the time is refused. A call before it can only be tried in time. */
START_TEST(rules_expire)
{
	struct agentsh_ebpf_rule rule = rule_for(1, ALLOW, 7);
	struct live_worker caller;
	struct agentsh_ebpf_rules *rules;
	int in_time = 0;

	begin(0);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&caller, &cgroup);
	for (int i = 0; i < 20; i++) {
		uint64_t end = live_clock_ns(CLOCK_BOOTTIME) + 20000000;
		int error;

		rule.expires_boottime_ns = end;
		rules = rules_create(tracer, &rule, 1, DENY, 0);
		ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, rules, NULL), 0);
		error = connect_by(&caller, 1);
		if (live_clock_ns(CLOCK_BOOTTIME) < end) {
			ck_assert_int_eq(error, 0);
			in_time++;
		}
		sleep_until(end);
		ck_assert_int_eq(connect_by(&caller, 1), EPERM);
		ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, NULL, NULL), 0);
		ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
	}
	ck_assert_int_gt(in_time, 0);
	live_worker_stop(&caller);
}
END_TEST

/* ---- listed addresses ---------------------------------------------------------- */

static int list_address(struct agentsh_ebpf_rules *rules, uint32_t rule_id, uint32_t last_byte,
			uint64_t expires_ns)
{
	const uint8_t addr[4] = {127, 8, 8, (uint8_t)last_byte};

	return agentsh_ebpf_rules_address(rules, rule_id, AF_INET, addr, expires_ns);
}

START_TEST(listed_addresses)
{
	struct agentsh_ebpf_rule list[] = {
		rule_for(3, DENY, 1),
		rule_for(0, ALLOW, 2),
	};
	struct live_worker caller;
	struct agentsh_ebpf_rules *rules, *others;
	uint64_t end;

	begin(0);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&caller, &cgroup);
	list[1].prefix_len = 8;
	list[1].flags = AGENTSH_EBPF_RULE_LISTED;
	rules = rules_create(tracer, list, 2, DENY, 0);
	others = rules_create(tracer, list, 2, DENY, 0);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, rules, NULL), 0);
	ck_assert_int_eq(connect_by(&caller, 1), EPERM);

	/* holds for the retry at once, and for no other address, rule or set */
	ck_assert_int_eq(list_address(others, 2, 1, UINT64_MAX), 0);
	ck_assert_int_eq(connect_by(&caller, 1), EPERM);
	ck_assert_int_eq(list_address(rules, 2, 1, UINT64_MAX), 0);
	ck_assert_int_eq(connect_by(&caller, 1), 0);
	ck_assert_int_eq(connect_by(&caller, 2), EPERM);
	ck_assert_int_eq(list_address(rules, 1, 2, UINT64_MAX), -ENOENT); /* not such a rule */
	ck_assert_int_eq(list_address(rules, 2, 1, 0), 0);
	ck_assert_int_eq(connect_by(&caller, 1), EPERM);
	ck_assert_int_eq(list_address(rules, 2, 1, 0), -ENOENT);

	/* an earlier rule that denies the address decides */
	ck_assert_int_eq(list_address(rules, 2, 3, UINT64_MAX), 0);
	ck_assert_int_eq(connect_by(&caller, 3), EPERM);

	end = live_clock_ns(CLOCK_BOOTTIME) + 20000000;
	ck_assert_int_eq(list_address(rules, 2, 4, end), 0);
	sleep_until(end);
	ck_assert_int_eq(connect_by(&caller, 4), EPERM);
	ck_assert_int_eq(list_address(rules, 2, 4, UINT64_MAX), 0);
	ck_assert_int_eq(connect_by(&caller, 4), 0);
	ck_assert_uint_eq(live_session_stats(session).allowed, 2);
	live_worker_stop(&caller);
}
END_TEST

/* A set that is made where a freed one was does not know the addresses of that set. */
START_TEST(listed_addresses_end_with_their_set)
{
	struct agentsh_ebpf_rule rule = rule_for(0, ALLOW, 2);
	struct live_worker caller;

	begin(4096);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&caller, &cgroup);
	rule.prefix_len = 0;
	rule.flags = AGENTSH_EBPF_RULE_LISTED;
	for (int i = 0; i < 50; i++) {
		struct agentsh_ebpf_rules *rules = rules_create(tracer, &rule, 1, DENY, 0);

		ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, rules, NULL), 0);
		ck_assert_int_eq(connect_by(&caller, 1), EPERM);
		ck_assert_int_eq(list_address(rules, 2, 1, UINT64_MAX), 0);
		ck_assert_int_eq(connect_by(&caller, 1), 0);
		ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, NULL, NULL), 0);
		ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
	}
	live_worker_stop(&caller);
}
END_TEST

static void begin_shared(void)
{
	shared->stop = false;
	shared->calls = 0;
}

int main(void)
{
	Suite *s = suite_create("rules that change");
	TCase *tc = live_case(s, "change");

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	tcase_add_checked_fixture(tc, begin_shared, NULL);
	tcase_add_test(tc, each_call_is_judged_by_one_whole_set);
	tcase_add_test(tc, rules_hold_from_the_first_call);
	tcase_add_test(tc, rules_expire);
	tcase_add_test(tc, listed_addresses);
	tcase_add_test(tc, listed_addresses_end_with_their_set);
	return live_main(s);
}
