/* SPDX-License-Identifier: Apache-2.0 */
/* Formats events and connections as text in columns. Writes nothing. */
#ifndef FORMAT_TEXT_H
#define FORMAT_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct agentsh_ebpf_event;
struct agentsh_ebpf_name;
struct interfaces;
struct names;
struct options_rule;

/* The columns to show. */
enum format_text_columns {
	FORMAT_TEXT_ALL,
	FORMAT_TEXT_NO_TIME,
	FORMAT_TEXT_NO_PID, /* neither time nor PID */
	FORMAT_TEXT_NARROW, /* like NO_PID, in narrower columns */
};

struct format_text_style {
	bool colour;
	bool utf8;
	bool traffic;	  /* the packets of datagram sockets are counted */
	bool shared_rows; /* connected and connect_failed never have a row to themselves */
	bool addresses;	  /* also of destinations that have a name */
	enum format_text_columns columns;
	const struct interfaces *interfaces; /* NULL: numbers instead of names */
	const struct options_rule *rules;    /* rule_id 1 and so on; further ones are numbers */
	uint32_t rules_given;
	bool default_allows; /* what no rule matches */
};

/* The columns with which a connection's row fits this many characters; 0: unlimited. */
enum format_text_columns format_text_columns_for(unsigned width);

/* Whether names and addresses fit; 0: unlimited. */
bool format_text_addresses_for(unsigned width);

void format_text_header(struct text *t, const struct format_text_style *style);

/*
 * Appends the row of one event; nothing for an unknown kind. names NULL: none. time_ns is Unix
 * time.
 */
void format_text_event(struct text *t, const struct format_text_style *style,
		       const struct agentsh_ebpf_event *event, const struct names *names,
		       uint64_t time_ns);

/* What has happened to a connection since its first event. */
struct format_text_progress {
	bool connected;
	uint64_t connected_ns; /* duration of the handshake; 0: unknown */
	bool silent;	       /* a datagram socket that has sent nothing since connect(2) */
	bool probe;	       /* and that was closed or connected elsewhere then */
	const struct agentsh_ebpf_event *so_far; /* PROGRESS; NULL: unknown */
	const struct agentsh_ebpf_event *end;	 /* CONNECT_FAILED or CLOSED; NULL: still open */
};

/* Appends the row of a connection: its first event, and its progress. name NULL: none. */
void format_text_connection(struct text *t, const struct format_text_style *style,
			    const struct agentsh_ebpf_event *first,
			    const struct agentsh_ebpf_name *known, uint64_t time_ns,
			    const struct format_text_progress *progress);

/* Appends a row that stands for lost events. */
void format_text_gap(struct text *t, const struct format_text_style *style, uint64_t lost);

#endif
