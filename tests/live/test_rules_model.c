/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sets of rules in a session, and calls to random destinations: each call has the verdict of
 * the plain model, in what the call returns and in its event. RULES_SETS=N is the number of sets,
 * RULES_SEED=N the seed of the random numbers, which is printed. Nothing has a route in the network
 * namespace of the calls, so no packet is sent.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rules.h"
#include "rules_random.h"

#define SETS 1000
#define RULES_AT_MOST 2000
#define DESTINATIONS 200
#define HOUR_NS (3600ULL * 1000000000)

struct call {
	struct destination to;
	bool sends; /* else connects */
};

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;
static struct live_worker worker;
static bool ping_is_judged;

static struct agentsh_rule model[RULES_AT_MOST];
static struct agentsh_ebpf_rule rules[RULES_AT_MOST];
static uint64_t seed;
static uint64_t verdicts[4], matched, refused;

/* ---- one set --------------------------------------------------------------------- */

/* The rule of the model as a host writes it. What a host cannot write changes in the model. */
static struct agentsh_ebpf_rule from_model(struct agentsh_rule *of, uint64_t now_ns)
{
	static const uint8_t protocols[] = {
		[AGENTSH_RULE_TCP] = IPPROTO_TCP,
		[AGENTSH_RULE_UDP] = IPPROTO_UDP,
		[AGENTSH_RULE_OTHER] = AGENTSH_EBPF_RULE_OTHER_PROTOCOLS,
	};
	struct agentsh_ebpf_rule rule = {
		.family = of->family,
		.prefix_len = of->prefix,
		.protocol = protocols[of->protocol],
		.action = of->action == AGENTSH_RULE_DENY ? DENY : ALLOW,
		.flags = of->listed ? AGENTSH_EBPF_RULE_LISTED : 0,
		.rule_id = of->rule_id,
		.first_port = of->first_port,
	};

	if (!of->last_port) /* no ports mean every port */
		of->last_port = UINT16_MAX;
	if (of->protocol != AGENTSH_RULE_OTHER)
		rule.last_port = of->last_port;
	if (of->expires_ns)
		rule.expires_boottime_ns = of->expires_ns > RULES_NOW ? now_ns + HOUR_NS : 1;
	memcpy(rule.addr, of->addr, sizeof(rule.addr));
	return rule;
}

/* A set of this many rules. So many of them may be conditional that another one is needed. */
static struct agentsh_ebpf_rules *make_set(size_t count, uint8_t action, uint32_t flags)
{
	const struct agentsh_ebpf_rules_options options = {
		.size = sizeof(options),
		.flags = flags,
		.default_action = action == AGENTSH_RULE_DENY ? DENY : ALLOW,
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_rules *set;
	bool conditional;
	int ret;

	do {
		uint64_t now_ns = live_clock_ns(CLOCK_BOOTTIME);

		conditional = rules_random_set(model, count);
		for (size_t i = 0; i < count; i++)
			rules[i] = from_model(&model[i], now_ns);
		ret = agentsh_ebpf_rules_create(tracer, rules, count, &options, &set, &err);
	} while (ret == -ENOSPC && conditional);
	LIVE_CHECK(!ret, "seed %" PRIu64 ", %zu rules: %d %s", seed, count, ret, err.message);
	return set;
}

/* Lists the address for the rules for which the model says so, and as expired for others. */
static void list_address(struct agentsh_ebpf_rules *set, size_t count, const struct destination *to)
{
	struct agentsh_rules_key key = model_key(to);

	for (size_t i = 0; i < count; i++) {
		uint32_t rule_id = model[i].rule_id;
		bool listed = model[i].listed && model_listed(rule_id, &key);

		if (!listed && !(model[i].listed && rule_id & 1))
			continue;
		LIVE_CHECK(!agentsh_ebpf_rules_address(set, rule_id, to->family, to->addr,
						       listed ? UINT64_MAX : 1),
			   "rules_address");
	}
}

/* ---- calls ----------------------------------------------------------------------- */

/* Such an address is judged as the one that the kernel takes in its place: see live-rules. */
static bool is_unspecified(const struct destination *to)
{
	struct agentsh_rules_key key = model_key(to);

	return !key.high && (!key.low || key.low == (uint64_t)AGENTSH_RULES_IPV4 << 32);
}

static struct call random_call(size_t count)
{
	struct call call = {0};

