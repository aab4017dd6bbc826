/* SPDX-License-Identifier: Apache-2.0 */
#include "format_text.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <agentsh/ebpf.h>

#include "blind.h"
#include "colour.h"
#include "endpoint.h"
#include "errno_names.h"
#include "event_types.h"
#include "format_names.h"
#include "format_verdict.h"
#include "names.h"
#include "units.h"
#include "verdict.h"

#define COMMAND_WIDTH 15

/* Leaves room for an IPv4 destination and about 43 characters of progress behind it. */
enum format_text_columns format_text_columns_for(unsigned width)
{
	if (!width || width >= 129)
		return FORMAT_TEXT_ALL;
	return width >= 115   ? FORMAT_TEXT_NO_TIME
	       : width >= 106 ? FORMAT_TEXT_NO_PID
			      : FORMAT_TEXT_NARROW;
}

/* As much more as a usual name and the address take. */
bool format_text_addresses_for(unsigned width)
{
	return !width || width >= 160;
}

static int event_width(const struct format_text_style *style)
{
	if (style->columns == FORMAT_TEXT_NARROW) /* longer names push the columns behind them */
		return (int)strlen("accepted");
	return (int)strlen(style->shared_rows ? "unannounced" : "connect_failed");
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
	const char *name;

	if (style->columns < FORMAT_TEXT_NO_PID && known)
		text_format(t, "%7u  ", pid);
	else if (style->columns < FORMAT_TEXT_NO_PID)
		text_format(t, "%7s  ", "-");
	/* Without CAP_PERFMON only the name of the thread is known. */
	name = event->process_comm[0] ? event->process_comm : event->comm;
	if (known)
		append_command(t, style, name, strnlen(name, sizeof(event->comm)));
	else
		append_command(t, style, "-", 1);
	text_string(t, column_gap(style));
}

static const char *kind_colour(uint32_t kind)
{
	switch (kind) {
	case AGENTSH_EBPF_EVENT_UDP_SEND:
	case AGENTSH_EBPF_EVENT_UNANNOUNCED:
	case AGENTSH_EBPF_EVENT_SOCKET_DENIED: /* let go on; otherwise red */
	case AGENTSH_EBPF_EVENT_PACKET_DENIED:
		return YELLOW;
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
	case AGENTSH_EBPF_EVENT_DNS_QUERY:
		return RED;
	case AGENTSH_EBPF_EVENT_SERVER_NAME:
	case AGENTSH_EBPF_EVENT_CLOSED:
	case AGENTSH_EBPF_EVENT_PROGRESS:
		return DIM;
	default:
		return CYAN;
	}
}

/* "api.example.org:443", with the address if there is room; without a name, the address. */
static void append_remote(struct text *t, const struct format_text_style *style,
			  const struct agentsh_ebpf_event *event,
			  const struct agentsh_ebpf_name *name, const char *code)
{
	const char *asked = names_asked(event, name);

	colour(t, style, code);
	if (asked) {
		format_name(t, style, asked);
		text_format(t, ":%u", event->remote_port);
	} else {
		endpoint_remote(t, style, event);
	}
	colour(t, style, PLAIN);
	if (!asked || !style->addresses)
		return;
	colour(t, style, DIM);
	text_string(t, " ");
	endpoint_remote_host(t, style, event);
	colour(t, style, PLAIN);
}

static void append_destination(struct text *t, const struct format_text_style *style,
			       const struct agentsh_ebpf_event *event,
			       const struct agentsh_ebpf_name *name, const char *code)
{
	const bool inbound = event->flags & AGENTSH_EBPF_FLAG_INBOUND;
	const bool accepted = event->kind == AGENTSH_EBPF_EVENT_ACCEPTED;

	append_remote(t, style, event, name, code);
	format_names_notes(t, style, event, name);
	if (event->flags & ENDPOINT_NOTED) {
		colour(t, style, YELLOW);
		endpoint_notes(t, event);
		colour(t, style, PLAIN);
	}
	if (inbound && !accepted) { /* its name says so */
		colour(t, style, DIM);
		text_string(t, " (inbound)");
		colour(t, style, PLAIN);
	}
	if (accepted || (inbound && event->kind == AGENTSH_EBPF_EVENT_UNANNOUNCED)) {
		text_string(t, " at ");
		endpoint_local(t, event);
	}
	format_verdict(t, style, event);
}

/* How a row names the event. */
struct row_name {
	const char *text;
	const char *colour;
	const char *remote_colour;
};

static struct row_name name_of_kind(uint32_t kind)
{
	return (struct row_name){agentsh_ebpf_kind_name(kind), kind_colour(kind), BOLD};
}

static struct row_name name_of(const struct agentsh_ebpf_event *event)
{
	struct row_name name = name_of_kind(event->kind);

	if (verdict_is_denied(event))
		name.colour = name.remote_colour = RED;
	return name;
}

