/* SPDX-License-Identifier: Apache-2.0 */
#include "live_table.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"

/* How long an attempt waits for its result: long for a handshake, short for a reader. */
#define HOLD_MS 300

/* A row before it is written; colours and escaped names make it longer than it looks. */
struct line {
	char buf[LIVE_TABLE_EVENT_MAX / 6];
	struct text text;
};

static struct text *line_begin(struct line *line)
{
	line->text = (struct text){.buf = line->buf, .cap = sizeof(line->buf)};
	return &line->text;
}

static bool wants_colour(void)
{
	const char *no_colour = getenv("NO_COLOR");

	return !(no_colour && *no_colour);
}

void live_table_init(struct live_table *table, struct output *output, bool owned)
{
	table->output = output;
	interfaces_open(&table->interfaces);
	table->style.interfaces = &table->interfaces;
	table->style.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	if (!terminal_usable(output->fd))
		return;
	table->style.colour = wants_colour();
	table->mode = LIVE_TABLE_PAIRING;
	table->style.shared_rows = true;
	if (!terminal_open(&table->terminal, output->fd))
		return;
	table->style.columns = format_text_columns_for(table->terminal.width);
	if (owned || !terminal_is_shared(output->fd))
		table->mode = LIVE_TABLE_UPDATING;
}

/* Returns the number of the new row. */
static uint64_t add_row(struct live_table *table, const struct text *line)
{
	struct text out = output_begin(table->output);
	uint64_t row = 0;

	if (table->mode == LIVE_TABLE_UPDATING)
		row = terminal_add(&table->terminal, &out, line);
	else
		text_bytes(&out, line->buf, line->len);
	output_end(table->output, &out);
	return row;
}

static bool replace_row(struct live_table *table, uint64_t row, const struct text *line)
{
	struct text out = output_begin(table->output);
	bool done = terminal_replace(&table->terminal, &out, row, line);

	output_end(table->output, &out);
	return done;
}

static void add_header(struct live_table *table)
{
	struct line line;

	format_text_header(line_begin(&line), &table->style);
	add_row(table, &line.text);
}

void live_table_begin(struct live_table *table, bool outcomes, bool traffic)
{
	table->outcomes = outcomes;
	table->style.traffic = traffic;
	add_header(table);
}

/* Chooses the columns that fit the current width of the terminal. */
static void fit_columns(struct live_table *table)
{
	enum format_text_columns columns;

	if (table->mode != LIVE_TABLE_UPDATING)
		return;
	terminal_refresh(&table->terminal);
	columns = format_text_columns_for(table->terminal.width);
	if (columns == table->style.columns)
		return;
	table->style.columns = columns;
	add_header(table);
}

void live_table_gap(struct live_table *table, uint64_t lost)
{
	struct line line;

	format_text_gap(line_begin(&line), &table->style, lost);
	add_row(table, &line.text);
}

static void add_event(struct live_table *table, const struct agentsh_ebpf_event *event,
		      uint64_t time_ns)
{
	struct line line;

	format_text_event(line_begin(&line), &table->style, event, time_ns);
	add_row(table, &line.text);
}

static void format_connection(const struct live_table *table, const struct connection *c,
			      struct line *line)
{
	struct format_text_progress progress = c->progress;

	/* A row that cannot be updated must not look like a probe before it is one. */
	progress.silent = c->progress.silent && table->mode == LIVE_TABLE_UPDATING;
	format_text_connection(line_begin(line), &table->style, &c->first, c->time_ns, &progress);
}

static void add_connection(struct live_table *table, struct connection *c)
{
	struct line line;

	c->held = false;
	format_connection(table, c, &line);
	c->row = add_row(table, &line.text);
}

/* Rewrites the row of the connection, or adds a new one if that row has left the screen. */
static void update_connection(struct live_table *table, struct connection *c)
{
	struct line line;

	format_connection(table, c, &line);
	if (!replace_row(table, c->row, &line.text))
		c->row = add_row(table, &line.text);
}

