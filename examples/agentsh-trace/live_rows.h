/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the rows of a live table: how, not which. */
#ifndef LIVE_ROWS_H
#define LIVE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "live_table.h"
#include "text.h"

/* A row before it is written; colours and escaped names make it longer than it looks. */
struct live_row {
	char buf[LIVE_TABLE_EVENT_MAX / 6];
	struct text text;
};

struct text *live_row_begin(struct live_row *row);

/* Returns the number of the new row. */
uint64_t live_rows_add(struct live_table *table, const struct live_row *row);

/* Returns false if the row with this number cannot be rewritten any more. */
bool live_rows_replace(struct live_table *table, uint64_t number, const struct live_row *row);

/* Chooses the columns that fit the current width of the terminal. */
void live_rows_fit(struct live_table *table);

#endif
