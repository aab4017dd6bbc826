/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was measured: one value a round for each (scenario, load, variant,
 * figure), and ratios of them. Values are added while the rounds run and
 * printed at the end. Strings are kept, not copied: pass literals.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct series {
	const char *scenario;
	const char *load;
	const char *variant;
	const char *figure;
	const char *unit;
	size_t n;
	double *values; /* in order of the rounds */
};

/* One ratio a round, of values of that very round. */
struct ratio {
	struct series series;
	double target; /* at most; NAN: for information */
};

struct summary {
	double median;
	double min;
	double max;
};

struct report {
	size_t series_count;
	struct series **series;
	size_t ratio_count;
	struct ratio **ratios;
	size_t fact_count;
	char (*facts)[2][256]; /* name and value of a condition */
	size_t note_count;
	char (*notes)[256];
};

void report_add(const char *scenario, const char *load, const char *variant, const char *figure,
		const char *unit, double value);

/* target at most, NAN for none. A value of NAN is left out: a difference that noise made
 * meaningless. */
void report_ratio(const char *scenario, const char *load, const char *text, double target,
		  double value);

/* Of all rounds so far; NAN if there is none. */
double report_median(const char *scenario, const char *load, const char *variant,
		     const char *figure);

/* The value of the round that runs, to make a ratio of; NAN if there is none. */
double report_last(const char *scenario, const char *load, const char *variant, const char *figure);

void report_fact(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What makes a run doubtful; each text once. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the median is within the target. */
bool report_met(const struct ratio *ratio);

struct summary summarize(const struct series *series);
const struct report *report_get(void);

/* Out to people and to programs. */
void report_table(FILE *out);
int report_json(const char *path);

#endif
