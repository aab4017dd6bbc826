/* SPDX-License-Identifier: Apache-2.0 */
/* The trace for people: lines of columns, and a summary. No I/O. */
#ifndef PEOPLE_H
#define PEOPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct agentsh_ebpf_event;
struct agentsh_ebpf_stats;
struct destinations;
struct tally;

/* Which columns there is room for. */
enum people_columns {
	PEOPLE_ALL,
	PEOPLE_NO_TIME,
	PEOPLE_NO_PID, /* and no time */
	PEOPLE_NARROW, /* as little as tells connections apart */
};

struct people_style {
	bool colour;
	bool utf8;
	enum people_columns columns;
};

/* The most columns that let a connection's whole line stay in so many characters. */
enum people_columns people_columns_for(unsigned width);

void people_header(struct text *t, const struct people_style *style);

/* A line for an event alone; unknown kinds give none. time_ns is Unix time. */
void people_event(struct text *t, const struct people_style *style,
		  const struct agentsh_ebpf_event *event, uint64_t time_ns);

/* What has become of a connection so far. */
struct people_story {
	bool connected;
	uint64_t connected_ns;		      /* how long it took; 0: not known */
	const struct agentsh_ebpf_event *end; /* CONNECT_FAILED or CLOSED; NULL: not yet */
};

/* A line for a connection: its first event, and the story. */
void people_connection(struct text *t, const struct people_style *style,
		       const struct agentsh_ebpf_event *first, uint64_t time_ns,
		       const struct people_story *story);

/* Where events are missing, between two that are there. */
void people_gap(struct text *t, const struct people_style *style, uint64_t lost);

/* hooks: AGENTSH_EBPF_HOOK_ bits that were on. */
void people_summary(struct text *t, const struct people_style *style,
		    const struct agentsh_ebpf_stats *stats, const struct tally *tally,
		    const struct destinations *seen, uint32_t hooks);

#endif
