/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The results: one value per round for each (scenario, load, variant, figure), and ratios of
 * these. Values are added while the rounds run and printed at the end. Strings are not copied:
 * pass literals.
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
	double *values; /* one per round, in order */
};

/* One ratio per round, of values of the same round. */
struct ratio {
	struct series series;
	double target; /* upper limit; NAN: for information only */
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
	bool failed; /* see report_failure() */
};

void report_add(const char *scenario, const char *load, const char *variant, const char *figure,
		const char *unit, double value);

/* The target is an upper limit, or NAN. A value of NAN, from a difference that is all noise, is
 * left out. */
void report_ratio(const char *scenario, const char *load, const char *text, double target,
		  double value);

/* The median of all rounds so far; NAN if there is none. */
double report_median(const char *scenario, const char *load, const char *variant,
		     const char *figure);

/* The value of the current round, for a ratio; NAN if there is none. */
double report_last(const char *scenario, const char *load, const char *variant, const char *figure);

void report_fact(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something that makes a run doubtful. Each text is kept once. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A note about something that makes a run wrong: the program's exit status will be 1. */
#define report_failure(...)                                                                        \
	do {                                                                                       \
		report_note(__VA_ARGS__);                                                          \
		report_fail();                                                                     \
	} while (0)
void report_fail(void);

/* Whether the median is within the target. */
bool report_met(const struct ratio *ratio);

struct summary summarize(const struct series *series);
const struct report *report_get(void);

/* The results for people, and for programs. */
void report_table(FILE *out);
int report_json(const char *path);

#endif
