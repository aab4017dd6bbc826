/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "failing_ops.h"

struct live_cgroup op_cgroup;
bool op_synthetic;
bool op_without_btf;
uint32_t op_more_hooks;

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct host *h = ctx;

	h->seen += event->session_id == 7;
	return 0;
}

static int op_probe(struct host *h)
{
	static struct agentsh_ebpf_capabilities caps;

	(void)h;
	caps.size = sizeof(caps);
	if (agentsh_ebpf_capability_probe(&caps))
		return -1; /* it never fails: it reports what is forbidden */
	for (uint32_t i = 0; i < caps.count; i++)
		LIVE_CHECK(!strstr(caps.checks[i].detail, "Success"), "check %u: %s", i,
			   caps.checks[i].detail);
	LIVE_CHECK(caps.usable == !caps.reason[0], "usable %u: %s", caps.usable, caps.reason);
	return 0;
}

int op_open(struct host *h)
{
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.mode = op_synthetic ? AGENTSH_EBPF_MODE_SYNTHETIC : AGENTSH_EBPF_MODE_AUTO,
		.on_event = on_event,
		.event_ctx = h,
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP |
			 AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_RULES | op_more_hooks,
		.check_interval_ms = 100,
		.simulate_missing = op_without_btf ? 1ULL << AGENTSH_EBPF_CHECK_BTF : 0,
	};

	h->tracer = (void *)h; /* must be overwritten */
	return agentsh_ebpf_tracer_open(&options, &h->tracer, &h->err);
}

int op_attach(struct host *h)
{
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options),
		.session_id = 7,
	};

	h->session = (void *)h;
	return agentsh_ebpf_session_attach(h->tracer, op_cgroup.fd, &options, &h->session, &h->err);
}

int op_detach(struct host *h)
{
	int ret = agentsh_ebpf_session_detach(h->session);

	h->session = NULL;
	return ret;
}

static int op_poll(struct host *h)
{
	int ret = agentsh_ebpf_poll(h->tracer, 100);

	return ret < 0 ? ret : 0;
}

/* Long enough for a look at the session. A look that fails is no event. */
static int op_look(struct host *h)
{
	int ret = agentsh_ebpf_poll(h->tracer, 250);

	LIVE_CHECK(ret <= 0, "%d events", ret);
	return ret;
}

static int op_check(struct host *h)
{
	struct agentsh_ebpf_session_check check = {.size = sizeof(check)};
	int ret = agentsh_ebpf_session_check(h->session, &check);

	LIVE_CHECK(!check.error, "a call that fails is no loss: %d", check.error);
	return op_synthetic && ret == -EOPNOTSUPP ? 0 : ret;
}

static int op_read(struct host *h)
{
	int ret = agentsh_ebpf_read(h->tracer, h->events, 4, 100);

	for (int i = 0; i < ret; i++)
		on_event(h, &h->events[i]);
	return ret < 0 ? ret : 0;
}

static int create_rules(struct host *h, uint32_t on_exhaustion, struct agentsh_ebpf_rules **rules)
{
	const struct agentsh_ebpf_rule rule = {
		.action = AGENTSH_EBPF_RULE_ALLOW,
		.flags = AGENTSH_EBPF_RULE_LISTED,
	};
	const struct agentsh_ebpf_rules_options options = {
		.size = sizeof(options),
		.flags = AGENTSH_EBPF_RULES_STRICT_SOCKETS | AGENTSH_EBPF_RULES_EGRESS,
		.on_exhaustion = on_exhaustion,
	};

	*rules = (void *)h; /* must be overwritten */
	return agentsh_ebpf_rules_create(h->tracer, &rule, 1, &options, rules, &h->err);
}

/* The session has no rules afterwards, and the set is freed, whatever has failed. */
static void end_rules(struct host *h, struct agentsh_ebpf_rules *rules)
{
	LIVE_CHECK(!agentsh_ebpf_session_set_rules(h->session, NULL, NULL), "set_rules");
	LIVE_CHECK(!agentsh_ebpf_rules_free(rules), "rules_free");
}

static int op_rules(struct host *h)
{
	struct agentsh_ebpf_rules *rules;
	int ret = create_rules(h, 0, &rules);

	LIVE_CHECK(ret <= 0, "rules_create: %d", ret);
	if (!ret)
		ret = agentsh_ebpf_session_set_rules(h->session, rules, NULL);
	if (!ret)
		ret = agentsh_ebpf_rules_address(rules, 0, AF_INET, "abcd", UINT64_MAX);
	if (!ret)
		ret = agentsh_ebpf_rules_address(rules, 0, AF_INET, "abcd", 0);
	end_rules(h, rules);
	return ret;
}

/* A set that denies stands in, unless there is no memory for the handle. */
static int op_rules_or_deny(struct host *h)
{
	const struct agentsh_ebpf_address remote = {.family = AF_INET, .addr = {192, 0, 2, 1}};
	struct agentsh_ebpf_rules *rules;
	int ret = create_rules(h, AGENTSH_EBPF_RULE_DENY, &rules), verdict;

	if (ret < 0)
		return ret;
	LIVE_CHECK(ret == (h->err.code != 0) && (!ret || h->err.code == -ENOMEM),
		   "rules_create: %d, code %d, %s", ret, h->err.code, h->err.message);
	verdict = agentsh_ebpf_rules_judge(rules, &remote, 6, NULL);
	LIVE_CHECK(verdict == (ret ? AGENTSH_EBPF_VERDICT_DENIED : AGENTSH_EBPF_VERDICT_ALLOWED),
		   "verdict %d, created: %d", verdict, ret);
	LIVE_CHECK(!agentsh_ebpf_session_set_rules(h->session, rules, NULL), "set_rules");
	end_rules(h, rules);
	return 0;
}

int op_close(struct host *h)
{
	agentsh_ebpf_tracer_close(h->tracer);
	h->tracer = NULL;
	h->session = NULL;
	return 0;
}

#define ALL_OF_RULES (AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS)

const struct op ops[] = {
	{.name = "probe", .run = op_probe, .must_not_fail = true},
	{.name = "open", .run = op_open, .has_error = true, .more_hooks = ALL_OF_RULES},
	{.name = "attach",
	 .run = op_attach,
	 .opened = 1,
	 .has_error = true,
	 .more_hooks = ALL_OF_RULES},
	{.name = "poll", .run = op_poll, .opened = 1, .attached = 1, .events = 3},
	{.name = "poll, nothing there", .run = op_poll, .opened = 1, .attached = 1},
	{.name = "look", .run = op_look, .opened = 1, .attached = 1},
	{.name = "check", .run = op_check, .opened = 1, .attached = 1},
	{.name = "rules", .run = op_rules, .opened = 1, .attached = 1, .more_hooks = ALL_OF_RULES},
	{.name = "rules or deny",
	 .run = op_rules_or_deny,
	 .opened = 1,
	 .attached = 1,
	 .more_hooks = ALL_OF_RULES},
	{.name = "read", .run = op_read, .opened = 1, .attached = 1, .events = 3},
	{.name = "detach", .run = op_detach, .opened = 1, .attached = 1, .must_not_fail = true},
	{.name = "close", .run = op_close, .opened = 1, .attached = 1, .must_not_fail = true},
};
const size_t op_count = LIVE_COUNT(ops);
