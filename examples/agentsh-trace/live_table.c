/* SPDX-License-Identifier: Apache-2.0 */
#include "live_table.h"

#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "live_rows.h"
#include "names.h"
#include "verdict.h"

/* How long an attempt waits for its result: long for a handshake, short for a reader. */
#define HOLD_MS 300

/* An event and what is known of it. */
struct news {
	const struct agentsh_ebpf_event *event;
	const struct names *names;
	uint64_t time_ns; /* Unix time */
};

static void add_event(struct live_table *table, const struct news *news)
{
	struct live_row row;

	format_text_event(live_row_begin(&row), &table->style, news->event, news->names,
			  news->time_ns);
	live_rows_add(table, &row);
}

static void format_connection(const struct live_table *table, const struct connection *c,
			      struct live_row *row)
{
	struct format_text_progress progress = c->progress;

	/* A row that cannot be updated must not look like a probe before it is one. */
	progress.silent = c->progress.silent && table->mode == LIVE_TABLE_UPDATING;
	format_text_connection(live_row_begin(row), &table->style, &c->first,
			       c->named ? &c->name : NULL, c->time_ns, &progress);
}

static void add_connection(struct live_table *table, struct connection *c)
{
	struct live_row row;

	c->held = false;
	format_connection(table, c, &row);
	c->row = live_rows_add(table, &row);
}

/* Rewrites the row of the connection, or adds a new one if that row has left the screen. */
static void update_connection(struct live_table *table, struct connection *c)
{
	struct live_row row;

	format_connection(table, c, &row);
	if (!live_rows_replace(table, c->row, &row))
		c->row = live_rows_add(table, &row);
}

/* Starts the record of a connection, or of one destination of a datagram socket. */
static struct connection *begin_connection(struct live_table *table, const struct news *news)
{
	struct connection *oldest = connections_oldest(&table->connections), *c;

	if (oldest && oldest->held)
		add_connection(table, oldest);
	c = connections_add(&table->connections, news->event, news->time_ns);
	if (news->names && news->names->named)
		connections_name(c, &news->names->name);
	return c;
}

static void hold(struct connection *c)
{
	c->held = true;
	c->due_ms = clock_monotonic_ms() + HOLD_MS;
}

static bool is_stream(const struct agentsh_ebpf_event *event)
{
	return event->socket_type == SOCK_STREAM;
}

static bool is_end(const struct agentsh_ebpf_event *event)
{
	return event->kind == AGENTSH_EBPF_EVENT_CLOSED ||
	       event->kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED;
}

static void record_result(struct connection *c, const struct news *news)
{
	const struct agentsh_ebpf_event *event = news->event;

	/* Later events may know the server name, too. */
	if (is_stream(event) && news->names && news->names->named)
		connections_name(c, &news->names->name);
	/* A source route that was set after the attempt changes where the packets go. */
	if (is_stream(event) && event->flags & AGENTSH_EBPF_FLAG_SOURCE_ROUTED) {
		c->first.flags |= AGENTSH_EBPF_FLAG_SOURCE_ROUTED;
		memcpy(c->first.remote_addr, event->remote_addr, sizeof(c->first.remote_addr));
	}
	/* The pointer is used only until we return, because no event follows an end. */
	if (is_end(event))
		c->progress.end = event;
	else
		c->progress = (struct format_text_progress){.connected = true,
							    .connected_ns = event->duration_ns};
}

/* Whether it can turn out that the socket has sent nothing since this event. */
static bool may_be_probe(const struct live_table *table, const struct agentsh_ebpf_event *event)
{
	return table->style.traffic && event->kind == AGENTSH_EBPF_EVENT_CONNECT &&
	       event->socket_type == SOCK_DGRAM && !(event->flags & AGENTSH_EBPF_FLAG_UNTRACKED);
}

static void show_settled(struct live_table *table, struct connection *c)
{
	if (c->held)
		add_connection(table, c);
	else if (table->mode == LIVE_TABLE_UPDATING)
		update_connection(table, c);
}

/* Writes the row that is still held back, because no event of the socket follows. */
static void end_socket(struct live_table *table, const struct agentsh_ebpf_event *event)
{
	struct connection *c = connections_find(&table->connections, event);

	if (c && c->held)
		add_connection(table, c);
	connections_end(&table->connections, event);
}

static void plain_event(struct live_table *table, const struct news *news)
{
	struct connection *c;

	if (may_be_probe(table, news->event)) {
		c = begin_connection(table, news);
		c->progress.silent = true;
		hold(c);
		return;
	}
	if (news->event->kind == AGENTSH_EBPF_EVENT_CLOSED)
		end_socket(table, news->event);
	add_event(table, news);
}

static void pair_event(struct live_table *table, const struct news *news)
{
	const struct agentsh_ebpf_event *event = news->event;
	struct connection *c = connections_find(&table->connections, event);

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECT:
		if (c && c->held)
			add_connection(table, c); /* the earlier attempt failed before its SYN */
		if (!table->outcomes || !is_stream(event))
			break;
		hold(begin_connection(table, news));
		return;
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		if (!c)
			c = begin_connection(table, news);
		record_result(c, news);
		add_connection(table, c);
		connections_end(&table->connections, event);
		return;
	default:
		break;
	}
	plain_event(table, news);
}

