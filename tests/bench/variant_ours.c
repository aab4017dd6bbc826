/* SPDX-License-Identifier: Apache-2.0 */
/* (d) The library as a host uses it: defaults, except hooks, ring and what the name says. */
#include <agentsh/ebpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util.h"
#include "variant.h"

enum { READ_SMALL = 32, READ_BATCH = 256 };

struct ours {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_rules *rules; /* of the session; may be NULL */
	_Alignas(64) struct agentsh_ebpf_event batch[READ_BATCH];
};

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	touch(event, event->timestamp_ns);
	return 0;
}

static void *open_with(size_t ring_size, struct agentsh_ebpf_tracer_options opts)
{
	struct ours *o = aligned_alloc(_Alignof(struct ours), sizeof(*o));
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	if (!o)
		die("out of memory");
	o->rules = NULL;
	opts.size = sizeof(opts);
	if (!opts.hooks)
		opts.hooks = AGENTSH_EBPF_HOOK_CONNECT;
	opts.ring_size = (uint32_t)ring_size;
	opts.on_event = on_event;
	if (agentsh_ebpf_tracer_open(&opts, &o->tracer, &err))
		die("tracer_open: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
	return o;
}

static void *ours_open(size_t ring_size)
{
	/* the program of the baseline does not share the ring */
	return open_with(ring_size, (struct agentsh_ebpf_tracer_options){.ring_quota = 100});
}

static void *ours_10ms_open(size_t ring_size)
{
	return open_with(ring_size, (struct agentsh_ebpf_tracer_options){.ring_quota = 100,
									 .wakeup_delay_us = 10000});
}

static void *ours_each_open(size_t ring_size)
{
	return open_with(ring_size,
			 (struct agentsh_ebpf_tracer_options){
				 .ring_quota = 100, .flags = AGENTSH_EBPF_OPEN_NO_MODERATION});
}

static void *ours_default_open(size_t ring_size)
{
	return open_with(ring_size, (struct agentsh_ebpf_tracer_options){0});
}

static void *open_hooks(size_t ring_size, uint32_t hooks)
{
	return open_with(ring_size,
			 (struct agentsh_ebpf_tracer_options){.ring_quota = 100, .hooks = hooks});
}

#define LIFECYCLE (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE)
#define TRACKED (LIFECYCLE | AGENTSH_EBPF_HOOK_UDP)
#define TRAFFIC (TRACKED | AGENTSH_EBPF_HOOK_TRAFFIC)
#define DNS (TRACKED | AGENTSH_EBPF_HOOK_DNS)
#define NAMES (DNS | AGENTSH_EBPF_HOOK_SERVER_NAME)

static void *ours_lifecycle_open(size_t ring_size)
{
	return open_hooks(ring_size, LIFECYCLE);
}

static void *ours_tracked_open(size_t ring_size)
{
	return open_hooks(ring_size, TRACKED);
}

static void *ours_traffic_open(size_t ring_size)
{
	return open_hooks(ring_size, TRAFFIC);
}

static void *ours_dns_open(size_t ring_size)
{
	return open_hooks(ring_size, DNS);
}

static void *ours_names_open(size_t ring_size)
{
	return open_hooks(ring_size, NAMES);
}

#define UDP (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP)

static void *ours_udp_open(size_t ring_size)
{
	return open_hooks(ring_size, UDP);
}

static void *ours_unruled_open(size_t ring_size)
{
	return open_hooks(ring_size, UDP | AGENTSH_EBPF_HOOK_RULES);
}

/* Rules for networks and hosts; the worker's destination matches none. */
static void *open_ruled(struct ours *o, size_t count, uint32_t flags)
{
	struct agentsh_ebpf_rule *rules = calloc(count, sizeof(*rules));
	const struct agentsh_ebpf_rules_options opts = {.size = sizeof(opts), .flags = flags};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	if (!rules)
		die("out of memory");
	for (size_t i = 0; i < count; i++) {
		uint32_t address = (uint32_t)i * 2654435761U;

		rules[i].family = AF_INET;
		rules[i].prefix_len = (uint8_t)(24 + i % 9);
		rules[i].protocol = IPPROTO_TCP;
		rules[i].first_port = 443;
		rules[i].rule_id = (uint32_t)i;
		rules[i].action = AGENTSH_EBPF_RULE_ALLOW;
		memcpy(rules[i].addr, &address, sizeof(address));
	}
	if (agentsh_ebpf_rules_create(o->tracer, rules, count, &opts, &o->rules, &err))
		die("rules_create: %s", err.message);
	free(rules);
	return o;
}

static void *ours_1000_rules_open(size_t ring_size)
{
	return open_ruled(ours_unruled_open(ring_size), 1000, 0);
}

static void *ours_10000_rules_open(size_t ring_size)
{
	return open_ruled(ours_unruled_open(ring_size), 10000, 0);
}

static void *ours_egress_open(size_t ring_size)
{
	return open_hooks(ring_size, UDP | AGENTSH_EBPF_HOOK_RULES | AGENTSH_EBPF_HOOK_EGRESS);
}

static void *ours_egress_1000_open(size_t ring_size)
{
	return open_ruled(ours_egress_open(ring_size), 1000, AGENTSH_EBPF_RULES_EGRESS);
}

static void *ours_egress_10000_open(size_t ring_size)
{
	return open_ruled(ours_egress_open(ring_size), 10000, AGENTSH_EBPF_RULES_EGRESS);
}

static void ours_attach(void *state, int cgroup_fd)
{
	struct ours *o = state;
	struct agentsh_ebpf_session_options opts = {
		.size = sizeof(opts),
		.session_id = 1,
		.rules = o->rules,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *session; /* detached when the tracer is closed */

	if (agentsh_ebpf_session_attach(o->tracer, cgroup_fd, &opts, &session, &err))
		die("attach: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
}

static long ours_consume(void *state, int timeout_ms)
{
	struct ours *o = state;

	return agentsh_ebpf_poll(o->tracer, timeout_ms);
}

static long read_consume(struct ours *o, size_t room, int timeout_ms)
{
	int n = agentsh_ebpf_read(o->tracer, o->batch, room, timeout_ms);

	for (int i = 0; i < n; i++)
		touch(&o->batch[i], o->batch[i].timestamp_ns);
	return n;
}

static long ours_read_consume(void *state, int timeout_ms)
{
	return read_consume(state, READ_BATCH, timeout_ms);
}

static long ours_read_small_consume(void *state, int timeout_ms)
{
	return read_consume(state, READ_SMALL, timeout_ms);
}

static uint64_t ours_lost(void *state)
{
	struct ours *o = state;
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

	if (agentsh_ebpf_tracer_stats(o->tracer, &stats))
		die("tracer_stats failed");
	return stats.lost;
}

static void ours_close(void *state)
{
	struct ours *o = state;

	agentsh_ebpf_tracer_close(o->tracer);
	free(o);
}

#define OURS(variable, text, open_function, consume_function)                                      \
	const struct variant variable = {                                                          \
		.name = (text),                                                                    \
		.open = (open_function),                                                           \
		.attach = ours_attach,                                                             \
		.consume = (consume_function),                                                     \
		.lost = ours_lost,                                                                 \
		.close = ours_close,                                                               \
	}

OURS(variant_ours, "(d) agentsh-ebpf", ours_open, ours_consume);
OURS(variant_ours_10ms, "(d) agentsh-ebpf, 10 ms", ours_10ms_open, ours_consume);
OURS(variant_ours_each, "(d) agentsh-ebpf, NO_MODERATION", ours_each_open, ours_consume);
OURS(variant_ours_read, "(d) agentsh-ebpf, read of 256", ours_open, ours_read_consume);
OURS(variant_ours_read_small, "(d) agentsh-ebpf, read of 32", ours_open, ours_read_small_consume);
OURS(variant_ours_default, "(d) agentsh-ebpf, ring_quota 25", ours_default_open, ours_consume);
OURS(variant_ours_lifecycle, "(d) agentsh-ebpf, LIFECYCLE", ours_lifecycle_open, ours_consume);
OURS(variant_ours_tracked, "(d) agentsh-ebpf, no TRAFFIC", ours_tracked_open, ours_consume);
OURS(variant_ours_traffic, "(t) agentsh-ebpf, TRAFFIC", ours_traffic_open, ours_consume);
OURS(variant_ours_dns, "(n) agentsh-ebpf, DNS", ours_dns_open, ours_consume);
OURS(variant_ours_names, "(m) agentsh-ebpf, DNS and SERVER_NAME", ours_names_open, ours_consume);
OURS(variant_ours_udp, "(d) agentsh-ebpf, no RULES", ours_udp_open, ours_consume);
OURS(variant_ours_unruled, "(u) agentsh-ebpf, RULES, no rules", ours_unruled_open, ours_consume);
OURS(variant_ours_1000_rules, "(r) agentsh-ebpf, 1,000 rules", ours_1000_rules_open, ours_consume);
OURS(variant_ours_egress, "(u) agentsh-ebpf, EGRESS, no rules", ours_egress_open, ours_consume);
OURS(variant_ours_egress_1000, "(r) agentsh-ebpf, EGRESS, 1,000 rules", ours_egress_1000_open,
     ours_consume);
OURS(variant_ours_egress_10000, "(s) agentsh-ebpf, EGRESS, 10,000 rules", ours_egress_10000_open,
     ours_consume);
OURS(variant_ours_10000_rules, "(s) agentsh-ebpf, 10,000 rules", ours_10000_rules_open,
     ours_consume);
