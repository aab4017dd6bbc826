/* SPDX-License-Identifier: Apache-2.0 */
#include "destinations.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include <agentsh/ebpf.h>

#include "hash.h"
#include "verdict.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262 /* linux/in.h of kernel 5.6 */
#endif

_Static_assert(sizeof(struct destination_key) == 44, "no padding: it is hashed and compared");
_Static_assert((DESTINATIONS_SLOTS & (DESTINATIONS_SLOTS - 1)) == 0, "the index is masked");
_Static_assert(DESTINATIONS_SLOTS > DESTINATIONS_MAX, "a search ends at a free slot");

static bool is_tcp(uint16_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

static bool has_packets(const struct agentsh_ebpf_event *event)
{
	return event->packets_sent || event->packets_received;
}

bool destinations_count_bytes(uint16_t protocol, uint32_t hooks)
{
	return hooks & (is_tcp(protocol) ? AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT |
						   AGENTSH_EBPF_HOOK_TRAFFIC
					 : AGENTSH_EBPF_HOOK_TRAFFIC);
}

bool destinations_named_by(const struct agentsh_ebpf_event *event, uint32_t hooks)
{
	const bool counted = !is_tcp(event->protocol) && hooks & AGENTSH_EBPF_HOOK_TRAFFIC;

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_SESSION_BLIND:
	case AGENTSH_EBPF_EVENT_DNS_QUERY: /* the socket has events of its own */
	case AGENTSH_EBPF_EVENT_DNS_ANSWER:
	case AGENTSH_EBPF_EVENT_SERVER_NAME:
	case AGENTSH_EBPF_EVENT_SOCKET_DENIED:
	case AGENTSH_EBPF_EVENT_UNIX_CONNECT: /* no network */
		return false;
	case AGENTSH_EBPF_EVENT_CONNECT:
		return !counted || verdict_is_denied(event);
	case AGENTSH_EBPF_EVENT_PROGRESS:
	case AGENTSH_EBPF_EVENT_CLOSED:
		return !counted || has_packets(event);
	default:
		return event->family != 0;
	}
}

static struct destination_key key_of(const struct agentsh_ebpf_event *event)
{
	const char *process = *event->process_comm ? event->process_comm : event->comm;
	struct destination_key key = {
		.ifindex = event->ifindex,
		.protocol = event->protocol,
		.family = event->family,
		.inbound = (event->flags & AGENTSH_EBPF_FLAG_INBOUND) != 0,
		.unattributed = (event->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED) != 0,
	};

	memcpy(key.address, event->remote_addr, sizeof(key.address));
	if (!key.unattributed)
		memcpy(key.process, process, strnlen(process, sizeof(key.process)));
	if (!key.inbound)
		key.port = event->remote_port;
	return key;
}

/* The same for all events that have the destination, whatever the process. */
static uint64_t destination_of(const struct destinations *d, const struct agentsh_ebpf_event *event)
{
	struct destination_key key = key_of(event);

	memset(key.process, 0, sizeof(key.process));
	key.unattributed = 0;
	return hash_bytes(&key, sizeof(key), d->seed);
}

static bool row_is(const struct destination_row *row, const struct destination_key *key,
		   const char *name)
{
	return !memcmp(&row->key, key, sizeof(*key)) && !strcmp(row->name, name);
}

/* The row of a name says at which address, unless there are several. */
static void note_address(struct destination_row *row, const struct agentsh_ebpf_event *event)
{
	if (row->at.family != event->family || row->at.ifindex != event->ifindex ||
	    memcmp(row->at.address, event->remote_addr, sizeof(row->at.address)) != 0)
		row->at.family = 0;
}

static uint32_t add_row(struct destinations *d, const struct destination_key *key, const char *name,
			const struct agentsh_ebpf_event *event)
{
	struct destination_row *row = &d->table[d->rows];

	row->key = *key;
	memcpy(row->name, name, strlen(name));
	row->at.family = event->family;
	row->at.ifindex = event->ifindex;
	memcpy(row->at.address, event->remote_addr, sizeof(row->at.address));
	row->netns_cookie = event->netns_cookie;
	return d->rows++;
}