static void update_event(struct live_table *table, const struct news *news)
{
	const struct agentsh_ebpf_event *event = news->event;
	struct connection *c;

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
	case AGENTSH_EBPF_EVENT_CLOSED:
		c = connections_find(&table->connections, event);
		if (c) {
			record_result(c, news);
			update_connection(table, c);
		} else if (event->kind == AGENTSH_EBPF_EVENT_CLOSED) {
			add_event(table, news);
		} else {
			c = begin_connection(table, news);
			record_result(c, news);
			add_connection(table, c);
		}
		if (is_end(event))
			connections_end(&table->connections, event);
		break;
	case AGENTSH_EBPF_EVENT_FIRST_DATA:
	case AGENTSH_EBPF_EVENT_PROGRESS: /* changes a row, if there is one */
	case AGENTSH_EBPF_EVENT_SERVER_NAME:
		if (!connections_find(&table->connections, event))
			add_event(table, news);
		break;
	default:
		c = begin_connection(table, news);
		c->progress.silent = may_be_probe(table, event);
		add_connection(table, c);
		break;
	}
}

/* The row of an open connection says how much it has moved, whether PROGRESS is shown or not. */
static void update_progress(struct live_table *table, const struct agentsh_ebpf_event *event)
{
	struct connection *c = connections_find(&table->connections, event);

	if (!c || table->mode != LIVE_TABLE_UPDATING)
		return;
	c->progress.so_far = event;
	update_connection(table, c);
	c->progress.so_far = NULL;
}

/* The row of an open connection shows the server name, whether SERVER_NAME is shown or not. */
static void update_name(struct live_table *table, const struct news *news)
{
	struct connection *c = connections_find(&table->connections, news->event);

	if (!c || !news->names || !news->names->named)
		return;
	connections_name(c, &news->names->name);
	if (table->mode == LIVE_TABLE_UPDATING)
		update_connection(table, c);
}

/* Whether the event has nothing to do with the row of a connection. */
static bool stands_alone(const struct agentsh_ebpf_event *event)
{
	return event->kind == AGENTSH_EBPF_EVENT_SESSION_BLIND ||
	       event->kind == AGENTSH_EBPF_EVENT_UNIX_CONNECT || names_of_dns(event);
}

/* A row that no later event changes. */
static void show_final(struct live_table *table, const struct news *news)
{
	struct connection *c = connections_find(&table->connections, news->event);

	if (c && c->held && is_stream(news->event))
		add_connection(table, c); /* the earlier attempt failed before its SYN */
	add_event(table, news);
}

static void show_event(struct live_table *table, const struct news *news)
{
	switch (table->mode) {
	case LIVE_TABLE_PLAIN:
		plain_event(table, news);
		break;
	case LIVE_TABLE_PAIRING:
		pair_event(table, news);
		break;
	case LIVE_TABLE_UPDATING:
		update_event(table, news);
		break;
	}
}

void live_table_event(struct live_table *table, const struct agentsh_ebpf_event *event,
		      const struct names *names, uint64_t time_ns, bool shown)
{
	const struct news news = {event, names, time_ns};
	struct connection *settled;

	live_rows_fit(table);
	if (stands_alone(event)) {
		if (shown)
			add_event(table, &news);
		return;
	}
	if (verdict_is_final(event)) {
		if (shown)
			show_final(table, &news);
		return;
	}
	if (event->kind == AGENTSH_EBPF_EVENT_PROGRESS)
		update_progress(table, event);
	if (event->kind == AGENTSH_EBPF_EVENT_SERVER_NAME)
		update_name(table, &news);
	settled = connections_settle(&table->connections, event);
	if (settled && event->kind == AGENTSH_EBPF_EVENT_CLOSED && shown && settled->held &&
	    table->mode == LIVE_TABLE_PAIRING) { /* one row for both */
		record_result(settled, &news);
		shown = false;
	}
	if (settled)
		show_settled(table, settled);
	if (shown)
		show_event(table, &news);
	else if (event->kind == AGENTSH_EBPF_EVENT_CLOSED)
		end_socket(table, event);
}

int live_table_wait_ms(struct live_table *table)
{
	struct connection *c = connections_held(&table->connections);
	int64_t ms;

	if (!c)
		return -1;
	ms = c->due_ms - clock_monotonic_ms();
	return ms > 0 ? (int)ms : 0;
}

void live_table_tick(struct live_table *table)
{
	while (live_table_wait_ms(table) == 0)
		add_connection(table, connections_held(&table->connections));
}

void live_table_interrupted(struct live_table *table)
{
	terminal_forget(&table->terminal);
}

void live_table_end(struct live_table *table)
{
	struct connection *c;

	while ((c = connections_held(&table->connections)))
		add_connection(table, c);
}