	do
		call.to = rules_random_destination(model, count);
	while (is_unspecified(&call.to));
	if (call.to.protocol == AGENTSH_RULE_OTHER && !ping_is_judged)
		call.to.protocol = AGENTSH_RULE_TCP;
	/* the kernel refuses port 0 before the program runs */
	call.sends = call.to.protocol == AGENTSH_RULE_UDP && call.to.port && call.to.port & 1;
	return call;
}

static int make_socket(const struct destination *to)
{
	switch (to->protocol) {
	case AGENTSH_RULE_TCP:
		return socket(to->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	case AGENTSH_RULE_UDP:
		return socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	default:
		return socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC,
			      to->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	}
}

/* Returns 0 or an errno value. */
static int go(const struct call *call)
{
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(call->to.port)};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(call->to.port)};
	bool ipv4 = call->to.family == AF_INET;
	const struct sockaddr *to = ipv4 ? (const void *)&to4 : (const void *)&to6;
	socklen_t size = ipv4 ? sizeof(to4) : sizeof(to6);
	int fd = make_socket(&call->to), error;

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	memcpy(&to4.sin_addr, call->to.addr, 4);
	memcpy(&to6.sin6_addr, call->to.addr, 16);
	if (call->sends)
		error = sendto(fd, "x", 1, 0, to, size) < 0 ? errno : 0;
	else
		error = connect(fd, to, size) ? errno : 0;
	close(fd);
	return error;
}

/* live_fn: makes the calls. */
static void go_all(const void *calls, void *errors)
{
	for (size_t i = 0; i < DESTINATIONS; i++)
		((int *)errors)[i] = go(&((const struct call *)calls)[i]);
}

/* live_fn: a network namespace in which lo is down, and everybody may make ping sockets. */
static void enter_netns(const void *unused, void *ping)
{
	FILE *file;

	(void)unused;
	LIVE_CHECK(!unshare(CLONE_NEWNET), "unshare: %s", strerror(errno));
	file = fopen("/proc/sys/net/ipv4/ping_group_range", "w");
	LIVE_CHECK(file && fputs("0 2147483647", file) >= 0 && !fclose(file), "ping_group_range");
	*(int *)ping = go(&(struct call){
		.to = {.family = AF_INET, .addr = {192, 0, 2, 1}, .protocol = AGENTSH_RULE_OTHER}});
}

/* ---- comparison -------------------------------------------------------------------- */

static void expect(const struct call *call, size_t count, uint8_t action, uint32_t flags, int error,
		   const struct agentsh_ebpf_event *e, const struct agentsh_ebpf_rules *set)
{
	static const uint16_t protocols[] = {
		[AGENTSH_RULE_TCP] = IPPROTO_TCP,
		[AGENTSH_RULE_UDP] = IPPROTO_UDP,
		[AGENTSH_RULE_OTHER] = IPPROTO_ICMP,
	};
	const struct destination *to = &call->to;
	struct agentsh_ebpf_address remote = {.family = to->family, .port = to->port};
	struct agentsh_rules_verdict want = model_judge(model, count, action, to, RULES_NOW);
	uint32_t verdict = !want.denied ? AGENTSH_EBPF_VERDICT_ALLOWED
			   : flags	? AGENTSH_EBPF_VERDICT_WOULD_DENY
					: AGENTSH_EBPF_VERDICT_DENIED;
	uint32_t rule_id = want.matched ? want.rule_id : 0, judged_id;
	int judged;

	memcpy(remote.addr, to->addr, sizeof(remote.addr));
	judged = agentsh_ebpf_rules_judge(set, &remote, protocols[to->protocol], &judged_id);
	LIVE_CHECK(e->verdict == verdict && e->rule_id == rule_id && judged == (int)verdict &&
			   judged_id == rule_id &&
			   (error == EPERM) == (verdict == AGENTSH_EBPF_VERDICT_DENIED),
		   "seed %" PRIu64 ", %zu rules, family %u, address %02x%02x%02x%02x…, protocol "
		   "%u, port %u: error %d, verdict %u of rule %u, judged %d of rule %u, not %u of "
		   "rule %u",
		   seed, count, to->family, to->addr[0], to->addr[1], to->addr[2], to->addr[3],
		   to->protocol, to->port, error, e->verdict, e->rule_id, judged, judged_id,
		   verdict, rule_id);
	verdicts[verdict]++;
	matched += want.matched;
	refused += error == EPERM;
}

