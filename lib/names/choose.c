/* SPDX-License-Identifier: Apache-2.0 */
#include "names/choose.h"

#include <string.h>
#include <sys/socket.h>

#include "names/flows.h"
#include "names/table.h"
#include "names/views.h"

/* The seed counts as the first name. */
#define LINKS_MAX (AGENTSH_NAMES_PER_ADDRESS + 1)

static bool has_name(struct agentsh_name_node *const *list, uint32_t count,
		     const struct agentsh_name_node *node)
{
	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(agentsh_node_asked(list[i]), agentsh_node_asked(node)))
			return true;
	return false;
}

/* Lists one node per name: the seed, then the newest first. */
static uint32_t list_names(const struct agentsh_name_address *address,
			   struct agentsh_name_node *list[LINKS_MAX])
{
	const struct agentsh_name_link *link;
	uint32_t count = 0;

	if (address->count == 1) {
		list[0] = address->newest.node;
		return 1;
	}
	for (link = &address->newest; link; link = link->next)
		if (link->node->source == AGENTSH_EBPF_NAME_SEED)
			list[count++] = link->node;
	for (link = &address->newest; link; link = link->next)
		if (count < LINKS_MAX && !has_name(list, count, link->node))
			list[count++] = link->node;
	return count;
}

uint32_t agentsh_choose_nth(const struct agentsh_name_address *address, uint32_t nth,
			    struct agentsh_name_node **node)
{
	struct agentsh_name_node *list[LINKS_MAX];
	uint32_t count = list_names(address, list);

	*node = nth < count ? list[nth] : NULL;
	return count;
}

struct agentsh_name_node *agentsh_choose(const struct agentsh_name_address *address,
					 const struct agentsh_ebpf_event *event, uint32_t *others)
{
	struct agentsh_name_node *list[LINKS_MAX];

	*others = list_names(address, list) - 1;
	for (const struct agentsh_name_link *link = &address->newest; link; link = link->next)
		if (agentsh_node_is_of(link->node, event))
			return link->node;
	return list[0];
}

static void by_address(struct agentsh_name_table *table, const struct agentsh_ebpf_event *event,
		       struct agentsh_name_view *view)
{
	struct agentsh_name_address *address =
		agentsh_table_address(table, event->family, event->remote_addr);

	if (!address)
		return;
	agentsh_map_touch(&table->addresses, &address->item);
	view->node = agentsh_choose(address, event, &view->others);
	view->server = view->node->server;
}

/* Whether an answer came after the connection began, so that the process did not use it. */
static bool is_later(const struct agentsh_name_node *node, const struct agentsh_ebpf_event *event)
{
	return node && node->source != AGENTSH_EBPF_NAME_SEED &&
	       event->socket_type == SOCK_STREAM && event->duration_ns &&
	       node->time_ns + event->duration_ns > event->timestamp_ns;
}

/*
 * A connection without a name keeps having none, although its address gets one later, because
 * the process did not ask before it connected.
 */
static void by_socket(struct agentsh_name_table *table, const struct agentsh_ebpf_event *event,
		      struct agentsh_name_view *view)
{
	struct agentsh_name_socket *socket =
		event->socket_cookie ? agentsh_table_socket(table, event->socket_cookie) : NULL;

	if (!socket) {
		by_address(table, event, view);
		if (is_later(view->node, event))
			*view = (struct agentsh_name_view){0};
		return;
	}
	view->node = socket->node;
	view->server = socket->server;
	view->others = socket->others;
}

/*
 * Without any name in the table, a socket costs nothing. Nor does a datagram socket without a name,
 * because a process has one for each question to a name server.
 */
static void keep_for_socket(struct agentsh_name_table *table,
			    const struct agentsh_ebpf_event *event,
			    const struct agentsh_name_view *view)
{
	struct agentsh_name_socket *socket;

	if (!event->socket_cookie)
		return;
	agentsh_flows_close(table, event->socket_cookie); /* of an earlier connection */
	socket = agentsh_table_socket(table, event->socket_cookie);
	if (view->node || (table->addresses.count && event->socket_type == SOCK_STREAM))
		agentsh_table_set_socket(table, event->socket_cookie, view->node, view->others,
					 view->server);
	else if (socket)
		agentsh_table_remove_socket(table, socket);
}

static void forget_socket(struct agentsh_name_table *table, uint64_t cookie)
{
	struct agentsh_name_socket *socket = agentsh_table_socket(table, cookie);

	if (socket)
		agentsh_table_remove_socket(table, socket);
	agentsh_flows_close(table, cookie);
}

bool agentsh_choose_for_event(struct agentsh_name_table *table,
			      const struct agentsh_ebpf_event *event,
			      struct agentsh_name_view *view)
{
	bool ends = event->kind == AGENTSH_EBPF_EVENT_CLOSED ||
		    event->kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED;

	if ((event->family != AF_INET && event->family != AF_INET6) ||
	    event->flags & AGENTSH_EBPF_FLAG_INBOUND)
		return false;
	if (event->kind == AGENTSH_EBPF_EVENT_CONNECT) {
		by_address(table, event, view);
		keep_for_socket(table, event, view);
	} else if (event->kind == AGENTSH_EBPF_EVENT_UDP_SEND) {
		by_address(table, event, view);
	} else {
		by_socket(table, event, view);
	}
	agentsh_view_take(view, event); /* before a socket that ends lets go of its names */
	if (ends)
		forget_socket(table, event->socket_cookie);
	return view->node || view->server;
}
