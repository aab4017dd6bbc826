/* SPDX-License-Identifier: Apache-2.0 */
#include "names/node.h"

#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

#define TEXT_MAX 255

/* Modulo 2^32, which is enough to tell processes with the same number apart. */
static uint32_t ms_of(uint64_t ns)
{
	return (uint32_t)(ns / 1000000);
}

struct agentsh_name_node *agentsh_node_new(const struct agentsh_name_fields *fields)
{
	size_t asked = strnlen(fields->asked, TEXT_MAX), owner = strnlen(fields->owner, TEXT_MAX);
	bool one = asked == owner && !memcmp(fields->asked, fields->owner, asked);
	struct agentsh_name_node *node = calloc(1, offsetof(struct agentsh_name_node, text) +
							   asked + 1 + (one ? 0 : owner + 1));

	if (!node)
		return NULL;
	node->refs = 1;
	node->source = (uint8_t)fields->source;
	node->flags = (uint16_t)fields->flags;
	node->asker_tgid = fields->asker_tgid;
	node->asker_start_ms = ms_of(fields->asker_start_ns);
	node->time_ns = fields->time_ns;
	node->ttl_ns = fields->ttl_ns;
	if (fields->resolver) {
		node->resolver_family = fields->resolver->family;
		node->resolver_port = fields->resolver->port;
		memcpy(node->resolver, fields->resolver->addr, sizeof(node->resolver));
	}
	memcpy(node->text, fields->asked, asked);
	node->one = one;
	if (!one) {
		node->owner_at = (uint8_t)asked;
		memcpy(node->text + asked + 1, fields->owner, owner);
	}
	return node;
}

struct agentsh_name_node *agentsh_node_ref(struct agentsh_name_node *node)
{
	if (node)
		node->refs++;
	return node;
}

void agentsh_node_unref(struct agentsh_name_node *node)
{
	if (!node || --node->refs)
		return;
	agentsh_node_unref(node->server); /* which has no server of its own */
	free(node);
}

bool agentsh_node_is_of(const struct agentsh_name_node *node,
			const struct agentsh_ebpf_event *event)
{
	return event->tgid && node->asker_tgid == event->tgid &&
	       (!node->asker_start_ms || !event->process_start_ns ||
		node->asker_start_ms == ms_of(event->process_start_ns));
}

const char *agentsh_node_asked(const struct agentsh_name_node *node)
{
	return node->text;
}

const char *agentsh_node_owner(const struct agentsh_name_node *node)
{
	return node->one ? node->text : node->text + node->owner_at + 1;
}

uint32_t agentsh_node_bytes(const struct agentsh_name_node *node)
{
	size_t bytes = strlen(agentsh_node_asked(node));

	if (!node->one)
		bytes += strlen(agentsh_node_owner(node));
	return (uint32_t)bytes + (node->server ? agentsh_node_bytes(node->server) : 0);
}
