/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <string.h>

#include "address.h"

bool names_of_dns(const struct agentsh_ebpf_event *event)
{
	return event->kind == AGENTSH_EBPF_EVENT_DNS_QUERY ||
	       event->kind == AGENTSH_EBPF_EVENT_DNS_ANSWER;
}

bool names_are_subject(const struct agentsh_ebpf_event *event)
{
	return names_of_dns(event) || event->kind == AGENTSH_EBPF_EVENT_SERVER_NAME ||
	       event->kind == AGENTSH_EBPF_EVENT_UNIX_CONNECT;
}

static void read_dns(struct names *names, const struct agentsh_ebpf_tracer *tracer,
		     const struct agentsh_ebpf_event *event)
{
	int n;

	names->dns.size = sizeof(names->dns);
	names->has_dns = !agentsh_ebpf_event_dns(tracer, event, &names->dns);
	n = agentsh_ebpf_event_addresses(tracer, event, names->list, NAMES_ADDRESSES_MAX);
	if (n > 0)
		names->listed = n < NAMES_ADDRESSES_MAX ? (size_t)n : NAMES_ADDRESSES_MAX;
}

void names_read(struct names *names, const struct agentsh_ebpf_tracer *tracer,
		const struct agentsh_ebpf_event *event, bool wanted)
{
	names->named = names->has_dns = false;
	names->listed = 0;
	if (names_of_dns(event))
		read_dns(names, tracer, event);
	if (!event->name_id || (!wanted && !names_are_subject(event)))
		return;
	names->name.size = sizeof(names->name);
	names->named = !agentsh_ebpf_event_name(tracer, event, &names->name);
}

const char *names_asked(const struct agentsh_ebpf_event *event,
			const struct agentsh_ebpf_name *name)
{
	if (!name || name->source == AGENTSH_EBPF_NAME_NONE || !*name->asked ||
	    event->flags & AGENTSH_EBPF_FLAG_INBOUND)
		return NULL;
	return name->asked;
}

/* A Host may be the address itself, which tells nothing. */
static bool is_remote_address(const struct agentsh_ebpf_event *event, const char *text)
{
	const bool brackets = *text == '[';
	const size_t n = strcspn(text + brackets, "]");
	char ip[ADDRESS_MAX];

	return strlen(address_text(event->family, event->remote_addr, ip)) == n &&
	       !memcmp(text + brackets, ip, n);
}

const char *names_server(const struct agentsh_ebpf_event *event,
			 const struct agentsh_ebpf_name *name)
{
	const char *asked = names_asked(event, name);

	if (!name || !*name->server_name || event->flags & AGENTSH_EBPF_FLAG_INBOUND)
		return NULL;
	if (asked && (!strcmp(asked, name->server_name) || !strcmp(name->owner, name->server_name)))
		return NULL;
	if (is_remote_address(event, name->server_name))
		return NULL;
	return name->server_name;
}
