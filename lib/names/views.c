/* SPDX-License-Identifier: Apache-2.0 */
#include "names/views.h"

#include <stdlib.h>
#include <string.h>

#include "names/node.h"

/* The list shrinks to this many views when it is cleared. */
#define KEEP 256

static bool differs(const struct agentsh_name_view *view)
{
	const char *server;

	if (!view->node || !view->server || !view->node->source)
		return false;
	server = agentsh_node_asked(view->server);
	return strcmp(server, agentsh_node_asked(view->node)) != 0 &&
	       strcmp(server, agentsh_node_owner(view->node)) != 0;
}

void agentsh_view_date(struct agentsh_name_view *view, uint64_t now_ns,
		       const struct agentsh_ebpf_event *event)
{
	const struct agentsh_name_node *node = view->node;

	if (view->server)
		view->flags |= view->server->flags;
	if (differs(view))
		view->flags |= AGENTSH_EBPF_NAME_FLAG_DIFFERS;
	if (!node)
		return;
	view->flags |= node->flags;
	/* timestamps may run backwards */
	view->age_ns = now_ns > node->time_ns ? now_ns - node->time_ns : 0;
	if (view->others)
		view->flags |= AGENTSH_EBPF_NAME_FLAG_SHARED;
	if (view->age_ns > node->ttl_ns)
		view->flags |= AGENTSH_EBPF_NAME_FLAG_EXPIRED;
	if (event && event->tgid && node->asker_tgid && !agentsh_node_is_of(node, event))
		view->flags |= AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS;
}

void agentsh_view_take(struct agentsh_name_view *view, const struct agentsh_ebpf_event *event)
{
	agentsh_node_ref(view->node);
	agentsh_node_ref(view->server);
	agentsh_view_date(view, event->timestamp_ns, event);
}

void agentsh_view_release(struct agentsh_name_view *view)
{
	agentsh_node_unref(view->node);
	agentsh_node_unref(view->server);
	free(view->dns);
}

static void copy_node(const struct agentsh_name_node *node, struct agentsh_ebpf_name *out)
{
	out->source = node->source;
	out->asker_tgid = node->asker_tgid;
	out->ttl_ns = node->ttl_ns;
	out->resolver.family = node->resolver_family;
	out->resolver.port = node->resolver_port;
	memcpy(out->resolver.addr, node->resolver, sizeof(node->resolver));
	memcpy(out->asked, agentsh_node_asked(node), strlen(agentsh_node_asked(node)) + 1);
	memcpy(out->owner, agentsh_node_owner(node), strlen(agentsh_node_owner(node)) + 1);
}

void agentsh_view_copy(const struct agentsh_name_view *view, struct agentsh_ebpf_name *out)
{
	*out = (struct agentsh_ebpf_name){
		.flags = view->flags,
		.others = view->others,
		.age_ns = view->age_ns,
	};
	if (view->node)
		copy_node(view->node, out);
	if (view->server) {
		out->server_name_source = view->server->source;
		memcpy(out->server_name, agentsh_node_asked(view->server),
		       strlen(agentsh_node_asked(view->server)) + 1);
		memcpy(out->alpn, agentsh_node_owner(view->server),
		       strnlen(agentsh_node_owner(view->server), sizeof(out->alpn) - 1));
	}
}

static int grow(struct agentsh_name_views *views)
{
	size_t room = views->room ? 2 * views->room : KEEP / 4;
	struct agentsh_name_view *list = realloc(views->list, room * sizeof(*list));

	if (!list)
		return -1;
	views->list = list;
	views->room = room;
	return 0;
}

uint64_t agentsh_views_add(struct agentsh_name_views *views, struct agentsh_name_view *view)
{
	if (views->count == views->room && grow(views)) {
		agentsh_view_release(view);
		return 0;
	}
	views->list[views->count] = *view;
	return views->first + views->count++;
}

const struct agentsh_name_view *agentsh_views_find(const struct agentsh_name_views *views,
						   uint64_t id)
{
	return id >= views->first && id - views->first < views->count
		       ? &views->list[id - views->first]
		       : NULL;
}

void agentsh_views_clear(struct agentsh_name_views *views)
{
	for (size_t i = 0; i < views->count; i++)
		agentsh_view_release(&views->list[i]);
	views->first += views->count;
	views->count = 0;
	if (views->room > KEEP) {
		free(views->list);
		views->list = NULL;
		views->room = 0;
	}
}

void agentsh_views_free(struct agentsh_name_views *views)
{
	agentsh_views_clear(views);
	free(views->list);
}
