/* SPDX-License-Identifier: Apache-2.0 */
#include "display.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"

/* An attempt is shown without its result after this: long for a handshake, short for a reader. */
#define HOLD_MS 300

/* A line on its way; colours and escaped names make it longer than it looks. */
struct line {
	char buf[DISPLAY_EVENT_MAX / 4];
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

void display_init(struct display *d, struct output *output, bool owned)
{
	d->output = output;
	d->style.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	if (!terminal_is_one(output->fd))
		return;
	d->style.colour = wants_colour();
	d->way = DISPLAY_HOLDING;
	if (!terminal_open(&d->terminal, output->fd))
		return;
	d->style.columns = people_columns_for(d->terminal.width);
	if (owned || !terminal_is_shared(output->fd))
		d->way = DISPLAY_FILLING;
}

/* Returns the row. */
static uint64_t add(struct display *d, const struct text *line)
{
	struct text out = output_begin(d->output);
	uint64_t row = 0;

	if (d->way == DISPLAY_FILLING)
		row = terminal_add(&d->terminal, &out, line);
	else
		text_bytes(&out, line->buf, line->len);
	output_end(d->output, &out);
	return row;
}

static bool replace(struct display *d, uint64_t row, const struct text *line)
{
	struct text out = output_begin(d->output);
	bool done = terminal_replace(&d->terminal, &out, row, line);

	output_end(d->output, &out);
	return done;
}

static void add_header(struct display *d)
{
	struct line line;

	people_header(line_begin(&line), &d->style);
	add(d, &line.text);
}

void display_begin(struct display *d, bool outcomes)
{
	d->outcomes = outcomes;
	add_header(d);
}

/* The columns that the terminal has room for now. */
static void fit(struct display *d)
{
	enum people_columns columns;

	if (d->way != DISPLAY_FILLING)
		return;
	terminal_look(&d->terminal);
	columns = people_columns_for(d->terminal.width);
	if (columns == d->style.columns)
		return;
	d->style.columns = columns;
	add_header(d);
}

void display_gap(struct display *d, uint64_t lost)
{
	struct line line;

	people_gap(line_begin(&line), &d->style, lost);
	add(d, &line.text);
}

static void add_event(struct display *d, const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	struct line line;

	people_event(line_begin(&line), &d->style, event, time_ns);
	add(d, &line.text);
}

static void add_connection(struct display *d, struct connection *c)
{
	struct line line;

	c->held = false;
	people_connection(line_begin(&line), &d->style, &c->first, c->time_ns, &c->story);
	c->row = add(d, &line.text);
}

/* In its place, or below if that is gone. */
static void update_connection(struct display *d, struct connection *c)
{
	struct line line;

	people_connection(line_begin(&line), &d->style, &c->first, c->time_ns, &c->story);
	if (!replace(d, c->row, &line.text))
		c->row = add(d, &line.text);
}

/* A connection, or a datagram socket's destination, begins. */
static struct connection *begin(struct display *d, const struct agentsh_ebpf_event *event,
				uint64_t time_ns)
{
	struct connection *oldest = connections_oldest(&d->connections);

	if (oldest && oldest->held)
		add_connection(d, oldest);
	return connections_add(&d->connections, event, time_ns);
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

static void tell(struct connection *c, const struct agentsh_ebpf_event *event)
{
	if (is_end(event))
		c->story.end = event; /* for as long as the caller has it: the last line */
	else
		c->story = (struct people_story){.connected = true,
						 .connected_ns = event->duration_ns};
}

static void hold_event(struct display *d, const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	struct connection *c = connections_find(&d->connections, event);

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECT:
		if (c && c->held)
			add_connection(d, c); /* it failed before it got anywhere */
		if (!d->outcomes || !is_stream(event))
			break;
		c = begin(d, event, time_ns);
		c->held = true;
		c->due_ms = clock_monotonic_ms() + HOLD_MS;
		return;
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		if (!c)
			c = begin(d, event, time_ns);
		tell(c, event);
		add_connection(d, c);
		connections_end(&d->connections, event);
		return;
	case AGENTSH_EBPF_EVENT_CLOSED:
		if (c && c->held)
			add_connection(d, c); /* where its result was lost */
		connections_end(&d->connections, event);
		break;
	default:
		break;
	}
	add_event(d, event, time_ns);
}

static void fill_event(struct display *d, const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	struct connection *c;

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
	case AGENTSH_EBPF_EVENT_CLOSED:
		c = connections_find(&d->connections, event);
		if (c) {
			tell(c, event);
			update_connection(d, c);
		} else if (event->kind == AGENTSH_EBPF_EVENT_CLOSED) {
			add_event(d, event, time_ns);
		} else {
			c = begin(d, event, time_ns);
			tell(c, event);
			add_connection(d, c);
		}
		if (is_end(event))
			connections_end(&d->connections, event);
		break;
	case AGENTSH_EBPF_EVENT_CONNECT:
	case AGENTSH_EBPF_EVENT_UDP_SEND:
	case AGENTSH_EBPF_EVENT_ACCEPTED:
		add_connection(d, begin(d, event, time_ns));
		break;
	default:
		break;
	}
}

void display_event(struct display *d, const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	fit(d);
	switch (d->way) {
	case DISPLAY_PLAIN:
		add_event(d, event, time_ns);
		break;
	case DISPLAY_HOLDING:
		hold_event(d, event, time_ns);
		break;
	case DISPLAY_FILLING:
		fill_event(d, event, time_ns);
		break;
	}
}

int display_wait_ms(struct display *d)
{
	struct connection *c = connections_held(&d->connections);
	int64_t ms;

	if (!c)
		return -1;
	ms = c->due_ms - clock_monotonic_ms();
	return ms > 0 ? (int)ms : 0;
}

void display_tick(struct display *d)
{
	while (display_wait_ms(d) == 0)
		add_connection(d, connections_held(&d->connections));
}

void display_interrupted(struct display *d)
{
	terminal_forget(&d->terminal);
}

void display_end(struct display *d)
{
	struct connection *c;

	while ((c = connections_held(&d->connections)))
		add_connection(d, c);
}
