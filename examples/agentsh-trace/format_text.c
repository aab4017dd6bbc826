/* SPDX-License-Identifier: Apache-2.0 */
#include "format_text.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <agentsh/ebpf.h>

#include "blind.h"
#include "endpoint.h"
#include "errno_names.h"
#include "event_types.h"
#include "summary.h"
#include "units.h"

#define COMMAND_WIDTH 15

#define PLAIN "\033[0m"
#define DIM "\033[2m"
#define BOLD "\033[1m"
#define RED "\033[31m"
#define CYAN "\033[36m"
#define YELLOW "\033[33m"

static void colour(struct text *t, const struct format_text_style *style, const char *code)
{
	if (style->colour)
		text_string(t, code);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* Leaves room for an IPv4 destination and about 43 characters of progress behind it. */
enum format_text_columns format_text_columns_for(unsigned width)
{
	if (!width || width >= 126)
		return FORMAT_TEXT_ALL;
	return width >= 112   ? FORMAT_TEXT_NO_TIME
	       : width >= 103 ? FORMAT_TEXT_NO_PID
			      : FORMAT_TEXT_NARROW;
}

static int event_width(const struct format_text_style *style)
{
	return (int)strlen(style->shared_rows ? "accepted" : "connect_failed");
}

static int protocol_width(const struct format_text_style *style)
{
	return style->columns == FORMAT_TEXT_NARROW ? 3 : 8;
}

/* The gap between two columns. */
static const char *column_gap(const struct format_text_style *style)
{
	return style->columns == FORMAT_TEXT_NARROW ? " " : "  ";
}

void format_text_header(struct text *t, const struct format_text_style *style)
{
	const char *gap = column_gap(style);

	colour(t, style, DIM);
	if (style->columns < FORMAT_TEXT_NO_TIME)
		text_format(t, "%-12s  ", "TIME");
	if (style->columns < FORMAT_TEXT_NO_PID)
		text_format(t, "%7s  ", "PID");
	text_format(t, "%-*s%s%-*s%s%-*s%s%s", COMMAND_WIDTH, "COMMAND", gap, event_width(style),
		    "EVENT", gap, protocol_width(style),
		    style->columns == FORMAT_TEXT_NARROW ? "VIA" : "PROTOCOL", gap, "DESTINATION");
	colour(t, style, PLAIN);
	text_string(t, "\n");
}

static void append_time(struct text *t, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm local;

	localtime_r(&seconds, &local);
	text_format(t, "%02d:%02d:%02d.%03u", local.tm_hour, local.tm_min, local.tm_sec,
		    (unsigned)(time_ns / 1000000 % 1000));
}

/* A process chooses its own name, so comm may contain any bytes. */
static void append_command(struct text *t, const struct format_text_style *style, const char *comm,
			   size_t n)
{
	size_t width = text_terminal(t, comm, n, style->utf8);

	for (; width < COMMAND_WIDTH; width++)
		text_string(t, " ");
}

static void append_process(struct text *t, const struct format_text_style *style,
			   const struct agentsh_ebpf_event *event)
{
	bool known = !(event->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	/* Prefer the number that kill(1) takes in our PID namespace. */
	uint32_t pid = event->ns_tgid ? event->ns_tgid : event->tgid;

	if (style->columns < FORMAT_TEXT_NO_PID && known)
		text_format(t, "%7u  ", pid);
	else if (style->columns < FORMAT_TEXT_NO_PID)
		text_format(t, "%7s  ", "-");
	if (known)
		append_command(t, style, event->comm, strnlen(event->comm, sizeof(event->comm)));
	else
		append_command(t, style, "-", 1);
	text_string(t, column_gap(style));
}

static const char *kind_colour(uint32_t kind)
{
	switch (kind) {
	case AGENTSH_EBPF_EVENT_UDP_SEND:
		return YELLOW;
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		return RED;
	case AGENTSH_EBPF_EVENT_CLOSED:
		return DIM;
	default:
		return CYAN;
	}
}

/* Appends the columns from the time to the destination. */
static void append_columns(struct text *t, const struct format_text_style *style,
			   const struct agentsh_ebpf_event *event, uint64_t time_ns, uint32_t kind)
{
	if (style->columns < FORMAT_TEXT_NO_TIME) {
		colour(t, style, DIM);
		append_time(t, time_ns);
		colour(t, style, PLAIN);
		text_string(t, "  ");
	}
	append_process(t, style, event);
	colour(t, style, kind_colour(kind));
	text_format(t, "%-*s", event_width(style), agentsh_ebpf_kind_name(kind));
	colour(t, style, PLAIN);
	text_format(t, "%s%-*s%s", column_gap(style), protocol_width(style),
		    agentsh_ebpf_protocol_name(event->protocol), column_gap(style));
	colour(t, style, BOLD);
	endpoint_remote(t, style, event);
	if (event->flags & ENDPOINT_NOTED) {
		colour(t, style, YELLOW);
		endpoint_notes(t, event);
		colour(t, style, PLAIN);
	}
	if (event->kind == AGENTSH_EBPF_EVENT_ACCEPTED) {
		text_string(t, " at ");
		endpoint_local(t, event);
	}
}

static bool is_broken(const struct agentsh_ebpf_event *event)
{
	return event->error && !(event->flags & AGENTSH_EBPF_FLAG_NO_ERROR);
}

static void append_error(struct text *t, const struct format_text_style *style,
			 const struct agentsh_ebpf_event *event)
{
	colour(t, style, RED);
	errno_phrase(t, event->error);
	colour(t, style, PLAIN);
}

/* Appends size and duration: "3.2 kB/18.0 kB 1.4 s", or "3 datagrams 1.4 s". */
static void append_totals(struct text *t, const struct agentsh_ebpf_event *event)
{
	if (event->kind == AGENTSH_EBPF_EVENT_CLOSED && event->socket_type == SOCK_STREAM) {
		units_bytes(t, event->bytes_sent);
		text_string(t, "/");
		units_bytes(t, event->bytes_received);
		text_string(t, " ");
	} else if (event->packets_sent) {
		text_format(t, "%" PRIu32 " datagram%s ", event->packets_sent,
			    plural(event->packets_sent));
	}
	units_duration(t, event->duration_ns);
	if (event->retransmits)
		text_format(t, ", %" PRIu32 " resent", event->retransmits);
}

static void append_blind(struct text *t, const struct format_text_style *style, int error)
{
	colour(t, style, RED);
	text_format(t, "--- incomplete from here on: %s ---", blind_reason(error));
	colour(t, style, PLAIN);
	text_string(t, "\n");
}

void format_text_event(struct text *t, const struct format_text_style *style,
		       const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	if (!event_types_known(event->kind))
		return;
	if (event->kind == AGENTSH_EBPF_EVENT_SESSION_BLIND) {
		append_blind(t, style, event->error);
		return;
	}
	append_columns(t, style, event, time_ns, event->kind);
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
	case AGENTSH_EBPF_EVENT_CLOSED:
		text_string(t, "  ");
		if (is_broken(event)) {
			append_error(t, style, event);
			text_string(t, " ");
		}
		append_totals(t, event);
		break;
	default:
		break;
	}
	text_string(t, "\n");
}

static void append_arrow(struct text *t, const struct format_text_style *style)
{
	colour(t, style, DIM);
	text_string(t, style->utf8 ? " \xe2\x86\x92 " : " -> ");
	colour(t, style, PLAIN);
}

static void append_end(struct text *t, const struct format_text_style *style,
		       const struct agentsh_ebpf_event *event)
{
	append_arrow(t, style);
	if (is_broken(event))
		append_error(t, style, event);
	else
		text_string(t, event->kind == AGENTSH_EBPF_EVENT_CLOSED ? "closed" : "failed");
	text_string(t, " ");
	append_totals(t, event);
}

void format_text_connection(struct text *t, const struct format_text_style *style,
			    const struct agentsh_ebpf_event *first, uint64_t time_ns,
			    const struct format_text_progress *progress)
{
	uint32_t kind = first->kind;

	/* If the attempt itself was not seen, its result stands for it. */
	if (kind == AGENTSH_EBPF_EVENT_CONNECTED || kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED)
		kind = AGENTSH_EBPF_EVENT_CONNECT;
	append_columns(t, style, first, time_ns, kind);
	if (progress->connected) {
		append_arrow(t, style);
		if (progress->connected_ns)
			units_duration(t, progress->connected_ns);
		else
			text_string(t, "connected");
	}
	if (progress->end)
		append_end(t, style, progress->end);
	text_string(t, "\n");
}

void format_text_gap(struct text *t, const struct format_text_style *style, uint64_t lost)
{
	colour(t, style, RED);
	text_format(t, "--- %" PRIu64 " event%s lost here ---", lost, plural(lost));
	colour(t, style, PLAIN);
	text_string(t, "\n");
}

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

void format_text_summary(struct text *t, const struct format_text_style *style,
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
	if (stats->deduplicated)
		text_format(t, ", %" PRIu64 " more datagram%s to the same destinations",
			    stats->deduplicated, plural(stats->deduplicated));
	if (stats->malformed)
		text_format(t, ", %" PRIu64 " unreadable", stats->malformed);
	if (stats->untracked)
		text_format(t, ", %" PRIu64 " untracked", stats->untracked);
	append_connections(t, style, summary, hooks);
	text_string(t, "\n");
	if (stats->untracked)
		text_string(t, "\"untracked\" is how often a socket found no room in the table of "
			       "sockets; later events of such a socket may be missing\n");
}
