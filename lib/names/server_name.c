/* SPDX-License-Identifier: Apache-2.0 */
#include "names/server_name.h"

#include "names/choose.h"
#include "names/first_data.h"
#include "names/flows.h"
#include "names/names.h"
#include "names/packet.h"
#include "names/stream.h"

/* Per connection: the programs copy no more. */
#define PACKETS_MAX 8

static struct agentsh_name_node *make_node(const struct agentsh_ebpf_event *event,
					   const struct agentsh_server_name *name)
{
	struct agentsh_name_fields fields = {
		.source = name->source,
		.asker_tgid = event->tgid,
		.asker_start_ns = event->process_start_ns,
		.time_ns = event->timestamp_ns,
		.ttl_ns = UINT64_MAX,
		.asked = name->name,
		.owner = name->alpn,
	};

	if (name->cut)
		fields.flags |= AGENTSH_EBPF_NAME_FLAG_CUT;
	if (name->outer)
		fields.flags |= AGENTSH_EBPF_NAME_FLAG_OUTER;
	return agentsh_node_new(&fields);
}

/* Keeps the name of the server beside the name that the socket has, and makes the event. */
static void take_name(struct agentsh_names *names, struct agentsh_name_table *table,
		      const struct agentsh_ebpf_event *event,
		      const struct agentsh_server_name *name)
{
	struct agentsh_name_node *server = make_node(event, name), *node = NULL;
	const struct agentsh_name_socket *socket;
	const struct agentsh_name_address *address;
	struct agentsh_name_view view = {0};
	uint32_t others = 0;

	if (!server) {
		agentsh_names_count(names, table, AGENTSH_NAMES_SKIPPED, 1);
		return;
	}
	socket = agentsh_table_socket(table, event->socket_cookie);
	address = agentsh_table_address(table, event->family, event->remote_addr);
	if (socket) {
		node = socket->node;
		others = socket->others;
	} else if (address) {
		node = agentsh_choose(address, event, &others);
	}
	view.node = node;
	view.server = server;
	view.others = others;
	agentsh_view_take(&view, event);
	agentsh_table_set_socket(table, event->socket_cookie, node, others, server);
	agentsh_node_unref(server);
	agentsh_names_put(names, table, event, &view);
	agentsh_names_count_evicted(names, table);
	atomic_store_explicit(&names->active, true, memory_order_relaxed);
}

/* Data behind a hole cannot name a server. */
static bool has_hole(const struct agentsh_packet *packet)
{
	return packet->captured < packet->length;
}

void agentsh_server_name_packet(struct agentsh_names *names, struct agentsh_name_table *table,
				const struct agentsh_ebpf_event *event,
				const struct agentsh_packet *packet)
{
	const struct agentsh_name_socket *socket =
		agentsh_table_socket(table, event->socket_cookie);
	struct agentsh_flow *flow;
	struct agentsh_server_name name;
	const uint8_t *data;
	size_t size;
	bool last;
	int found;

	if (socket && socket->server) /* one per connection */
		return;
	flow = agentsh_flow_get(table, event->socket_cookie, event->kind);
	if (!flow) {
		agentsh_names_count(names, table, AGENTSH_NAMES_SKIPPED, 1);
		return;
	}
	if (flow->done)
		return;
	atomic_store_explicit(&names->active, true, memory_order_relaxed); /* the flow has to end */
	/* data from the middle of a connection may look like its beginning */
	if (!flow->packets++ && packet->segment != 1) {
		agentsh_flow_finish(flow);
		return;
	}
	if (agentsh_stream_add(flow->stream, packet->sequence, packet->data, packet->captured)) {
		agentsh_flow_finish(flow);
		return;
	}
	if (!agentsh_table_may_parse(table, event->timestamp_ns, packet->captured)) {
		agentsh_names_count(names, table, AGENTSH_NAMES_SKIPPED, 1);
		agentsh_flow_finish(flow);
		return;
	}
	data = agentsh_stream_data(flow->stream, &size);
	found = agentsh_first_data_parse(data, size, &name);
	last = found || has_hole(packet) || flow->packets == PACKETS_MAX;
	if (last)
		agentsh_flow_finish(flow);
	if (found > 0 || (!found && last && name.source))
		take_name(names, table, event, &name);
}
