/* SPDX-License-Identifier: Apache-2.0 */
#include "format_summary.h"

#include <inttypes.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "colour.h"
#include "destinations.h"
#include "endpoint.h"
#include "format_names.h"
#include "summary.h"
#include "units.h"

#define NUMBER_WIDTH 9
/* Each byte of a name can take four characters. */
#define DESTINATION_TEXT_MAX (4 * DESTINATION_NAME_MAX + 256)

static void append_connections(struct text *t, const struct format_text_style *style,
			       const struct summary *summary, uint32_t hooks)
{
	if (hooks & AGENTSH_EBPF_HOOK_LIFECYCLE) {
		text_format(t, "; %" PRIu64 " connection%s opened, ", summary->opened,
			    plural(summary->opened));
		if (summary->failed)
			colour(t, style, RED);
		text_format(t, "%" PRIu64 " failed", summary->failed);
		if (summary->failed)
			colour(t, style, PLAIN);
	}
	if (hooks & AGENTSH_EBPF_HOOK_ACCEPT)
		text_format(t, "%s %" PRIu64 " accepted",
			    hooks & AGENTSH_EBPF_HOOK_LIFECYCLE ? "," : ";", summary->accepted);
	if (hooks & (AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT))
		text_format(t, ", %" PRIu64 " still open", summary_open(summary));
}

/* Calls and packets, also those that no event has reported. */
static void append_verdicts(struct text *t, const struct format_text_style *style,
			    const struct agentsh_ebpf_stats *stats)
{
	if (stats->denied) {
		text_string(t, ", ");
		colour(t, style, RED);
		text_format(t, "%" PRIu64 " denied", stats->denied);
		colour(t, style, PLAIN);
	}
	if (stats->packets_denied) {
		text_string(t, ", ");
		colour(t, style, RED);
		text_format(t, "%" PRIu64 " packet%s denied", stats->packets_denied,
			    plural(stats->packets_denied));
		colour(t, style, PLAIN);
	}
	if (stats->would_deny)
		text_format(t, ", %" PRIu64 " would be denied", stats->would_deny);
	if (stats->packets_would_deny)
		text_format(t, ", %" PRIu64 " packet%s would be denied", stats->packets_would_deny,
			    plural(stats->packets_would_deny));
}

/* Names that were in these packets and messages are missing. */
static void append_names_missing(struct text *t, const struct format_text_style *style, uint64_t n,
				 const char *what, const char *fate)
{
	if (!n)
		return;
	text_string(t, ", ");
	colour(t, style, RED);
	text_format(t, "%" PRIu64 " %s%s with names %s", n, what, plural(n), fate);
	colour(t, style, PLAIN);
}

void format_summary(struct text *t, const struct format_text_style *style,
		    const struct agentsh_ebpf_stats *stats, const struct summary *summary,
		    uint32_t hooks)
{
	text_format(t, "%" PRIu64 " event%s, %s%zu destination%s, ", summary->shown,
		    plural(summary->shown), summary->destinations_cut ? "more than " : "",
		    summary->destinations, plural(summary->destinations));
	if (stats->lost)
		colour(t, style, RED);
	text_format(t, "%" PRIu64 " lost", stats->lost);
	if (stats->lost)
		colour(t, style, PLAIN);
	append_names_missing(t, style, stats->packets_lost, "packet", "lost");
	append_names_missing(t, style, stats->messages_skipped, "message", "skipped");
	if (stats->deduplicated)
		text_format(t, ", %" PRIu64 " more datagram%s to the same destinations",
			    stats->deduplicated, plural(stats->deduplicated));
	if (stats->malformed)
		text_format(t, ", %" PRIu64 " unreadable", stats->malformed);
	if (stats->untracked)
		text_format(t, ", %" PRIu64 " untracked", stats->untracked);
	append_verdicts(t, style, stats);
	append_connections(t, style, summary, hooks);
	text_string(t, "\n");
	if (stats->untracked)
		text_string(t, "\"untracked\" is how often a socket found no room in the table of "
			       "sockets; later events of such a socket may be missing\n");
}

/* Appends spaces until the piece, which began at this length, has the width. */
static void pad(struct text *t, size_t written, size_t width)
{
	for (; written < width; written++)
		text_string(t, " ");
}

/* Returns the number of characters. */
static size_t append_process(struct text *t, const struct format_text_style *style,
			     const struct destination_key *key)
{
	size_t n = strnlen(key->process, sizeof(key->process));

	if (key->unattributed || !key->family) {
		text_string(t, "-");
		return 1;
	}
	return text_terminal(t, key->process, n, style->utf8);
}

