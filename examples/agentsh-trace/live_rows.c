/* SPDX-License-Identifier: Apache-2.0 */
#include "live_rows.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

struct text *live_row_begin(struct live_row *row)
{
	row->text = (struct text){.buf = row->buf, .cap = sizeof(row->buf)};
	return &row->text;
}

static bool wants_colour(void)
{
	const char *no_colour = getenv("NO_COLOR");

	return !(no_colour && *no_colour);
}

static void set_width(struct live_table *table)
{
	table->style.columns = format_text_columns_for(table->terminal.width);
	table->style.addresses = format_text_addresses_for(table->terminal.width);
}

void live_table_init(struct live_table *table, struct output *output, bool owned)
{
	table->output = output;
	interfaces_open(&table->interfaces);
	table->style.interfaces = &table->interfaces;
	table->style.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	table->style.addresses = true;
	if (!terminal_usable(output->fd))
		return;
	table->style.colour = wants_colour();
	table->mode = LIVE_TABLE_PAIRING;
	table->style.shared_rows = true;
	if (!terminal_open(&table->terminal, output->fd))
		return;
	set_width(table);
	if (owned || !terminal_is_shared(output->fd))
		table->mode = LIVE_TABLE_UPDATING;
}

uint64_t live_rows_add(struct live_table *table, const struct live_row *row)
{
	struct text out = output_begin(table->output);
	uint64_t number = 0;

	if (table->mode == LIVE_TABLE_UPDATING)
		number = terminal_add(&table->terminal, &out, &row->text);
	else
		text_bytes(&out, row->buf, row->text.len);
	output_end(table->output, &out);
	return number;
}

bool live_rows_replace(struct live_table *table, uint64_t number, const struct live_row *row)
{
	struct text out = output_begin(table->output);
	bool done = terminal_replace(&table->terminal, &out, number, &row->text);

	output_end(table->output, &out);
	return done;
}

static void add_header(struct live_table *table)
{
	struct live_row row;

	format_text_header(live_row_begin(&row), &table->style);
	live_rows_add(table, &row);
}

void live_table_begin(struct live_table *table, bool outcomes, bool traffic)
{
	table->outcomes = outcomes;
	table->style.traffic = traffic;
	add_header(table);
}

void live_rows_fit(struct live_table *table)
{
	const enum format_text_columns columns = table->style.columns;

	if (table->mode != LIVE_TABLE_UPDATING)
		return;
	terminal_refresh(&table->terminal);
	set_width(table);
	if (columns != table->style.columns)
		add_header(table);
}

void live_table_gap(struct live_table *table, uint64_t lost)
{
	struct live_row row;

	format_text_gap(live_row_begin(&row), &table->style, lost);
	live_rows_add(table, &row);
}
