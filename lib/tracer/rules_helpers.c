/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for what many hosts leave open. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <agentsh/ebpf.h>

#define DNS_PORT 53

int agentsh_ebpf_rules_loopback(struct agentsh_ebpf_rule *rules, uint32_t rule_id)
{
	if (!rules)
		return -EFAULT;
	rules[0] = (struct agentsh_ebpf_rule){
		.addr = {127},
		.family = AF_INET,
		.prefix_len = 8,
		.rule_id = rule_id,
		.action = AGENTSH_EBPF_RULE_ALLOW,
	};
	rules[1] = (struct agentsh_ebpf_rule){
		.addr = {[15] = 1},
		.family = AF_INET6,
		.prefix_len = 128,
		.rule_id = rule_id,
		.action = AGENTSH_EBPF_RULE_ALLOW,
	};
	return 2;
}

int agentsh_ebpf_rules_resolver(struct agentsh_ebpf_rule *rules,
				const struct agentsh_ebpf_address *resolver, uint32_t rule_id)
{
	static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_TCP};

	if (!rules || !resolver)
		return -EFAULT;
	if ((resolver->family != AF_INET && resolver->family != AF_INET6) || resolver->ttl_s)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(protocols); i++) {
		rules[i] = (struct agentsh_ebpf_rule){
			.family = resolver->family,
			.prefix_len = resolver->family == AF_INET ? 32 : 128,
			.protocol = protocols[i],
			.first_port = resolver->port ? resolver->port : DNS_PORT,
			.rule_id = rule_id,
			.action = AGENTSH_EBPF_RULE_ALLOW,
		};
		memcpy(rules[i].addr, resolver->addr, sizeof(rules[i].addr));
	}
	return sizeof(protocols);
}