static void append_destination(struct text *t, const struct format_text_style *style,
			       const struct destination_row *row)
{
	const struct destination_key *key = &row->key;
	struct agentsh_ebpf_event event = {
		.family = row->at.family,
		.remote_port = key->port,
		.ifindex = row->at.ifindex,
		.netns_cookie = row->netns_cookie,
	};

	if (!key->family) {
		text_string(t, "(other destinations)");
		return;
	}
	memcpy(event.remote_addr, row->at.address, sizeof(event.remote_addr));
	if (*row->name) {
		format_name(t, style, row->name);
		text_format(t, ":%u", key->port);
	} else if (key->inbound) {
		endpoint_remote_host(t, style, &event);
	} else {
		endpoint_remote(t, style, &event);
	}
	text_format(t, "/%s%s", agentsh_ebpf_protocol_name(key->protocol),
		    key->inbound ? " (inbound)" : "");
}

/* The number of characters; the name of an interface may be UTF-8. */
static size_t length_of(const struct text *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->len; i++)
		n += ((unsigned char)t->buf[i] & 0xc0) != 0x80;
	return n;
}

struct format_summary_widths format_summary_widths(const struct format_text_style *style,
						   const struct destination_row *const *rows,
						   size_t n)
{
	struct format_summary_widths widths = {strlen("PROCESS"), strlen("DESTINATION")};
	char buf[DESTINATION_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		struct text process = {.buf = buf, .cap = sizeof(buf)}, destination = process;
		size_t length = append_process(&process, style, &rows[i]->key);

		if (length > widths.process)
			widths.process = length;
		append_destination(&destination, style, rows[i]);
		length = length_of(&destination);
		if (length > widths.destination)
			widths.destination = length;
	}
	return widths;
}

void format_summary_header(struct text *t, const struct format_text_style *style,
			   struct format_summary_widths widths)
{
	colour(t, style, DIM);
	text_format(t, "%-*s  %-*s  %s  %*s  %*s  %*s  %*s  %*s", (int)widths.process, "PROCESS",
		    (int)widths.destination, "DESTINATION", "CONNECTIONS", NUMBER_WIDTH, "FAILED",
		    NUMBER_WIDTH, "SENT", NUMBER_WIDTH, "RECEIVED", NUMBER_WIDTH, "P50",
		    NUMBER_WIDTH, "LONGEST");
	colour(t, style, PLAIN);
	text_string(t, "\n");
}

/* Appends a column with what append writes, or with "-" if it is unknown. */
static void append_column(struct text *t, void (*append)(struct text *t, uint64_t value),
			  uint64_t value, bool known)
{
	char buf[64];
	struct text number = {.buf = buf, .cap = sizeof(buf)};

	if (known)
		append(&number, value);
	else
		text_string(&number, "-");
	text_string(t, "  ");
	pad(t, number.len, NUMBER_WIDTH);
	text_bytes(t, number.buf, number.len);
}

static void append_number(struct text *t, uint64_t value)
{
	text_format(t, "%" PRIu64, value);
}

void format_summary_row(struct text *t, const struct format_text_style *style,
			struct format_summary_widths widths, const struct destination_row *row,
			uint32_t hooks)
{
	const bool bytes = !row->key.family || destinations_count_bytes(row->key.protocol, hooks);
	const bool ended = row->durations.count;
	char buf[DESTINATION_TEXT_MAX];
	struct text destination = {.buf = buf, .cap = sizeof(buf)};

	pad(t, append_process(t, style, &row->key), widths.process);
	text_string(t, "  ");
	append_destination(&destination, style, row);
	text_bytes(t, destination.buf, destination.len);
	pad(t, length_of(&destination), widths.destination);
	text_format(t, "  %*" PRIu64, (int)strlen("CONNECTIONS"), row->connections);
	if (row->failed)
		colour(t, style, RED);
	append_column(t, append_number, row->failed, hooks & AGENTSH_EBPF_HOOK_LIFECYCLE);
	if (row->failed)
		colour(t, style, PLAIN);
	append_column(t, units_bytes, row->bytes_sent, bytes);
	append_column(t, units_bytes, row->bytes_received, bytes);
	append_column(t, units_duration, durations_median(&row->durations), ended);
	append_column(t, units_duration, row->durations.longest_ns, ended);
	text_string(t, "\n");
}
