/* SPDX-License-Identifier: Apache-2.0 */
#include "names/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "names/flows.h"
#include "names/questions.h"

#define PARSE_NS 500000		     /* one message at 2,000 per second */
#define PARSE_BYTES 512		     /* a longer message counts as several */
#define PARSE_BURST_NS 2000000000ULL /* 4,000 messages */

struct agentsh_name_table *agentsh_table_new(const struct agentsh_names_session *session,
					     const struct agentsh_hash_key *hash_key)
{
	struct agentsh_name_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->session = *session;
	table->hash_key = hash_key;
	agentsh_map_init(&table->addresses);
	agentsh_map_init(&table->sockets);
	agentsh_map_init(&table->flows);
	agentsh_list_init(&table->questions);
	return table;
}

/* ---- limits --------------------------------------------------------------- */

static struct agentsh_name_node *hold(struct agentsh_name_table *table,
				      struct agentsh_name_node *node)
{
	if (node && !node->links++)
		table->bytes += agentsh_node_bytes(node);
	return agentsh_node_ref(node);
}

static void drop(struct agentsh_name_table *table, struct agentsh_name_node *node)
{
	if (node && !--node->links)
		table->bytes -= agentsh_node_bytes(node);
	agentsh_node_unref(node);
}

static struct agentsh_name_address *address_of(struct agentsh_map_item *item)
{
	return item ? AGENTSH_CONTAINER(item, struct agentsh_name_address, item) : NULL;
}

static struct agentsh_name_socket *socket_of(struct agentsh_map_item *item)
{
	return item ? AGENTSH_CONTAINER(item, struct agentsh_name_socket, item) : NULL;
}

static void remove_address(struct agentsh_name_table *table, struct agentsh_name_address *address)
{
	struct agentsh_name_link *link = address->newest.next;

	agentsh_map_remove(&table->addresses, table->hash_key, &address->item);
	drop(table, address->newest.node);
	while (link) {
		struct agentsh_name_link *next = link->next;

		drop(table, link->node);
		free(link);
		link = next;
	}
	free(address);
}

void agentsh_table_remove_socket(struct agentsh_name_table *table,
				 struct agentsh_name_socket *socket)
{
	agentsh_map_remove(&table->sockets, table->hash_key, &socket->item);
	drop(table, socket->node);
	drop(table, socket->server);
	free(socket);
}

static bool evict_address(struct agentsh_name_table *table, const struct agentsh_map_item *keep)
{
	struct agentsh_map_item *item = agentsh_map_oldest(&table->addresses);

	if (!item || item == keep)
		return false;
	table->evicted += address_of(item)->count;
	remove_address(table, address_of(item));
	return true;
}

static bool evict_socket(struct agentsh_name_table *table, const struct agentsh_map_item *keep)
{
	struct agentsh_map_item *item = agentsh_map_oldest(&table->sockets);

	if (!item || item == keep)
		return false;
	table->evicted += !!socket_of(item)->node + !!socket_of(item)->server;
	agentsh_table_remove_socket(table, socket_of(item));
	return true;
}

/* Drops what was used longest ago; the item that was added last, which is also the newest, stays.
 */
static void fit(struct agentsh_name_table *table, const struct agentsh_map_item *keep)
{
	while (table->addresses.count > table->session.names_max)
		evict_address(table, keep);
	while (table->sockets.count > table->session.names_max)
		evict_socket(table, keep);
	while (table->bytes > table->session.names_bytes)
		if (!evict_address(table, keep) && !evict_socket(table, keep))
			return;
}

void agentsh_table_free(struct agentsh_name_table *table)
{
	struct agentsh_map_item *item;

	while ((item = agentsh_map_oldest(&table->addresses)))
		remove_address(table, address_of(item));
	while ((item = agentsh_map_oldest(&table->sockets)))
		agentsh_table_remove_socket(table, socket_of(item));
	agentsh_flows_free(table);
	agentsh_questions_free(table);
	agentsh_map_free(&table->addresses);
	agentsh_map_free(&table->sockets);
	free(table);
}

bool agentsh_table_may_parse(struct agentsh_name_table *table, uint64_t now_ns, size_t size)
{
	if (table->parsed_until_ns < now_ns)
		table->parsed_until_ns = now_ns;
	if (table->parsed_until_ns - now_ns > PARSE_BURST_NS - PARSE_NS)
		return false;
	table->parsed_until_ns += PARSE_NS * (1 + size / PARSE_BYTES);
	return true;
}

/* ---- addresses -------------------------------------------------------------- */

static uint32_t key_of(uint16_t family, const void *addr, uint64_t key[2])
{
	const uint8_t *ipv4 = agentsh_mapped_ipv4(family, addr);

	key[0] = key[1] = 0;
	if (family == AF_INET6 && !ipv4) {
		memcpy(key, addr, 16);
		return AF_INET6;
	}
	memcpy(key, ipv4 ? ipv4 : addr, 4);
	return AF_INET;
}

struct agentsh_name_address *agentsh_table_address(const struct agentsh_name_table *table,
						   uint16_t family, const void *addr)
{
	uint64_t key[2];
	uint32_t tag = key_of(family, addr, key);

	return address_of(agentsh_map_find(&table->addresses, table->hash_key, key, tag));
}

/* Takes a link out; the address has at least one more. */
static void remove_link(struct agentsh_name_table *table, struct agentsh_name_address *address,
			struct agentsh_name_link *link)
{
	struct agentsh_name_link *gone = link->next, *before = &address->newest;

