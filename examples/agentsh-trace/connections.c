/* SPDX-License-Identifier: Apache-2.0 */
#include "connections.h"

#include <string.h>

static struct connection **bucket_of(struct connections *c, uint64_t cookie)
{
	return &c->buckets[(cookie * 0x9e3779b97f4a7c15U) >> 32 & (CONNECTIONS_BUCKETS - 1)];
}

_Static_assert((CONNECTIONS_BUCKETS & (CONNECTIONS_BUCKETS - 1)) == 0, "the index is masked");

static struct connection *slot_of(struct connections *c, uint64_t number)
{
	return &c->table[number % CONNECTIONS_MAX];
}

/* Before kernel 5.10 a socket cookie is unique only within its network namespace. */
static bool has_socket(const struct connection *connection, const struct agentsh_ebpf_event *event)
{
	return connection->first.socket_cookie == event->socket_cookie &&
	       connection->first.netns_cookie == event->netns_cookie;
}

static void drop(struct connections *c, struct connection *connection)
{
	if (!connection->used)
		return;
	if (connection->newer)
		connection->newer->older = connection->older;
	else
		*bucket_of(c, connection->first.socket_cookie) = connection->older;
	if (connection->older)
		connection->older->newer = connection->newer;
	connection->used = false;
	connection->held = false;
}

struct connection *connections_oldest(struct connections *c)
{
	struct connection *oldest = slot_of(c, c->added);

	return oldest->used ? oldest : NULL;
}

struct connection *connections_add(struct connections *c, const struct agentsh_ebpf_event *event,
				   uint64_t time_ns)
{
	struct connection *new = slot_of(c, c->added++);
	struct connection **bucket = bucket_of(c, event->socket_cookie);

	drop(c, new);
	/* Not the name, which is large. */
	new->first = *event;
	new->named = false;
	new->time_ns = time_ns;
	new->progress = (struct format_text_progress){0};
	new->row = 0;
	new->due_ms = 0;
	new->used = true;
	new->newer = NULL;
	new->older = *bucket;
	if (new->older)
		new->older->newer = new;
	*bucket = new;
	return new;
}

void connections_name(struct connection *connection, const struct agentsh_ebpf_name *name)
{
	connection->named = true;
	connection->name = *name;
}

static bool has_destination(const struct connection *connection,
			    const struct agentsh_ebpf_event *event)
{
	const struct agentsh_ebpf_event *first = &connection->first;

	return first->remote_port == event->remote_port && first->family == event->family &&
	       first->ifindex == event->ifindex &&
	       !memcmp(first->remote_addr, event->remote_addr, sizeof(first->remote_addr));
}

struct connection *connections_find(struct connections *c, const struct agentsh_ebpf_event *event)
{
	struct connection *i = *bucket_of(c, event->socket_cookie);
	struct connection *newest = NULL;

	for (; i; i = i->older) {
		if (!has_socket(i, event))
			continue;
		if (has_destination(i, event))
			return i;
		if (!newest)
			newest = i;
	}
	return newest;
}

static struct connection *find_silent(struct connections *c, const struct agentsh_ebpf_event *event)
{
	struct connection *i = *bucket_of(c, event->socket_cookie);

	while (i && !(has_socket(i, event) && i->progress.silent))
		i = i->older;
	return i;
}

struct connection *connections_settle(struct connections *c, const struct agentsh_ebpf_event *event)
{
	struct connection *silent = find_silent(c, event);
	/* FIRST_DATA may have been lost. */
	const bool complete = silent && silent->first.session_lost == event->session_lost;

	if (!silent)
		return NULL;
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_FIRST_DATA:
		break;
	case AGENTSH_EBPF_EVENT_CONNECT:
		silent->progress.probe = complete;
		break;
	case AGENTSH_EBPF_EVENT_CLOSED: /* counts what the socket sent before connect(2), too */
		silent->progress.probe =
			event->packets_sent ? complete : event->packets_received == 0;
		break;
	default:
		return NULL;
	}
	silent->progress.silent = false;
	return silent;
}

void connections_end(struct connections *c, const struct agentsh_ebpf_event *event)
{
	struct connection *i = *bucket_of(c, event->socket_cookie), *older;

	for (; i; i = older) {
		older = i->older;
		if (has_socket(i, event))
			drop(c, i);
	}
}

struct connection *connections_held(struct connections *c)
{
	if (c->added > CONNECTIONS_MAX && c->held_from < c->added - CONNECTIONS_MAX)
		c->held_from = c->added - CONNECTIONS_MAX;
	for (; c->held_from < c->added; c->held_from++)
		if (slot_of(c, c->held_from)->held)
			return slot_of(c, c->held_from);
	return NULL;
}