/* Starts the record of a connection, or of one destination of a datagram socket. */
static struct connection *begin_connection(struct live_table *table,
					   const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	struct connection *oldest = connections_oldest(&table->connections);

	if (oldest && oldest->held)
		add_connection(table, oldest);
	return connections_add(&table->connections, event, time_ns);
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

static void record_result(struct connection *c, const struct agentsh_ebpf_event *event)
{
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

static void plain_event(struct live_table *table, const struct agentsh_ebpf_event *event,
			uint64_t time_ns)
{
	struct connection *c;

	if (may_be_probe(table, event)) {
		c = begin_connection(table, event, time_ns);
		c->progress.silent = true;
		hold(c);
		return;
	}
	if (event->kind == AGENTSH_EBPF_EVENT_CLOSED)
		end_socket(table, event);
	add_event(table, event, time_ns);
}

static void pair_event(struct live_table *table, const struct agentsh_ebpf_event *event,
		       uint64_t time_ns)
{
	struct connection *c = connections_find(&table->connections, event);

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECT:
		if (c && c->held)
			add_connection(table, c); /* the earlier attempt failed before its SYN */
		if (!table->outcomes || !is_stream(event))
			break;
		hold(begin_connection(table, event, time_ns));
		return;
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		if (!c)
			c = begin_connection(table, event, time_ns);
		record_result(c, event);
		add_connection(table, c);
		connections_end(&table->connections, event);
		return;
	default:
		break;
	}
	plain_event(table, event, time_ns);
}

static void update_event(struct live_table *table, const struct agentsh_ebpf_event *event,
			 uint64_t time_ns)
{
	struct connection *c;

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
	case AGENTSH_EBPF_EVENT_CLOSED:
		c = connections_find(&table->connections, event);
		if (c) {
			record_result(c, event);
			update_connection(table, c);
		} else if (event->kind == AGENTSH_EBPF_EVENT_CLOSED) {
			add_event(table, event, time_ns);
		} else {
			c = begin_connection(table, event, time_ns);
			record_result(c, event);
			add_connection(table, c);
		}
		if (is_end(event))
			connections_end(&table->connections, event);
		break;
	case AGENTSH_EBPF_EVENT_FIRST_DATA:
	case AGENTSH_EBPF_EVENT_PROGRESS: /* changes a row, if there is one */
		if (!connections_find(&table->connections, event))
			add_event(table, event, time_ns);
		break;
	default:
		c = begin_connection(table, event, time_ns);
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

void live_table_event(struct live_table *table, const struct agentsh_ebpf_event *event,
		      uint64_t time_ns, bool shown)
{
	struct connection *settled;

	fit_columns(table);
	if (event->kind == AGENTSH_EBPF_EVENT_SESSION_BLIND) { /* of no connection */
		if (shown)
			add_event(table, event, time_ns);
		return;
	}
	if (event->kind == AGENTSH_EBPF_EVENT_PROGRESS)
		update_progress(table, event);
	settled = connections_settle(&table->connections, event);
	if (settled && event->kind == AGENTSH_EBPF_EVENT_CLOSED && shown && settled->held &&
	    table->mode == LIVE_TABLE_PAIRING) { /* one row for both */
		record_result(settled, event);
		shown = false;
	}
	if (settled)
		show_settled(table, settled);
	if (!shown) {
		if (event->kind == AGENTSH_EBPF_EVENT_CLOSED)
			end_socket(table, event);
		return;
	}
	switch (table->mode) {
	case LIVE_TABLE_PLAIN:
		plain_event(table, event, time_ns);
		break;
	case LIVE_TABLE_PAIRING:
		pair_event(table, event, time_ns);
		break;
	case LIVE_TABLE_UPDATING:
		update_event(table, event, time_ns);
		break;
	}
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
