/* SPDX-License-Identifier: Apache-2.0 */
/* The trace for people: a line of columns an event, and a summary. No I/O. */
#ifndef PEOPLE_H
#define PEOPLE_H

#include <stdint.h>

#include "text.h"

struct agentsh_ebpf_event;
struct agentsh_ebpf_stats;
struct destinations;

struct people_style {
	bool colour;
	bool utf8;
};

void people_header(struct text *t, const struct people_style *style);
/* An event of unknown kind gives no line. time_ns is Unix time. */
void people_event(struct text *t, const struct people_style *style,
		  const struct agentsh_ebpf_event *event, uint64_t time_ns);
/* Where events are missing, between two that are there. */
void people_gap(struct text *t, const struct people_style *style, uint64_t lost);
void people_summary(struct text *t, const struct people_style *style,
		    const struct agentsh_ebpf_stats *stats, const struct destinations *seen);

#endif