/* The number of the row for the event's process and destination. */
static uint32_t row_of(struct destinations *d, const struct agentsh_ebpf_event *event,
		       const char *name)
{
	struct destination_key key = key_of(event);
	uint16_t *number;
	uint64_t slot;

	if (*name) {
		key.family = DESTINATION_NAMED;
		key.ifindex = 0;
		memset(key.address, 0, sizeof(key.address));
	}
	slot = hash_bytes(&key, sizeof(key), hash_bytes(name, strlen(name), d->seed));
	for (;; slot++) {
		number = &d->slots[slot & (DESTINATIONS_SLOTS - 1)];
		if (!*number)
			break;
		if (row_is(&d->table[*number - 1], &key, name)) {
			note_address(&d->table[*number - 1], event);
			return *number - 1U;
		}
	}
	if (d->rows == DESTINATIONS_MAX)
		return DESTINATIONS_MAX;
	*number = (uint16_t)(d->rows + 1);
	return add_row(d, &key, name, event);
}

/* Without these hooks nothing tells when a socket has ended. */
static bool knows_ends(const struct destinations *d)
{
	return d->hooks & (AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT);
}

/* Replaces the part that one socket has contributed to the total. */
static void replace(uint64_t *total, uint64_t before, uint64_t now)
{
	*total = *total + now >= before ? *total + now - before : 0;
}

/* Whether the event names the process of a socket that was unattributed so far. */
static bool becomes_known(const struct destinations *d, const struct open_socket *socket,
			  const struct agentsh_ebpf_event *event)
{
	return d->table[socket->row].key.unattributed &&
	       !(event->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED) &&
	       socket->destination == destination_of(d, event);
}

/* Moves what the socket has contributed to the row of its process. */
static void adopt(struct destinations *d, struct open_socket *socket,
		  const struct agentsh_ebpf_event *event, const char *name)
{
	const uint32_t number = row_of(d, event, name);
	struct destination_row *from = &d->table[socket->row], *to = &d->table[number];

	if (from->connections) {
		from->connections--;
		to->connections++;
	}
	replace(&from->bytes_sent, socket->bytes_sent, 0);
	replace(&from->bytes_received, socket->bytes_received, 0);
	to->bytes_sent += socket->bytes_sent;
	to->bytes_received += socket->bytes_received;
	to->latest_socket = socket->cookie;
	socket->row = number;
}

/* The row of the event's destination; counts a connection unless the socket has it already. */
static uint32_t begin(struct destinations *d, struct open_socket *socket,
		      const struct agentsh_ebpf_event *event, const char *name)
{
	const uint64_t destination = destination_of(d, event);
	struct destination_row *row;
	uint32_t number;

	if (socket && event->kind != AGENTSH_EBPF_EVENT_CONNECT &&
	    socket->destination == destination)
		return socket->row;
	number = row_of(d, event, name);
	row = &d->table[number];
	/* With --udp-no-dedup, a socket may return to an earlier destination. */
	if (event->kind == AGENTSH_EBPF_EVENT_CONNECT || number == DESTINATIONS_MAX ||
	    !row->connections || row->latest_socket != event->socket_cookie)
		row->connections++;
	row->latest_socket = event->socket_cookie;
	if (!socket && knows_ends(d))
		socket = open_sockets_add(&d->sockets, event->socket_cookie);
	if (socket) {
		socket->row = number;
		socket->destination = destination;
	}
	return number;
}

/* Counts an attempt that the rules denied, which changes nothing of the socket. */
static void add_denied(struct destinations *d, const struct open_socket *socket,
		       const struct agentsh_ebpf_event *event, const char *name)
{
	const bool packet = event->kind == AGENTSH_EBPF_EVENT_PACKET_DENIED;
	struct destination_row *row;

	/* The connection is counted, and its end says whether it has failed. */
	if (packet && socket && socket->destination == destination_of(d, event))
		return;
	row = &d->table[row_of(d, event, name)];
	/* A process may repeat a datagram many times. */
	if ((packet || event->kind == AGENTSH_EBPF_EVENT_UDP_SEND) && row->connections &&
	    row->latest_socket == event->socket_cookie)
		return;
	row->connections++;
	row->failed++;
	row->latest_socket = event->socket_cookie;
}

