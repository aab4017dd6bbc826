/* SPDX-License-Identifier: Apache-2.0 */
#include "names/flows.h"

#include <stdlib.h>

#include <agentsh/ebpf.h>

#include "names/stream.h"
#include "names/table.h"

static struct agentsh_flow *flow_of(struct agentsh_map_item *item)
{
	return item ? AGENTSH_CONTAINER(item, struct agentsh_flow, item) : NULL;
}

static void remove_flow(struct agentsh_name_table *table, struct agentsh_flow *flow)
{
	agentsh_map_remove(&table->flows, table->hash_key, &flow->item);
	agentsh_flow_finish(flow);
	free(flow);
}

struct agentsh_flow *agentsh_flow_get(struct agentsh_name_table *table, uint64_t cookie,
				      uint32_t kind)
{
	const uint64_t key[2] = {cookie};
	struct agentsh_flow *flow =
		flow_of(agentsh_map_find(&table->flows, table->hash_key, key, kind));

	if (flow) {
		agentsh_map_touch(&table->flows, &flow->item);
	} else {
		flow = calloc(1, sizeof(*flow));
		if (!flow)
			return NULL;
		flow->item.key[0] = cookie;
		flow->item.tag = kind;
		if (agentsh_map_add(&table->flows, table->hash_key, &flow->item)) {
			free(flow);
			return NULL;
		}
		if (table->flows.count > AGENTSH_FLOWS)
			remove_flow(table, flow_of(agentsh_map_oldest(&table->flows)));
	}
	if (!flow->done && !flow->stream)
		flow->stream = agentsh_stream_new();
	return flow->done || flow->stream ? flow : NULL;
}

void agentsh_flow_restart(struct agentsh_flow *flow)
{
	agentsh_stream_free(flow->stream);
	flow->stream = NULL;
	flow->whole = false;
}

void agentsh_flow_finish(struct agentsh_flow *flow)
{
	agentsh_flow_restart(flow);
	flow->done = true;
}

void agentsh_flows_close(struct agentsh_name_table *table, uint64_t cookie)
{
	static const uint32_t kinds[] = {
		AGENTSH_EBPF_EVENT_DNS_QUERY,
		AGENTSH_EBPF_EVENT_DNS_ANSWER,
		AGENTSH_EBPF_EVENT_SERVER_NAME,
	};
	const uint64_t key[2] = {cookie};

	for (int i = 0; i < 3 && table->flows.count; i++) {
		struct agentsh_map_item *item =
			agentsh_map_find(&table->flows, table->hash_key, key, kinds[i]);

		if (item)
			remove_flow(table, flow_of(item));
	}
}

void agentsh_flows_free(struct agentsh_name_table *table)
{
	struct agentsh_map_item *item;

	while ((item = agentsh_map_oldest(&table->flows)))
		remove_flow(table, flow_of(item));
	agentsh_map_free(&table->flows);
}
