/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "util.h"

static struct report report;

const struct report *report_get(void)
{
	return &report;
}

static bool matches(const struct series *s, const char *scenario, const char *load,
		    const char *variant, const char *figure)
{
	return !strcmp(s->scenario, scenario) && !strcmp(s->load, load) &&
	       !strcmp(s->variant, variant) && !strcmp(s->figure, figure);
}

static struct series *find(const char *scenario, const char *load, const char *variant,
			   const char *figure)
{
	for (size_t i = 0; i < report.series_count; i++)
		if (matches(report.series[i], scenario, load, variant, figure))
			return report.series[i];
	return NULL;
}

static void append(struct series *s, double value)
{
	s->values = xrealloc(s->values, (s->n + 1) * sizeof(*s->values));
	s->values[s->n++] = value;
}

void report_add(const char *scenario, const char *load, const char *variant, const char *figure,
		const char *unit, double value)
{
	struct series *s = find(scenario, load, variant, figure);

	if (!s) {
		s = xrealloc(NULL, sizeof(*s));
		*s = (struct series){scenario, load, variant, figure, unit, 0, NULL};
		report.series = xrealloc(report.series,
					 (report.series_count + 1) * sizeof(struct series *));
		report.series[report.series_count++] = s;
	}
	append(s, value);
}

double report_last(const char *scenario, const char *load, const char *variant, const char *figure)
{
	const struct series *s = find(scenario, load, variant, figure);

	return s && s->n ? s->values[s->n - 1] : (double)NAN;
}

double report_median(const char *scenario, const char *load, const char *variant,
		     const char *figure)
{
	const struct series *s = find(scenario, load, variant, figure);

	return s ? summarize(s).median : (double)NAN;
}

void report_ratio(const char *scenario, const char *load, const char *text, double target,
		  double value)
{
	struct ratio *r = NULL;

	if (!isfinite(value))
		return;
	for (size_t i = 0; i < report.ratio_count && !r; i++)
		if (matches(&report.ratios[i]->series, scenario, load, "", text))
			r = report.ratios[i];
	if (!r) {
		r = xrealloc(NULL, sizeof(*r));
		*r = (struct ratio){{scenario, load, "", text, "", 0, NULL}, target};
		report.ratios =
			xrealloc(report.ratios, (report.ratio_count + 1) * sizeof(struct ratio *));
		report.ratios[report.ratio_count++] = r;
	}
	append(&r->series, value);
}

void report_fact(const char *name, const char *format, ...)
{
	char(*fact)[256];
	va_list args;

	report.facts = xrealloc(report.facts, (report.fact_count + 1) * sizeof(*report.facts));
	fact = report.facts[report.fact_count++];
	snprintf(fact[0], sizeof(fact[0]), "%s", name);
	va_start(args, format);
	vsnprintf(fact[1], sizeof(fact[1]), format, args);
	va_end(args);
}

void report_note(const char *format, ...)
{
	char text[sizeof(*report.notes)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (size_t i = 0; i < report.note_count; i++)
		if (!strcmp(report.notes[i], text))
			return;
	report.notes = xrealloc(report.notes, (report.note_count + 1) * sizeof(*report.notes));
	memcpy(report.notes[report.note_count++], text, sizeof(text));
}

void report_fail(void)
{
	report.failed = true;
}

struct summary summarize(const struct series *s)
{
	struct summary sum;
	double *sorted;

	if (!s->n)
		return (struct summary){(double)NAN, (double)NAN, (double)NAN};
	sorted = xrealloc(NULL, s->n * sizeof(*sorted));
	memcpy(sorted, s->values, s->n * sizeof(*sorted));
	sum.median = median(sorted, s->n);
	sum.min = sorted[0];
	sum.max = sorted[s->n - 1];
	free(sorted);
	return sum;
}

bool report_met(const struct ratio *ratio)
{
	return summarize(&ratio->series).median <= ratio->target;
}
