/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that are listed for rules, and what a set says of a destination. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/clock.h"
#include "base/protocols.h"
#include "rules_listed.h"
#include "tracer/rules.h"
#include "tracer/tracer.h"

static struct agentsh_rules_key key_of(uint16_t family, const void *addr)
{
	uint8_t bytes[16] = {0};

	memcpy(bytes, addr, family == AF_INET ? 4 : 16);
	return agentsh_rules_key_of((uint8_t)family, bytes);
}

static struct agentsh_rules_listed kernel_key(const struct agentsh_ebpf_rules *rules,
					      const struct agentsh_rules_address *address)
{
	return (struct agentsh_rules_listed){
		.set = rules->first,
		.rule_id = address->rule_id,
		.high = address->key.high,
		.low = address->key.low,
	};
}

/* Tells the programs of an address. */
static int publish(const struct agentsh_ebpf_rules *rules,
		   const struct agentsh_rules_address *address)
{
	struct agentsh_rules_listed key = kernel_key(rules, address);

	if (!rules->first) /* synthetic */
		return 0;
	return bpf_map_update_elem(rules->tracer->programs.listed_fd, &key, &address->expires_ns,
				   BPF_ANY);
}

/* An address that the map does not have is no error. */
static int withdraw(const struct agentsh_ebpf_rules *rules,
		    const struct agentsh_rules_address *address)
{
	struct agentsh_rules_listed key = kernel_key(rules, address);
	int ret = 0;

	if (rules->first)
		ret = bpf_map_delete_elem(rules->tracer->programs.listed_fd, &key);
	return ret == -ENOENT ? 0 : ret;
}

int agentsh_rules_unlist_all(struct agentsh_ebpf_rules *rules)
{
	int ret = 0;

	while (!ret && rules->list.count) {
		struct agentsh_rules_address *last = &rules->list.items[rules->list.count - 1];

		ret = withdraw(rules, last);
		if (!ret)
			agentsh_rules_list_remove(&rules->list, last);
	}
	return ret;
}

/* The clock of the programs. */
static uint64_t now_of(const struct agentsh_ebpf_tracer *t)
{
	return agentsh_clock_ns(CLOCK_BOOTTIME) - (uint64_t)t->boottime_offset_ns;
}

/* Makes room in the map. Returns whether an address had expired. */
static bool drop_expired(struct agentsh_ebpf_tracer *t)
{
	uint64_t now = now_of(t);
	bool dropped = false;

	for (struct agentsh_ebpf_rules *rules = t->rules; rules; rules = rules->next) {
		for (uint32_t i = rules->list.count; i-- > 0;) {
			struct agentsh_rules_address *item = &rules->list.items[i];

			if (item->expires_ns > now || withdraw(rules, item))
				continue;
			agentsh_rules_list_remove(&rules->list, item);
			dropped = true;
		}
	}
	return dropped;
}

static bool is_full(int ret)
{
	return ret == -E2BIG || ret == -ENOSPC; /* without and with preallocated elements */
}

static int add(struct agentsh_ebpf_rules *rules, const struct agentsh_rules_address *address)
{
	struct agentsh_rules_address *found;
	int ret = agentsh_rules_list_reserve(&rules->list);

	if (ret)
		return ret;
	ret = publish(rules, address);
	if (is_full(ret) && drop_expired(rules->tracer))
		ret = publish(rules, address);
	if (ret)
		return is_full(ret) ? -ENOSPC : ret;
	found = agentsh_rules_list_find(&rules->list, address->rule_id, &address->key);
	if (found)
		found->expires_ns = address->expires_ns;
	else
		agentsh_rules_list_add(&rules->list, address);
	return 0;
}

static int remove_address(struct agentsh_ebpf_rules *rules,
			  const struct agentsh_rules_address *address)
{
	struct agentsh_rules_address *found =
		agentsh_rules_list_find(&rules->list, address->rule_id, &address->key);
	int ret = found ? withdraw(rules, found) : -ENOENT;

	if (!ret)
		agentsh_rules_list_remove(&rules->list, found);
	return ret;
}

static bool has_list(const struct agentsh_ebpf_rules *rules, uint32_t rule_id)
{
	for (size_t i = 0; i < rules->listed_ids_count; i++)
		if (rules->listed_ids[i] == rule_id)
			return true;
	return false;
}

int agentsh_ebpf_rules_address(struct agentsh_ebpf_rules *rules, uint32_t rule_id, uint16_t family,
			       const void *addr, uint64_t expires_boottime_ns)
{
	struct agentsh_rules_address address = {
		.rule_id = rule_id,
		.expires_ns = expires_boottime_ns,
	};
	int ret;

	if (!rules || !addr)
		return -EFAULT;
	if (family != AF_INET && family != AF_INET6)
		return -EINVAL;
	if (!agentsh_owner_is_caller(&rules->tracer->owner))
		return -EPERM;
	address.key = key_of(family, addr);
	pthread_mutex_lock(&rules->tracer->lock);
	if (!has_list(rules, rule_id))
		ret = -ENOENT;
	else if (expires_boottime_ns)
		ret = add(rules, &address);
	else
		ret = remove_address(rules, &address);
	pthread_mutex_unlock(&rules->tracer->lock);
	return ret;
}

static uint8_t class_of(uint16_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case PROTOCOL_MPTCP:
		return AGENTSH_RULE_TCP;
	case IPPROTO_UDP:
	case PROTOCOL_UDPLITE:
		return AGENTSH_RULE_UDP;
	default:
		return AGENTSH_RULE_OTHER;
	}
}

int agentsh_ebpf_rules_judge(const struct agentsh_ebpf_rules *rules,
			     const struct agentsh_ebpf_address *remote, uint16_t protocol,
			     uint32_t *rule_id)
{
	struct agentsh_rules_verdict verdict;
	int ret;

	if (!rules || !remote)
		return -EFAULT;
	if (remote->family != AF_INET && remote->family != AF_INET6)
		return -EINVAL;
	if (!agentsh_owner_is_caller(&rules->tracer->owner))
		return -EPERM;
	pthread_mutex_lock(&rules->tracer->lock);
	ret = agentsh_rules_judge(&rules->table, (uint8_t)remote->family, remote->addr,
				  class_of(protocol), remote->port, now_of(rules->tracer),
				  &verdict);
	pthread_mutex_unlock(&rules->tracer->lock);
	if (ret)
		return ret;
	if (rule_id)
		*rule_id = verdict.rule_id;
	if (!verdict.denied)
		return AGENTSH_EBPF_VERDICT_ALLOWED;
	return rules->flags & AGENTSH_EBPF_RULES_AUDIT ? AGENTSH_EBPF_VERDICT_WOULD_DENY
						       : AGENTSH_EBPF_VERDICT_DENIED;
}