/* Appends the columns from the time to the protocol. */
static void append_columns(struct text *t, const struct format_text_style *style,
			   const struct agentsh_ebpf_event *event, uint64_t time_ns,
			   struct row_name name)
{
	if (style->columns < FORMAT_TEXT_NO_TIME) {
		colour(t, style, DIM);
		append_time(t, time_ns);
		colour(t, style, PLAIN);
		text_string(t, "  ");
	}
	append_process(t, style, event);
	colour(t, style, name.colour);
	text_format(t, "%-*s", event_width(style), name.text);
	colour(t, style, PLAIN);
	text_format(t, "%s%-*s%s", column_gap(style), protocol_width(style),
		    event->family == AF_UNIX ? "unix" : agentsh_ebpf_protocol_name(event->protocol),
		    column_gap(style));
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

static void append_bytes(struct text *t, const struct agentsh_ebpf_event *event)
{
	units_bytes(t, event->bytes_sent);
	text_string(t, "/");
	units_bytes(t, event->bytes_received);
	text_string(t, " ");
}

/* "3.2 kB/18.0 kB 1.4 s", or "3 sent, 5 received, 1.2 kB/3.4 kB 1.4 s" */
static void append_totals(struct text *t, const struct format_text_style *style,
			  const struct agentsh_ebpf_event *event)
{
	const bool moved = event->packets_sent || event->packets_received;

	if (event->kind != AGENTSH_EBPF_EVENT_CONNECT_FAILED &&
	    event->kind != AGENTSH_EBPF_EVENT_CONNECTED) {
		if (moved)
			text_format(t, "%" PRIu32 " sent, %" PRIu32 " received, ",
				    event->packets_sent, event->packets_received);
		if (moved || event->socket_type == SOCK_STREAM)
			append_bytes(t, event);
		else if (style->traffic)
			text_string(t, "no traffic ");
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

/* Appends what follows the protocol. */
static void append_rest(struct text *t, const struct format_text_style *style,
			const struct agentsh_ebpf_event *event, const struct names *names)
{
	const struct agentsh_ebpf_name *name = names && names->named ? &names->name : NULL;

	if (names_of_dns(event))
		format_names_question(t, style, event, names);
	else if (event->kind == AGENTSH_EBPF_EVENT_UNIX_CONNECT)
		format_names_path(t, style, name);
	else if (event->kind == AGENTSH_EBPF_EVENT_SOCKET_DENIED)
		format_verdict_socket(t, style, event);
	else
		append_destination(t, style, event, name, name_of(event).remote_colour);
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
	case AGENTSH_EBPF_EVENT_CLOSED:
	case AGENTSH_EBPF_EVENT_PROGRESS:
		text_string(t, "  ");
		if (is_broken(event)) {
			append_error(t, style, event);
			text_string(t, " ");
		}
		append_totals(t, style, event);
		break;
	case AGENTSH_EBPF_EVENT_DNS_QUERY:
	case AGENTSH_EBPF_EVENT_DNS_ANSWER:
		text_string(t, "  ");
		format_names_answer(t, style, event, names);
		break;
	case AGENTSH_EBPF_EVENT_SERVER_NAME:
		format_names_server(t, style, name);
		break;
	default:
		break;
	}
}

void format_text_event(struct text *t, const struct format_text_style *style,
		       const struct agentsh_ebpf_event *event, const struct names *names,
		       uint64_t time_ns)
{
	if (!event_types_known(event->kind))
		return;
	if (event->kind == AGENTSH_EBPF_EVENT_SESSION_BLIND) {
		append_blind(t, style, event->error);
		return;
	}
	append_columns(t, style, event, time_ns, name_of(event));
	append_rest(t, style, event, names);
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
	append_totals(t, style, event);
}

void format_text_connection(struct text *t, const struct format_text_style *style,
			    const struct agentsh_ebpf_event *first,
			    const struct agentsh_ebpf_name *known, uint64_t time_ns,
			    const struct format_text_progress *progress)
{
	struct row_name name = name_of(first);

	/* If the attempt itself was not seen, its result stands for it. */
	if (first->kind == AGENTSH_EBPF_EVENT_CONNECTED ||
	    first->kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED)
		name = name_of_kind(AGENTSH_EBPF_EVENT_CONNECT);
	if (progress->probe)
		name.text = "probe";
	if (progress->probe || progress->silent) {
		name.colour = name.remote_colour = DIM;
	}
	append_columns(t, style, first, time_ns, name);
	append_destination(t, style, first, known, name.remote_colour);
	if (progress->connected) {
		append_arrow(t, style);
		if (progress->connected_ns)
			units_duration(t, progress->connected_ns);
		else
			text_string(t, "connected");
	}
	if (progress->so_far) {
		append_arrow(t, style);
		text_string(t, "open ");
		append_totals(t, style, progress->so_far);
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