static void try_set(size_t count, uint8_t action, uint32_t flags)
{
	struct agentsh_ebpf_rules *set = make_set(count, action, flags);
	static struct call calls[DESTINATIONS];
	int errors[DESTINATIONS];

	for (size_t i = 0; i < DESTINATIONS; i++) {
		calls[i] = random_call(count);
		list_address(set, count, &calls[i].to);
	}
	rules_set(session, set);
	live_seen.count = 0;
	live_worker_call(&worker, go_all, calls, sizeof(calls), errors, sizeof(errors));
	live_drain(tracer);
	LIVE_CHECK(live_seen.count == DESTINATIONS, "seed %" PRIu64 ", %zu rules: %zu events", seed,
		   count, live_seen.count);
	for (size_t i = 0; i < DESTINATIONS; i++)
		expect(&calls[i], count, action, flags, errors[i], &live_seen.list[i], set);
	rules_set(session, NULL);
	LIVE_CHECK(!agentsh_ebpf_rules_free(set), "rules_free");
}

/* ---- the test ---------------------------------------------------------------------- */

/* The value of a variable of the environment, or another one if it is not set. */
static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void begin(void)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS,
		.required_hooks = RULES_HOOKS,
		.flags = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP,
	};
	int unused;

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, enter_netns, NULL, 0, &unused, sizeof(unused));
	ping_is_judged = live_drain(tracer) == 1;
	if (!ping_is_judged)
		printf("this kernel runs no program for connect() of ping sockets\n");
}

START_TEST(calls_have_the_verdict_of_the_model)
{
	uint64_t sets = from_environment("RULES_SETS", SETS);

	seed = from_environment("RULES_SEED", live_clock_ns(CLOCK_REALTIME));
	printf("%" PRIu64 " sets, RULES_SEED=%" PRIu64 "\n", sets, seed);
	rules_random_seed(seed);
	begin();
	for (uint64_t i = 0; i < sets; i++) {
		/* most sets are small, because there is more in them that can be wrong */
		size_t count = i % 4 ? (size_t)(i % 60) : (size_t)(i * 7919 % (RULES_AT_MOST + 1));

		try_set(i == 4 ? RULES_AT_MOST : count, i & 1,
			i % 5 == 2 ? AGENTSH_EBPF_RULES_AUDIT : 0);
	}
	live_worker_stop(&worker);
	printf("%" PRIu64 " allowed, %" PRIu64 " denied, %" PRIu64 " would be denied; %" PRIu64
	       " by a rule\n",
	       verdicts[AGENTSH_EBPF_VERDICT_ALLOWED], verdicts[AGENTSH_EBPF_VERDICT_DENIED],
	       verdicts[AGENTSH_EBPF_VERDICT_WOULD_DENY], matched);
	for (int i = AGENTSH_EBPF_VERDICT_ALLOWED; i <= AGENTSH_EBPF_VERDICT_WOULD_DENY; i++)
		ck_assert_uint_gt(verdicts[i], sets * DESTINATIONS / 100);
	ck_assert_uint_gt(matched, sets * DESTINATIONS / 4);
	ck_assert_uint_eq(refused, verdicts[AGENTSH_EBPF_VERDICT_DENIED]);
	ck_assert_uint_eq(live_session_stats(session).allowed + live_session_stats(session).denied +
				  live_session_stats(session).would_deny,
			  sets * DESTINATIONS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules against a model");
	TCase *tc = live_case(suite, "model");

	tcase_add_test(tc, calls_have_the_verdict_of_the_model);
	return live_main(suite);
}
