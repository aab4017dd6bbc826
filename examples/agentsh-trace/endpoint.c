/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "interfaces.h"

/* Appends "%eth0", as ss(8) does, or the number if the name is unknown. */
static void append_interface(struct text *t, const struct format_text_style *style,
			     const struct agentsh_ebpf_event *event)
{
	char buf[IF_NAMESIZE];
	const char *name = NULL;

	text_string(t, "%");
	if (style->interfaces)
		name = interfaces_name(style->interfaces, event, buf);
	if (name)
		text_terminal(t, name, strlen(name), style->utf8);
	else
		text_format(t, "%" PRIu32, event->ifindex);
}

void endpoint_remote_host(struct text *t, const struct format_text_style *style,
			  const struct agentsh_ebpf_event *event)
{
	char ip[ADDRESS_MAX];

	text_string(t, address_text(event->family, event->remote_addr, ip));
	if (event->ifindex)
		append_interface(t, style, event);
}

void endpoint_remote(struct text *t, const struct format_text_style *style,
		     const struct agentsh_ebpf_event *event)
{
	const bool brackets = event->family == AF_INET6;

	text_string(t, brackets ? "[" : "");
	endpoint_remote_host(t, style, event);
	text_format(t, "%s:%u", brackets ? "]" : "", event->remote_port);
}

void endpoint_local(struct text *t, const struct agentsh_ebpf_event *event)
{
	char ip[ADDRESS_MAX];

	address_text(event->family, event->local_addr, ip);
	text_format(t, event->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, event->local_port);
}

void endpoint_notes(struct text *t, const struct agentsh_ebpf_event *event)
{
	const struct {
		uint32_t flag;
		const char *words;
	} notes[] = {
		{AGENTSH_EBPF_FLAG_SOURCE_ROUTED, "source-routed"},
		{AGENTSH_EBPF_FLAG_UNSPECIFIED,
		 event->family == AF_INET6 ? "named ::" : "named 0.0.0.0"},
		{AGENTSH_EBPF_FLAG_UNTRACKED, "untracked"},
	};
	const char *before = " (";

	for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++) {
		if (!(event->flags & notes[i].flag))
			continue;
		text_format(t, "%s%s", before, notes[i].words);
		before = ", ";
	}
	text_string(t, ")");
}
