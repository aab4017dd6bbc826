/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <agentsh/ebpf.h>

#include "address.h"
#include "destinations.h"

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

void people_header(struct text *t, const struct people_style *style)
{
	colour(t, style, DIM);
	text_format(t, "%-12s  %7s  %-*s  %-8s  %-8s  %s", "TIME", "PID", COMMAND_WIDTH, "COMMAND",
		    "CALL", "PROTOCOL", "DESTINATION");
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

static void destination(struct text *t, const struct agentsh_ebpf_event *event)
{
	char ip[ADDRESS_MAX];

	address_text(event->family, event->remote_addr, ip);
	text_format(t, event->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, event->remote_port);
}

void people_event(struct text *t, const struct people_style *style,
		  const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	const char *call, *call_colour;

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECT:
		call = "connect";
		call_colour = CYAN;
		break;
	case AGENTSH_EBPF_EVENT_UDP_SEND:
		call = "sendto";
		call_colour = YELLOW;
		break;
	default:
		return;
	}
	colour(t, style, DIM);
	time_of_day(t, time_ns);
	colour(t, style, PLAIN);
	/* the number that kill(1) takes here, if it has one here */
	text_format(t, "  %7u  ", event->ns_tgid ? event->ns_tgid : event->tgid);
	command(t, style, event->comm, strnlen(event->comm, sizeof(event->comm)));
	text_string(t, "  ");
	colour(t, style, call_colour);
	text_format(t, "%-8s", call);
	colour(t, style, PLAIN);
	text_format(t, "  %-8s  ", agentsh_ebpf_protocol_name(event->protocol));
	colour(t, style, BOLD);
	destination(t, event);
	colour(t, style, PLAIN);
	text_string(t, "\n");
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

void people_gap(struct text *t, const struct people_style *style, uint64_t lost)
{
	colour(t, style, RED);
	text_format(t, "--- %" PRIu64 " event%s lost here ---", lost, plural(lost));
	colour(t, style, PLAIN);
	text_string(t, "\n");
}

void people_summary(struct text *t, const struct people_style *style,
		    const struct agentsh_ebpf_stats *stats, const struct destinations *seen)
{
	text_format(t, "%" PRIu64 " event%s, %s%zu destination%s, ", stats->delivered,
		    plural(stats->delivered), seen->more ? "more than " : "", seen->count,
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
	text_string(t, "\n");
}
