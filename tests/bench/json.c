/* SPDX-License-Identifier: Apache-2.0 */
/* The report for programs: everything, with the value of each round. */
#include <math.h>
#include <string.h>

#include "report.h"
#include "util.h"

static void string(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c < 0x20)
			fprintf(out, "\\u%04x", *c);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

static void member(FILE *out, const char *name, const char *value)
{
	string(out, name);
	fputs(": ", out);
	string(out, value);
}

static void number(FILE *out, double v)
{
	if (isfinite(v))
		fprintf(out, "%.10g", v);
	else
		fputs("null", out);
}

static void values(FILE *out, const struct series *s)
{
	struct summary sum = summarize(s);

	fputs("\"median\": ", out);
	number(out, sum.median);
	fputs(", \"min\": ", out);
	number(out, sum.min);
	fputs(", \"max\": ", out);
	number(out, sum.max);
	fputs(", \"rounds\": [", out);
	for (size_t i = 0; i < s->n; i++) {
		if (i)
			fputs(", ", out);
		number(out, s->values[i]);
	}
	fputc(']', out);
}

static void names(FILE *out, const struct series *s)
{
	member(out, "scenario", s->scenario);
	fputs(", ", out);
	member(out, "load", s->load);
	fputs(", ", out);
}

static void write_series(FILE *out, const struct report *r)
{
	fputs("\"series\": [", out);
	for (size_t i = 0; i < r->series_count; i++) {
		const struct series *s = r->series[i];

		fputs(i ? ",\n  {" : "\n  {", out);
		names(out, s);
		member(out, "variant", s->variant);
		fputs(", ", out);
		member(out, "figure", s->figure);
		fputs(", ", out);
		member(out, "unit", s->unit);
		fputs(", ", out);
		values(out, s);
		fputc('}', out);
	}
	fputs("\n ],\n ", out);
}

static void write_ratios(FILE *out, const struct report *r)
{
	fputs("\"ratios\": [", out);
	for (size_t i = 0; i < r->ratio_count; i++) {
		const struct ratio *ratio = r->ratios[i];

		fputs(i ? ",\n  {" : "\n  {", out);
		names(out, &ratio->series);
		member(out, "ratio", ratio->series.figure);
		fputs(", \"target\": ", out);
		number(out, ratio->target);
		fputs(", ", out);
		if (!isnan(ratio->target))
			fprintf(out, "\"met\": %s, ", report_met(ratio) ? "true" : "false");
		values(out, &ratio->series);
		fputc('}', out);
	}
	fputs("\n ],\n ", out);
}

int report_json(const char *path)
{
	const struct report *r = report_get();
	FILE *out = fopen(path, "we");

	if (!out)
		return -1;
	fputs("{\"conditions\": {", out);
	for (size_t i = 0; i < r->fact_count; i++) {
		fputs(i ? ",\n  " : "\n  ", out);
		member(out, r->facts[i][0], r->facts[i][1]);
	}
	fputs("\n },\n ", out);
	write_series(out, r);
	write_ratios(out, r);
	fputs("\"notes\": [", out);
	for (size_t i = 0; i < r->note_count; i++) {
		fputs(i ? ", " : "", out);
		string(out, r->notes[i]);
	}
	fputs("]\n}\n", out);
	return fclose(out) ? -1 : 0;
}
