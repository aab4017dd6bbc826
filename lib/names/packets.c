/* SPDX-License-Identifier: Apache-2.0 */
/* Takes what the records say that are more than an event. */
#include <string.h>

#include "names/dns.h"
#include "names/names.h"
#include "names/packet.h"
#include "names/server_name.h"
#include "names/unix_path.h"

void agentsh_names_packet(struct agentsh_names *names, uint32_t slot, uint32_t generation,
			  const struct agentsh_ebpf_event *event,
			  const struct agentsh_packet *packet)
{
	struct agentsh_name_table *table;

	pthread_mutex_lock(&names->lock);
	table = agentsh_names_table(names, slot, generation);
	if (table && event->kind == AGENTSH_EBPF_EVENT_SERVER_NAME)
		agentsh_server_name_packet(names, table, event, packet);
	else if (table)
		agentsh_dns_packet(names, table, event, packet);
	pthread_mutex_unlock(&names->lock);
}

void agentsh_names_unix(struct agentsh_names *names, struct agentsh_ebpf_event *event,
			const struct agentsh_packet *path)
{
	char text[256];
	struct agentsh_name_fields fields = {
		.source = AGENTSH_EBPF_NAME_UNIX,
		.asker_tgid = event->tgid,
		.asker_start_ns = event->process_start_ns,
		.time_ns = event->timestamp_ns,
		.ttl_ns = UINT64_MAX,
		.asked = text,
		.owner = text,
	};
	struct agentsh_name_view view = {0};

	if (!path->captured)
		return;
	if (agentsh_unix_path(path->data, path->captured, text))
		fields.flags |= AGENTSH_EBPF_NAME_FLAG_CUT;
	view.node = agentsh_node_new(&fields);
	if (!view.node)
		return;
	view.flags = view.node->flags;
	pthread_mutex_lock(&names->lock);
	event->name_id = agentsh_views_add(&names->views, &view);
	pthread_mutex_unlock(&names->lock);
}