/* Takes the numbers of a PROGRESS or CLOSED event, which replace earlier ones of the socket. */
static void take_bytes(struct destinations *d, uint32_t row, struct open_socket *socket,
		       const struct agentsh_ebpf_event *event)
{
	replace(&d->table[row].bytes_sent, socket ? socket->bytes_sent : 0, event->bytes_sent);
	replace(&d->table[row].bytes_received, socket ? socket->bytes_received : 0,
		event->bytes_received);
	if (!socket)
		return;
	socket->bytes_sent = event->bytes_sent;
	socket->bytes_received = event->bytes_received;
	socket->duration_ns = event->duration_ns;
}

void destinations_add(struct destinations *d, const struct agentsh_ebpf_event *event,
		      const char *known)
{
	const char *name = known && strlen(known) < DESTINATION_NAME_MAX ? known : "";
	struct open_socket *socket = open_sockets_find(&d->sockets, event->socket_cookie);
	const bool named = destinations_named_by(event, d->hooks);
	uint32_t row;

	if (verdict_is_final(event)) {
		if (named && verdict_is_denied(event))
			add_denied(d, socket, event, name);
		return;
	}
	if (socket && becomes_known(d, socket, event))
		adopt(d, socket, event, name);
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECT:
	case AGENTSH_EBPF_EVENT_UDP_SEND:
	case AGENTSH_EBPF_EVENT_ACCEPTED:
	case AGENTSH_EBPF_EVENT_FIRST_DATA:
	case AGENTSH_EBPF_EVENT_UNANNOUNCED:
		if (named)
			begin(d, socket, event, name);
		return;
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
	case AGENTSH_EBPF_EVENT_PROGRESS:
	case AGENTSH_EBPF_EVENT_CLOSED:
		break;
	default:
		return;
	}
	if (!socket && !named)
		return;
	if (socket) {
		row = socket->row;
	} else { /* its first event was lost */
		row = begin(d, NULL, event, name);
		socket = open_sockets_find(&d->sockets, event->socket_cookie);
	}
	if (event->kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED)
		d->table[row].failed++;
	else if (event->kind == AGENTSH_EBPF_EVENT_CLOSED)
		durations_add(&d->table[row].durations, event->duration_ns);
	/* Without room for the socket, the bytes of PROGRESS could be counted twice. */
	if (event->kind == AGENTSH_EBPF_EVENT_CLOSED ||
	    (event->kind == AGENTSH_EBPF_EVENT_PROGRESS && socket))
		take_bytes(d, row, socket, event);
	if (event->kind == AGENTSH_EBPF_EVENT_CLOSED ||
	    event->kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED)
		open_sockets_remove(&d->sockets, event->socket_cookie);
}

static void add_duration(void *ctx, struct open_socket *socket)
{
	struct destinations *d = ctx;

	if (socket->duration_ns)
		durations_add(&d->table[socket->row].durations, socket->duration_ns);
}

void destinations_end(struct destinations *d)
{
	open_sockets_visit(&d->sockets, add_duration, d);
}

/* Larger numbers come first. */
static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int compare_rows(const void *first, const void *second)
{
	const struct destination_row *a = *(const struct destination_row *const *)first;
	const struct destination_row *b = *(const struct destination_row *const *)second;
	int order = (a->key.family == 0) - (b->key.family == 0); /* further destinations: last */

	if (!order)
		order = compare_numbers(a->bytes_sent + a->bytes_received,
					b->bytes_sent + b->bytes_received);
	if (!order)
		order = compare_numbers(a->connections, b->connections);
	if (!order)
		order = memcmp(&a->key, &b->key, sizeof(a->key));
	return order ? order : strcmp(a->name, b->name);
}

size_t destinations_sorted(const struct destinations *d,
			   const struct destination_row *sorted[DESTINATIONS_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i <= DESTINATIONS_MAX; i++) {
		const struct destination_row *row = &d->table[i];

		if (row->connections || row->bytes_sent || row->bytes_received)
			sorted[n++] = row;
	}
	qsort(sorted, n, sizeof(sorted[0]), compare_rows); /* NOLINT(bugprone-sizeof-expression) */
	return n;
}
