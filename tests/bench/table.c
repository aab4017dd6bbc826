/* SPDX-License-Identifier: Apache-2.0 */
/* The report for people: one block per load, one row per variant, one column per figure. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "report.h"
#include "util.h"

enum { MAX_COLUMNS = 12, CELL = 48 };

static void number(char *out, size_t size, double v)
{
	int digits = v == floor(v) || fabs(v) >= 100 ? 0 : fabs(v) >= 10 ? 1 : 2;

	snprintf(out, size, "%.*f", digits, v);
}

static void cell(char *out, const struct series *s)
{
	struct summary sum = summarize(s);
	char median[14], min[14], max[14];

	number(median, sizeof(median), sum.median);
	number(min, sizeof(min), sum.min);
	number(max, sizeof(max), sum.max);
	if (sum.min == sum.max)
		snprintf(out, CELL, "%s", median);
	else
		snprintf(out, CELL, "%s (%s-%s)", median, min, max);
}

static bool same_block(const struct series *a, const struct series *b)
{
	return !strcmp(a->scenario, b->scenario) && !strcmp(a->load, b->load);
}

/* Index of a name in the list; a new name is added. */
static size_t place(const char **names, size_t *n, const char *name)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (!strcmp(names[i], name))
			return i;
	if (i == MAX_COLUMNS)
		die("table: more than %d names in a block", MAX_COLUMNS);
	names[(*n)++] = name;
	return i;
}

static void block(FILE *out, const struct report *r, const struct series *first)
{
	char cells[MAX_COLUMNS][MAX_COLUMNS][CELL] = {0};
	const char *rows[MAX_COLUMNS], *columns[MAX_COLUMNS];
	size_t row_count = 0, column_count = 0, width = strlen("variant");
	char heads[MAX_COLUMNS][CELL];

	for (size_t i = 0; i < r->series_count; i++) {
		const struct series *s = r->series[i];
		size_t row, column;

		if (!same_block(s, first))
			continue;
		row = place(rows, &row_count, s->variant);
		column = place(columns, &column_count, s->figure);
		snprintf(heads[column], CELL, "%s%s%s", s->figure, *s->unit ? ", " : "", s->unit);
		cell(cells[row][column], s);
		if (strlen(s->variant) > width)
			width = strlen(s->variant);
	}

	fprintf(out, "\n%s: %s\n  %-*s", first->scenario, first->load, (int)width, "variant");
	for (size_t c = 0; c < column_count; c++) {
		size_t wide = strlen(heads[c]);

		for (size_t i = 0; i < row_count; i++)
			if (strlen(cells[i][c]) > wide)
				wide = strlen(cells[i][c]);
		for (size_t i = 0; i < row_count; i++) {
			char text[CELL];

			snprintf(text, sizeof(text), "%s", *cells[i][c] ? cells[i][c] : "-");
			snprintf(cells[i][c], CELL, "%*s", (int)wide, text);
		}
		fprintf(out, "  %*s", (int)wide, heads[c]);
	}
	for (size_t i = 0; i < row_count; i++) {
		fprintf(out, "\n  %-*s", (int)width, rows[i]);
		for (size_t c = 0; c < column_count; c++)
			fprintf(out, "  %s", cells[i][c]);
	}
	fputc('\n', out);
}

static void ratios(FILE *out, const struct report *r)
{
	int name = 0, load = 0, text = 0;

	for (size_t i = 0; i < r->ratio_count; i++) {
		const struct series *s = &r->ratios[i]->series;

		name = MAX(name, (int)strlen(s->scenario));
		load = MAX(load, (int)strlen(s->load));
		text = MAX(text, (int)strlen(s->figure));
	}
	if (r->ratio_count)
		fprintf(out, "\nratios: median (min-max) of the ratios of the rounds\n");
	for (size_t i = 0; i < r->ratio_count; i++) {
		const struct ratio *ratio = r->ratios[i];
		const struct series *s = &ratio->series;
		struct summary sum = summarize(s);
		char value[CELL], target[CELL] = "";

		snprintf(value, sizeof(value), "%.2f (%.2f-%.2f)", sum.median, sum.min, sum.max);
		if (!isnan(ratio->target))
			snprintf(target, sizeof(target), "  target <= %.2f: %s", ratio->target,
				 report_met(ratio) ? "met" : "missed");
		fprintf(out, "  %-*s  %-*s  %-*s  %-18s%s\n", name, s->scenario, load, s->load,
			text, s->figure, value, target);
	}
}

void report_table(FILE *out)
{
	const struct report *r = report_get();

	for (size_t i = 0; i < r->fact_count; i++)
		fprintf(out, "%-16s %s\n", r->facts[i][0], r->facts[i][1]);
	fprintf(out, "%-16s median (min-max) of the rounds\n", "figures");

	for (size_t i = 0; i < r->series_count; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = same_block(r->series[k], r->series[i]);
		if (!seen)
			block(out, r, r->series[i]);
	}
	ratios(out, r);
	for (size_t i = 0; i < r->note_count; i++)
		fprintf(out, "%snote: %s\n", i ? "" : "\n", r->notes[i]);
}
