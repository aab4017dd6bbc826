/* SPDX-License-Identifier: Apache-2.0 */
#include "rules_packets.h"

#include <string.h>

const uint64_t packets_missing[2] = {0, 1ULL << AGENTSH_EBPF_CHECK_CAP_PERFMON};

struct agentsh_ebpf_tracer *packets_tracer;
struct agentsh_ebpf_session *packets_session;
struct live_cgroup packets_cgroup;
struct far_sockets packets_far;

static struct agentsh_ebpf_stats mark;

void packets_open(uint64_t missing, uint32_t more_hooks)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = PACKETS_HOOKS | more_hooks,
		.required_hooks = PACKETS_HOOKS | more_hooks,
		.simulate_missing = missing,
	};

	live_cgroup_make(&packets_cgroup, NULL);
	packets_tracer = live_open_kept(&options);
	packets_session = live_attach(packets_tracer, &packets_cgroup, PACKETS_SESSION);
	packets_mark();
}

void packets_begin(uint64_t missing)
{
	packets_open(missing, 0);
	far_start(&packets_far, &packets_cgroup);
}

void packets_end(void)
{
	far_stop(&packets_far);
	live_detach(packets_session);
}

void packets_default(uint32_t action, uint32_t flags)
{
	rules_set(packets_session, rules_create(packets_tracer, NULL, 0, action, EGRESS | flags));
}

void packets_rule(struct agentsh_ebpf_rule rule, uint32_t default_action, uint32_t flags)
{
	rules_set(packets_session,
		  rules_create(packets_tracer, &rule, 1, default_action, EGRESS | flags));
}

struct agentsh_ebpf_rule packets_rule_for(const struct connection_address *at, uint16_t action,
					  uint8_t protocol)
{
	const struct agentsh_ebpf_address remote = far_remote(at);
	struct agentsh_ebpf_rule rule = {
		.family = remote.family,
		.prefix_len = remote.family == AF_INET ? 32 : 128,
		.protocol = protocol,
		.action = action,
		.first_port = remote.port,
		.rule_id = PACKETS_RULE,
	};

	memcpy(rule.addr, remote.addr, sizeof(rule.addr));
	return rule;
}

void packets_mark(void)
{
	live_drain(packets_tracer);
	live_seen.count = 0;
	mark = live_session_stats(packets_session);
}

uint64_t packets_denied(void)
{
	return live_session_stats(packets_session).packets_denied - mark.packets_denied;
}

uint64_t packets_would_deny(void)
{
	return live_session_stats(packets_session).packets_would_deny - mark.packets_would_deny;
}

uint64_t packets_deduplicated(void)
{
	return live_session_stats(packets_session).deduplicated - mark.deduplicated;
}

const struct agentsh_ebpf_event *packets_event(const struct connection_address *to, size_t *count)
{
	const struct agentsh_ebpf_address remote = far_remote(to);
	const struct agentsh_ebpf_event *first = NULL;

	*count = 0;
	live_drain(packets_tracer);
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (e->kind != AGENTSH_EBPF_EVENT_PACKET_DENIED || e->family != remote.family ||
		    e->remote_port != remote.port ||
		    memcmp(e->remote_addr, remote.addr, sizeof(remote.addr)) != 0)
			continue;
		if (!first)
			first = e;
		++*count;
	}
	return first;
}

size_t packets_events(void)
{
	live_drain(packets_tracer);
	return connection_count(AGENTSH_EBPF_EVENT_PACKET_DENIED);
}
