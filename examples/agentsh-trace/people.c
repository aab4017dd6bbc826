/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <agentsh/ebpf.h>

#include "address.h"
#include "destinations.h"
#include "failure.h"
#include "kinds.h"
#include "tally.h"
#include "units.h"

#define COMMAND_WIDTH 15

#define PLAIN "\033[0m"
#define DIM "\033[2m"
#define BOLD "\033[1m"
#define RED "\033[31m"
#define CYAN "\033[36m"
#define YELLOW "\033[33m"

static void colour(struct text *t, const struct people_style *style, const char *code)
{
	if (style->colour)
		text_string(t, code);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* Columns, one with IPv4, and the longest usual story behind it: about 43 characters. */
enum people_columns people_columns_for(unsigned width)
{
	if (!width || width >= 126)
		return PEOPLE_ALL;
	return width >= 112 ? PEOPLE_NO_TIME : width >= 103 ? PEOPLE_NO_PID : PEOPLE_NARROW;
}

static int event_width(const struct people_style *style)
{
	return style->columns == PEOPLE_NARROW ? 7 : 9;
}

static int protocol_width(const struct people_style *style)
{
	return style->columns == PEOPLE_NARROW ? 3 : 8;
}

/* Between columns. */
static const char *space(const struct people_style *style)
{
	return style->columns == PEOPLE_NARROW ? " " : "  ";
}

void people_header(struct text *t, const struct people_style *style)
{
	const char *gap = space(style);

	colour(t, style, DIM);
	if (style->columns < PEOPLE_NO_TIME)
		text_format(t, "%-12s  ", "TIME");
	if (style->columns < PEOPLE_NO_PID)
		text_format(t, "%7s  ", "PID");
	text_format(t, "%-*s%s%-*s%s%-*s%s%s", COMMAND_WIDTH, "COMMAND", gap, event_width(style),
		    "EVENT", gap, protocol_width(style),
		    style->columns == PEOPLE_NARROW ? "VIA" : "PROTOCOL", gap, "DESTINATION");
	colour(t, style, PLAIN);
	text_string(t, "\n");
}

static void time_of_day(struct text *t, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm local;

	localtime_r(&seconds, &local);
	text_format(t, "%02d:%02d:%02d.%03u", local.tm_hour, local.tm_min, local.tm_sec,
		    (unsigned)(time_ns / 1000000 % 1000));
}

/* The command's name is what the process chose, so any bytes. */
static void command(struct text *t, const struct people_style *style, const char *comm, size_t n)
{
	size_t width = text_terminal(t, comm, n, style->utf8);

	for (; width < COMMAND_WIDTH; width++)
		text_string(t, " ");
}

static void end(struct text *t, uint16_t family, const uint8_t address[16], uint16_t port)
{
	char ip[ADDRESS_MAX];

	address_text(family, address, ip);
	text_format(t, family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, port);
}

static void process(struct text *t, const struct people_style *style,
		    const struct agentsh_ebpf_event *event)
{
	bool known = !(event->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED);
	/* the number that kill(1) takes here, if it has one here */
	uint32_t pid = event->ns_tgid ? event->ns_tgid : event->tgid;

	if (style->columns < PEOPLE_NO_PID && known)
		text_format(t, "%7u  ", pid);
	else if (style->columns < PEOPLE_NO_PID)
		text_format(t, "%7s  ", "-");
	if (known)
		command(t, style, event->comm, strnlen(event->comm, sizeof(event->comm)));
	else
		command(t, style, "-", 1);
	text_string(t, space(style));
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

/* Up to the destination. */
static void columns(struct text *t, const struct people_style *style,
		    const struct agentsh_ebpf_event *event, uint64_t time_ns, uint32_t kind)
{
	if (style->columns < PEOPLE_NO_TIME) {
		colour(t, style, DIM);
		time_of_day(t, time_ns);
		colour(t, style, PLAIN);
		text_string(t, "  ");
	}
	process(t, style, event);
	colour(t, style, kind_colour(kind));
	text_format(t, "%-*s", event_width(style), kinds_name(kind));
	colour(t, style, PLAIN);
	text_format(t, "%s%-*s%s", space(style), protocol_width(style),
		    agentsh_ebpf_protocol_name(event->protocol), space(style));
	colour(t, style, BOLD);
	end(t, event->family, event->remote_addr, event->remote_port);
	colour(t, style, PLAIN);
	if (event->kind == AGENTSH_EBPF_EVENT_ACCEPTED) {
		text_string(t, " at ");
		end(t, event->family, event->local_addr, event->local_port);
	}
}

static bool is_broken(const struct agentsh_ebpf_event *event)
{
	return event->error && !(event->flags & AGENTSH_EBPF_FLAG_NO_ERROR);
}

static void reason(struct text *t, const struct people_style *style,
		   const struct agentsh_ebpf_event *event)
{
	colour(t, style, RED);
	failure_words(t, event->error);
	colour(t, style, PLAIN);
}

/* What a connection came to: "3.2 kB/18.0 kB 1.4 s", or "3 datagrams 1.4 s". */
static void account(struct text *t, const struct agentsh_ebpf_event *event)
{
	if (event->kind == AGENTSH_EBPF_EVENT_CLOSED && event->socket_type == SOCK_STREAM) {
		units_bytes(t, event->bytes_sent);
		text_string(t, "/");
		units_bytes(t, event->bytes_received);
		text_string(t, " ");
	} else if (event->datagrams) {
		text_format(t, "%" PRIu32 " datagram%s ", event->datagrams,
			    plural(event->datagrams));
	}
	units_duration(t, event->duration_ns);
	if (event->retransmits)
		text_format(t, ", %" PRIu32 " resent", event->retransmits);
}

void people_event(struct text *t, const struct people_style *style,
		  const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	if (!kinds_name(event->kind))
		return;
	columns(t, style, event, time_ns, event->kind);
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
	case AGENTSH_EBPF_EVENT_CLOSED:
		text_string(t, "  ");
		if (is_broken(event)) {
			reason(t, style, event);
			text_string(t, " ");
		}
		account(t, event);
		break;
	default:
		break;
	}
	text_string(t, "\n");
}

static void arrow(struct text *t, const struct people_style *style)
{
	colour(t, style, DIM);
	text_string(t, style->utf8 ? " \xe2\x86\x92 " : " -> ");
	colour(t, style, PLAIN);
}

static void story_end(struct text *t, const struct people_style *style,
		      const struct agentsh_ebpf_event *event)
{
	arrow(t, style);
	if (is_broken(event))
		reason(t, style, event);
	else
		text_string(t, event->kind == AGENTSH_EBPF_EVENT_CLOSED ? "closed" : "failed");
	text_string(t, " ");
	account(t, event);
}

void people_connection(struct text *t, const struct people_style *style,
		       const struct agentsh_ebpf_event *first, uint64_t time_ns,
		       const struct people_story *story)
{
	uint32_t kind = first->kind;

	/* where the attempt itself was not seen, its result stands for it */
	if (kind == AGENTSH_EBPF_EVENT_CONNECTED || kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED)
		kind = AGENTSH_EBPF_EVENT_CONNECT;
	columns(t, style, first, time_ns, kind);
	if (story->connected) {
		arrow(t, style);
		if (story->connected_ns)
			units_duration(t, story->connected_ns);
		else
			text_string(t, "connected");
	}
	if (story->end)
		story_end(t, style, story->end);
	text_string(t, "\n");
}

void people_gap(struct text *t, const struct people_style *style, uint64_t lost)
{
	colour(t, style, RED);
	text_format(t, "--- %" PRIu64 " event%s lost here ---", lost, plural(lost));
	colour(t, style, PLAIN);
	text_string(t, "\n");
}

static void connections(struct text *t, const struct people_style *style, const struct tally *tally,
			uint32_t hooks)
{
	if (hooks & AGENTSH_EBPF_HOOK_LIFECYCLE) {
		text_format(t, "; %" PRIu64 " connection%s opened, ", tally->opened,
			    plural(tally->opened));
		if (tally->failed)
			colour(t, style, RED);
		text_format(t, "%" PRIu64 " failed", tally->failed);
		if (tally->failed)
			colour(t, style, PLAIN);
	}
	if (hooks & AGENTSH_EBPF_HOOK_ACCEPT)
		text_format(t, "%s %" PRIu64 " accepted",
			    hooks & AGENTSH_EBPF_HOOK_LIFECYCLE ? "," : ";", tally->accepted);
	if (hooks & (AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT))
		text_format(t, ", %" PRIu64 " still open", tally_open(tally));
}

void people_summary(struct text *t, const struct people_style *style,
		    const struct agentsh_ebpf_stats *stats, const struct tally *tally,
		    const struct destinations *seen, uint32_t hooks)
{
	text_format(t, "%" PRIu64 " event%s, %s%zu destination%s, ", tally->shown,
		    plural(tally->shown), seen->more ? "more than " : "", seen->count,
		    plural(seen->count));
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
	connections(t, style, tally, hooks);
	text_string(t, "\n");
}
