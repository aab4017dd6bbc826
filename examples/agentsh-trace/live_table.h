/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace as text, one row per event or per connection. In a file or a pipe every
 * event has a row. On a terminal, an attempt is held back briefly so that it shares a
 * row with its result. If nothing else writes to the terminal, a connection has one
 * row, which is updated until the connection ends.
 *
 * If the packets of datagram sockets are counted, connect(2) of such a socket that is
 * closed or connected elsewhere without having sent is shown as a probe. Its row is held
 * back briefly, too, where it cannot be updated.
 */
#ifndef LIVE_TABLE_H
#define LIVE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "connections.h"
#include "format_text.h"
#include "interfaces.h"
#include "names.h"
#include "output.h"
#include "terminal.h"

/* Most bytes of output that one event causes. */
#define LIVE_TABLE_EVENT_MAX ((size_t)6 * 3072)

enum live_table_mode {
	LIVE_TABLE_PLAIN,    /* one row per event */
	LIVE_TABLE_PAIRING,  /* an attempt and its result share a row */
	LIVE_TABLE_UPDATING, /* one row per connection */
};

struct live_table {
	struct output *output;
	struct format_text_style style;
	enum live_table_mode mode;
	bool outcomes; /* CONNECTED or CONNECT_FAILED events are reported and shown */
	struct interfaces interfaces;
	struct terminal terminal;
	struct connections connections;
};

/* owned: no traced command has the output's terminal as its own. */
void live_table_init(struct live_table *table, struct output *output, bool owned);

/*
 * Writes the header. outcomes: CONNECTED or CONNECT_FAILED events will come. traffic: the
 * packets of datagram sockets are counted.
 */
void live_table_begin(struct live_table *table, bool outcomes, bool traffic);

/* An event that is not to be shown may still change the rows of others. */
void live_table_event(struct live_table *table, const struct agentsh_ebpf_event *event,
		      const struct names *names, uint64_t time_ns, bool shown);

/* Writes a row that says how many events were lost. */
void live_table_gap(struct live_table *table, uint64_t lost);

/* Milliseconds until live_table_tick() must be called; -1: no deadline. */
int live_table_wait_ms(struct live_table *table);
void live_table_tick(struct live_table *table);

/* Called when this process continues after a stop, during which others used the terminal. */
void live_table_interrupted(struct live_table *table);

/* Writes the rows that are still held back. The summary comes after them. */
void live_table_end(struct live_table *table);

#endif