	drop(table, link->node);
	if (link == &address->newest) {
		*link = *gone;
		free(gone);
	} else {
		while (before->next != link)
			before = before->next;
		before->next = gone;
		free(link);
	}
	address->count--;
}

/* Whether a new name makes an old one superfluous: same name and same asker, or both seeds. */
static bool replaces(const struct agentsh_name_node *node, const struct agentsh_name_node *old)
{
	if ((node->source == AGENTSH_EBPF_NAME_SEED) != (old->source == AGENTSH_EBPF_NAME_SEED))
		return false;
	return node->source == AGENTSH_EBPF_NAME_SEED ||
	       (node->asker_tgid == old->asker_tgid &&
		node->asker_start_ms == old->asker_start_ms &&
		!strcmp(agentsh_node_asked(node), agentsh_node_asked(old)));
}

/* Makes a link the newest one. */
static void move_to_front(struct agentsh_name_address *address, struct agentsh_name_link *link)
{
	struct agentsh_name_link *before = &address->newest;
	struct agentsh_name_node *node = link->node;

	if (link == before)
		return;
	while (before->next != link)
		before = before->next;
	before->next = link->next;
	*link = address->newest;
	address->newest = (struct agentsh_name_link){.next = link, .node = node};
}

/* Most answers repeat a name that the address has. */
static bool replace_name(struct agentsh_name_table *table, struct agentsh_name_address *address,
			 struct agentsh_name_node *node)
{
	struct agentsh_name_link *link = &address->newest;
	struct agentsh_name_node *old;

	while (link && !replaces(node, link->node))
		link = link->next;
	if (!link)
		return false;
	old = link->node;
	link->node = hold(table, node);
	drop(table, old);
	move_to_front(address, link);
	return true;
}

static void remove_surplus(struct agentsh_name_table *table, struct agentsh_name_address *address)
{
	struct agentsh_name_link *oldest = NULL;
	uint32_t names = 0;

	for (struct agentsh_name_link *link = &address->newest; link; link = link->next) {
		if (link->node->source == AGENTSH_EBPF_NAME_SEED)
			continue;
		names++;
		oldest = link;
	}
	if (names <= AGENTSH_NAMES_PER_ADDRESS)
		return;
	table->evicted++;
	remove_link(table, address, oldest);
}

static int add_link(struct agentsh_name_table *table, struct agentsh_name_address *address,
		    struct agentsh_name_node *node)
{
	struct agentsh_name_link *older;

	agentsh_map_touch(&table->addresses, &address->item);
	if (replace_name(table, address, node))
		return 0;
	older = malloc(sizeof(*older));
	if (!older)
		return -ENOMEM;
	*older = address->newest;
	address->newest.next = older;
	address->newest.node = hold(table, node);
	address->count++;
	remove_surplus(table, address);
	return 0;
}

int agentsh_table_add(struct agentsh_name_table *table, uint16_t family, const void *addr,
		      struct agentsh_name_node *node)
{
	struct agentsh_name_address *address = agentsh_table_address(table, family, addr);
	int ret;

	if (address) {
		ret = add_link(table, address, node);
	} else {
		address = calloc(1, sizeof(*address));
		if (!address)
			return -ENOMEM;
		address->item.tag = key_of(family, addr, address->item.key);
		address->count = 1;
		ret = agentsh_map_add(&table->addresses, table->hash_key, &address->item);
		if (ret)
			free(address);
		else
			address->newest.node = hold(table, node);
	}
	if (!ret)
		fit(table, &address->item);
	return ret;
}

void agentsh_table_remove_seed(struct agentsh_name_table *table, uint16_t family, const void *addr)
{
	struct agentsh_name_address *address = agentsh_table_address(table, family, addr);
	struct agentsh_name_link *link = address ? &address->newest : NULL;

	while (link && link->node->source != AGENTSH_EBPF_NAME_SEED)
		link = link->next;
	if (link && address->count == 1)
		remove_address(table, address);
	else if (link)
		remove_link(table, address, link);
}

/* ---- sockets ---------------------------------------------------------------- */

struct agentsh_name_socket *agentsh_table_socket(const struct agentsh_name_table *table,
						 uint64_t cookie)
{
	const uint64_t key[2] = {cookie};

	return socket_of(agentsh_map_find(&table->sockets, table->hash_key, key, 0));
}

int agentsh_table_set_socket(struct agentsh_name_table *table, uint64_t cookie,
			     struct agentsh_name_node *node, uint32_t others,
			     struct agentsh_name_node *server)
{
	struct agentsh_name_socket *socket = agentsh_table_socket(table, cookie);
	struct agentsh_name_node *old_node = NULL, *old_server = NULL;

	if (!socket) {
		socket = calloc(1, sizeof(*socket));
		if (!socket)
			return -ENOMEM;
		socket->item.key[0] = cookie;
		if (agentsh_map_add(&table->sockets, table->hash_key, &socket->item)) {
			free(socket);
			return -ENOMEM;
		}
	} else {
		old_node = socket->node;
		old_server = socket->server;
		agentsh_map_touch(&table->sockets, &socket->item);
	}
	socket->node = hold(table, node);
	socket->server = hold(table, server);
	socket->others = others;
	drop(table, old_node);
	drop(table, old_server);
	fit(table, &socket->item);
	return 0;
}
